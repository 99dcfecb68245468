import { expect, test } from 'vitest';
import type { KeyId } from '../../domain/id.ts';
import { MemorySignatures } from './signatures.ts';

const windowMs = 121_000;
let nowMs = 0;

test('a key that signs without end is refused, and no other key is', () => {
  const signatures = new MemorySignatures(windowMs, () => nowMs);
  const use = (key: string, signature: string): string =>
    signatures.use({ signature, key: key as KeyId, address: '192.0.2.1', body: '' });
  const verdicts = new Set<string>();
  for (let i = 0; i < 60_000; i++) verdicts.add(use('flood', `flood ${i}`));
  expect([...verdicts]).toEqual(['good', 'key_full']);
  expect(use('other', 'other')).toBe('good');
  nowMs += windowMs + 1;
  expect(use('flood', 'later')).toBe('good');
});
