import { expect, test } from 'vitest';
import type { GatewayError } from '../../domain/error.ts';
import type { KeyId } from '../../domain/id.ts';
import { ReplayGuard } from './replay-guard.ts';

const windowMs = 121_000;
let nowMs = 0;

/** The code of the refusal; undefined if the call is let through. */
function claim(guard: ReplayGuard, key: string, signature: string): string | undefined {
  try {
    const call = { signature: Buffer.from(signature), body: undefined, operation: { time: 'metadata' } } as const;
    guard.claim({ ...call, caller: { principal: { lineage: key as KeyId } } }, { address: '192.0.2.1' });
    return undefined;
  } catch (error) {
    return (error as GatewayError).code;
  }
}

test('a key that signs without end is refused, and no other key is', () => {
  const guard = new ReplayGuard(windowMs, () => nowMs);
  const codes = new Set<string | undefined>();
  for (let i = 0; i < 60_000; i++) codes.add(claim(guard, 'flood', `flood ${i}`));
  expect([...codes]).toEqual([undefined, 'rate_limited']);
  expect(claim(guard, 'other', 'other')).toBeUndefined();
  nowMs += windowMs + 1;
  expect(claim(guard, 'flood', 'later')).toBeUndefined();
});
