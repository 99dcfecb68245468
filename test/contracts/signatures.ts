// What every store of used signatures promises.
import { describe, expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import type { SignatureStore } from '../../src/store/ports/signatures.ts';

export interface SignatureAdapter {
  readonly name: string;
  readonly open: (windowMs: number, now: () => number) => SignatureStore;
}

let keys = 0;

export function signatureContract({ name, open }: SignatureAdapter): void {
  describe(`signatures: ${name}`, () => {
    const windowMs = 121_000;

    test('a signature may be used again briefly, from its address, with another body, eight times in all', async () => {
      let now = 1_800_000_000_000;
      const signatures = open(windowMs, () => now);
      const key = `key${keys++}` as KeyId;
      const use = async (signature: string, body: string, address = '192.0.2.1'): Promise<string> =>
        signatures.use({ signature, key, address, body });
      expect(await use('a', 'one')).toBe('good');
      expect(await use('a', 'one')).toBe('replay');
      expect(await use('a', 'two', '192.0.2.2')).toBe('replay');
      now += 3_000;
      expect(await use('a', 'two')).toBe('good');
      now += 1;
      expect(await use('a', 'three')).toBe('replay');
      const nothing = [];
      for (let i = 0; i < 10; i++) nothing.push(await use('b', ''));
      expect(nothing).toEqual([...Array.from({ length: 8 }, () => 'good'), 'replay', 'replay']);
      now += windowMs - 3_001;
      expect(await use('a', 'four')).toBe('replay');
    });

    test('of the same call at the same time, exactly one is let through', async () => {
      const signatures = open(windowMs, () => 1_800_000_000_000);
      const use = { signature: 'a', key: `key${keys++}` as KeyId, address: '192.0.2.1', body: 'one' };
      const verdicts = await Promise.all(Array.from({ length: 20 }, async () => signatures.use(use)));
      expect(verdicts.filter((verdict) => verdict === 'good')).toHaveLength(1);
    });

    test('a key that signs without end is refused until its signatures are old, and no other key is', async () => {
      let now = 1_800_000_000_000;
      const signatures = open(windowMs, () => now);
      const [key, other] = [`key${keys++}` as KeyId, `key${keys++}` as KeyId];
      const flood = Array.from({ length: 5_001 }, async (_, i) =>
        signatures.use({ signature: `${i}`, key, address: '192.0.2.1', body: '' }),
      );
      expect((await Promise.all(flood)).filter((verdict) => verdict !== 'good')).toEqual(['key_full']);
      const use = { signature: 'more', address: '192.0.2.1', body: '' };
      expect(await signatures.use({ ...use, signature: 'other', key: other })).toBe('good');
      expect(await signatures.use({ ...use, key })).toBe('key_full');
      now += windowMs + 1;
      expect(await signatures.use({ ...use, key })).toBe('good');
    });
  });
}
