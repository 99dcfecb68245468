import { generateKeyPairSync, sign } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blankKey, digestOf, generateKey, type StoredKey } from '../domain/api-key.ts';
import type { GatewayError } from '../domain/error.ts';
import { type AccountId, toBase62 } from '../domain/id.ts';
import { unlimited } from '../domain/plan.ts';
import { MemoryFailures } from '../store/memory/failure-budget.ts';
import type { Caller } from '../store/ports/keys.ts';
import type { Current } from './catch-up.ts';
import { identify } from './identify.ts';
import { KeyCache } from './identity/key-cache.ts';
import { canonicalTarget, matchOperation } from './operation.ts';
import { RecordFacts } from './record-facts.ts';

const [mine, yours, unknown] = [generateKey(), generateKey(), generateKey()];
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const head = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');
const wire = Buffer.concat([head, publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)]);
const at = 1_700_000_000;

const stored = (id: StoredKey['id'], kind: StoredKey['kind'], digest: string): StoredKey => ({
  ...blankKey(id, 'acc_a' as AccountId, 0),
  kind,
  digest,
  allowPath: true,
});
const rows = [
  stored(mine.id, 'secret', mine.digest),
  stored(yours.id, 'secret', yours.digest),
  stored('key_cli' as StoredKey['id'], 'signature', digestOf(wire)),
];

/** The identified key or the code of the refusal, and how often the store was asked. */
async function ask(headers: Record<string, string>, path = '/api/tags'): Promise<{ who: string; reads: number }> {
  let reads = 0;
  const who = await whoIs(
    headers,
    path,
    {},
    cacheOf(rows, () => reads++),
  );
  return { who, reads };
}

function cacheOf(keys: readonly StoredKey[], onRead = (): unknown => undefined): KeyCache {
  const find = (is: (key: StoredKey) => boolean): Promise<Caller | undefined> => {
    onRead();
    const key = keys.find(is);
    return Promise.resolve(key && { key, account: undefined as never, plan: unlimited, suspensions: [] });
  };
  const store = {
    findCaller: (id: string) => find((key) => key.id === id),
    findCallerByDigest: (digest: string) => find((key) => key.digest === digest),
  };
  return new KeyCache(
    store,
    [],
    'acc_operator' as AccountId,
    () => 1,
    () => 1,
  );
}

async function whoIs(
  headers: Record<string, string>,
  path: string,
  socket: object,
  keyCache: KeyCache,
): Promise<string> {
  const matched = matchOperation('GET', canonicalTarget(path));
  const request = { headers, socket };
  const received = { request, method: 'GET', target: matched.target, repeated: new Set() };
  const asked = { ...matched, received } as unknown as Current;
  const exchange = {
    at: at * 1000,
    address: '192.0.2.1',
    notes: new RecordFacts(),
    challenge: '',
    scopeChallenge: undefined,
  };
  const throttle = new MemoryFailures(
    () => 9,
    () => 1,
  );
  const tokens = { find: () => Promise.resolve(undefined), holds: () => false };
  const tickets = { keep: () => false, take: () => undefined };
  try {
    const { caller } = await identify(asked, exchange, {
      keyCache,
      tickets,
      tokens,
      throttle,
      signatureSkewMs: 30_000,
    });
    return caller.principal.keyId;
  } catch (error) {
    return (error as GatewayError).code;
  }
}

test('KEY-7: exactly one credential identifies a caller, wherever and however often it is sent', async () => {
  const text = fc.constantFrom(...[mine, yours, unknown].map((key) => key.text.reveal()), 'ollama', 'nonsense', '');
  const maybe = fc.option(text, { nil: undefined });
  const scheme = fc.constantFrom(
    (key: string) => `Bearer ${key}`,
    (key: string) => `bEARER ${key}`,
    (key: string) => `Token  ${key}`,
    (key: string) => `Basic ${btoa(`me:${key}`)}`,
  );
  await fc.assert(
    fc.asyncProperty(maybe, maybe, maybe, scheme, async (inHeader, inAuthorization, inPath, write) => {
      const { who, reads } = await ask(
        {
          ...(inHeader === undefined ? {} : { 'x-api-key': inHeader }),
          ...(inAuthorization === undefined ? {} : { authorization: write(inAuthorization) }),
        },
        inPath === undefined || inPath === '' ? '/api/tags' : `/k/${inPath}/api/tags`,
      );
      // A value that is not shaped like a key is ignored beside one that is.
      const meant = new Set([inHeader, inAuthorization, inPath].filter((one) => one?.startsWith('sekisho_')));
      const [only] = meant;
      const right = [mine, yours].find((key) => key.text.reveal() === only);
      expect(who).toBe(meant.size > 1 ? 'conflicting_credentials' : (right?.id ?? 'invalid_api_key'));
      // KEY-2: no look-up for two keys, or for a value that cannot be a key.
      expect(reads).toBe(meant.size === 1 ? 1 : 0);
    }),
    { numRuns: 400 },
  );
});

test('a key that was proved over a connection proves nothing that a new connection would not', async () => {
  const forged = (of: string, secret: string): string => {
    const body = `sekisho_${of.slice(4)}_${secret.repeat(43)}`;
    return body + toBase62(crc32(body), 6);
  };
  const [first, other] = [mine.text.reveal(), forged(mine.id, '0')];
  const texts = [first, yours.text.reveal(), other, forged(mine.id, 'z'), `${first.slice(0, -1)}-`, 'nonsense'];
  const calls = fc.record({
    connection: fc.nat({ max: 2 }),
    text: fc.constantFrom(...texts),
    change: fc.constantFrom('none', 'none', 'read again', 'gone', 'another secret', 'back'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(calls, { maxLength: 20 }), async (steps) => {
      const keys = [...rows];
      const cache = cacheOf(keys);
      const connections = [{}, {}, {}];
      for (const { connection, text, change } of steps) {
        if (change === 'gone') keys.splice(0);
        else if (change === 'another secret') keys.splice(0, keys.length, stored(mine.id, 'secret', digestOf(other)));
        else if (change === 'back') keys.splice(0, keys.length, ...rows);
        if (change !== 'none') cache.forget();
        const header = { 'x-api-key': text };
        const kept = await whoIs(header, '/api/tags', connections[connection] as object, cache);
        expect(kept).toBe(await whoIs(header, '/api/tags', {}, cache));
      }
    }),
    { numRuns: 300 },
  );
});

test('any text around a key makes it another text', async () => {
  const key = mine.text.reveal();
  const around = fc.string({ unit: 'grapheme-ascii', maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(around, around, async (before, behind) => {
      fc.pre((before + behind).trim() !== '');
      expect((await ask({ authorization: `Bearer ${before}${key}${behind}` })).who).not.toBe(mine.id);
      expect((await ask({ authorization: `${before}Bearer ${key}${behind}` })).who).not.toBe(mine.id);
      if (before.trim() + behind.trim() !== '')
        expect((await ask({ 'x-api-key': `${before}${key}${behind}` })).who).toBe('invalid_api_key');
    }),
  );
});

test('a signature has one spelling, and no other key may accompany it', async () => {
  const signature = sign(null, Buffer.from(`GET,/api/tags?ts=${at}`), privateKey).toString('base64');
  const line = `${wire.toString('base64')}:${signature}`;
  const path = `/api/tags?ts=${at}`;
  expect((await ask({ authorization: line }, path)).who).toBe('key_cli');
  // The last character before the padding has four unused bits.
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const digit = digits.indexOf(line.at(-3) as string);
  for (let spare = 1; spare < 16; spare++)
    expect((await ask({ authorization: `${line.slice(0, -3)}${digits[digit | spare]}==` }, path)).who).toBe(
      'invalid_api_key',
    );
  const beside = async (other: string): Promise<string> =>
    (await ask({ authorization: line, 'x-api-key': other }, path)).who;
  expect(await beside(mine.text.reveal())).toBe('conflicting_credentials');
  expect(await beside('nonsense')).toBe('key_cli');
});
