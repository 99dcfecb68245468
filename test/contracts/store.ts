// The contract of the store: one suite for every database. An adapter's test provides a way to open a store on the same data
// twice, as two processes would.
import { describe, expect, test } from 'vitest';
import type { StoredKey } from '../../src/domain/api-key.ts';
import { generateKey } from '../../src/domain/api-key.ts';
import { type AuditEvent, auditEvent } from '../../src/domain/audit.ts';
import { type KeyId, newRequestId } from '../../src/domain/id.ts';
import { unlimited } from '../../src/domain/plan.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import type { Store } from '../../src/store/ports/store.ts';
import type { Elsewhere } from './racer.ts';

export interface Database {
  open(): Promise<Store>;
  /** How another process opens the same data. */
  readonly elsewhere: Elsewhere;
  drop(): Promise<void>;
}

/** Two stores on the same data for each test, as two processes would have them. */
export function storesOf(
  create: () => Promise<Database>,
): (use: (mine: Store, other: Store) => Promise<void>) => () => Promise<void> {
  return (use) => async () => {
    const database = await create();
    const [mine, other] = [await database.open(), await database.open()];
    try {
      await use(mine, other);
    } finally {
      await mine.close();
      await other.close();
      await database.drop();
    }
  };
}

const event = (at = 1): AuditEvent => auditEvent({ actor: 'test', at }, 'test.act', 'test', null, { at });
/** A key of the operator, not stored yet. */
export const newKey = async (store: Store, extra: Partial<StoredKey> = {}): Promise<StoredKey> => {
  const { id, digest } = generateKey();
  return {
    id,
    accountId: (await store.ensureAccount('operator', unlimited, event(1))).id,
    name: 'ノート',
    kind: 'secret',
    digest,
    status: 'active',
    scopes: ['inference:chat', 'metadata'],
    models: ['gemma3:*'],
    cidr: ['10.0.0.0/8'],
    allowPath: true,
    boundCertificate: null,
    createdAt: 1_700_000_000_000,
    expiresAt: 9_007_199_254_740_991,
    revokedAt: null,
    lastUsedAt: null,
    rotatedFrom: null,
    lineage: id,
    narrowing: { tokensPerDay: 5 },
    ofPage: false,
    ...extra,
  };
};
/** A row of the ledger. */
export const row = (at: number, extra: Partial<UsageRecord> = {}): UsageRecord => ({
  id: newRequestId(at),
  at,
  keyId: 'key_x' as KeyId,
  accountId: 'acc_x' as UsageRecord['accountId'],
  operation: 'chat',
  model: 'gemma3:270m',
  upstream: 'http://x',
  outcome: 'completed',
  status: 200,
  code: null,
  streamed: true,
  promptTokens: 1,
  completionTokens: 9_007_199_254_740_991,
  source: 'exact',
  bytesIn: 1,
  bytesOut: 2,
  firstByteMs: null,
  durationMs: 4,
  queuedMs: 5,
  address: '::1',
  repeats: 3,
  cacheReadTokens: 6,
  cacheWriteTokens: 7,
  reasoningTokens: 8,
  askedModel: 'default:latest',
  fallbackFor: 'gemma3:27b',
  ...extra,
});

export function storeContract(name: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);

  describe(`the store on ${name}`, () => {
    test(
      'returns a key exactly as stored, to another process too',
      withStores(async (mine, other) => {
        const key = await newKey(mine);
        await mine.insertKey(key, event());
        expect(await mine.findKey(key.id)).toEqual(key);
        expect(await other.findKey(key.id)).toEqual(key);
        expect(await mine.findKey('key_nothing' as KeyId)).toBeUndefined();
      }),
    );
    test.each(["' OR '1'='1", '%', '_', '__proto__', '', '\u0000', 'key_'.repeat(10_000)])(
      'finds nothing under %j',
      (id) =>
        withStores(async (mine) => {
          await mine.insertKey(await newKey(mine), event());
          expect(await mine.findKey(id as KeyId)).toBeUndefined();
          expect(await mine.findKeyByDigest(id)).toBeUndefined();
          expect(await mine.revokeKey(id as KeyId, 1, event())).toBe(false);
        })(),
    );
    test(
      'finds by digest only public keys',
      withStores(async (mine) => {
        const [signer, plain] = [await newKey(mine, { kind: 'signature' }), await newKey(mine)];
        await mine.insertKey(signer, event());
        await mine.insertKey(plain, event());
        expect((await mine.findKeyByDigest(signer.digest))?.id).toBe(signer.id);
        expect(await mine.findKeyByDigest(plain.digest)).toBeUndefined();
      }),
    );
    test(
      'never holds two keys with one digest',
      withStores(async (mine, other) => {
        const key = await newKey(mine);
        await mine.insertKey(key, event());
        await expect(other.insertKey({ ...key, id: 'key_other' as KeyId }, event())).rejects.toThrow();
      }),
    );
    test(
      'makes an account once, however many requests ask for it',
      withStores(async (mine, other) => {
        const ask = (store: Store) =>
          Promise.all(Array.from({ length: 10 }, (_, i) => store.ensureAccount('friends', 'default', event(i))));
        const ids = [...(await ask(mine)), ...(await ask(other))];
        expect(new Set(ids.map(({ id }) => id)).size).toBe(1);
        expect(await mine.listAudit({ limit: 10 })).toHaveLength(1);
      }),
    );
    test(
      'keeps the first time of a revocation',
      withStores(async (mine) => {
        const key = await newKey(mine);
        await mine.insertKey(key, event());
        expect(await mine.revokeKey(key.id, 5, event())).toBe(true);
        expect(await mine.revokeKey(key.id, 9, event())).toBe(true);
        expect(await mine.findKey(key.id)).toMatchObject({ status: 'revoked', revokedAt: 5 });
      }),
    );
    test(
      'rotates a key completely or not at all',
      withStores(async (mine) => {
        const [old, next] = [await newKey(mine, { expiresAt: null }), await newKey(mine)];
        await mine.insertKey(old, event());
        await mine.rotateKey(old.id, { ...next, rotatedFrom: old.id }, 77, event());
        expect(await mine.findKey(old.id)).toMatchObject({ expiresAt: 77 });
        expect(await mine.findKey(next.id)).toMatchObject({ rotatedFrom: old.id });
        await expect(mine.rotateKey(old.id, next, 99, event())).rejects.toThrow();
        expect(await mine.findKey(old.id)).toMatchObject({ expiresAt: 77 });
      }),
    );
    test(
      'records a row once, however often it is written, and returns it exactly',
      withStores(async (mine, other) => {
        const rows = Array.from({ length: 1200 }, (_, i) => row(i));
        await mine.appendUsage(rows);
        await other.appendUsage(rows.slice(600));
        const found = await other.listUsage(5000);
        expect(found).toEqual(rows.toReversed());
        expect(await mine.knownUsage([rows[3]!.id, 'req_nothing'])).toEqual(new Set([rows[3]!.id]));
        expect((await mine.listUsage(2)).map((entry) => entry.at)).toEqual([1199, 1198]);
      }),
    );
    test(
      'records a batch completely or not at all',
      withStores(async (mine) => {
        const wrong = { ...row(2), operation: null as unknown as string };
        await expect(mine.appendUsage([row(1), wrong])).rejects.toThrow();
        expect(await mine.listUsage(10)).toEqual([]);
      }),
    );
    test(
      'reads a row of an older journal, without a count, some figures and asked names, as one exchange',
      withStores(async (mine) => {
        const whole = row(1);
        const lacking = [
          'repeats',
          'cacheReadTokens',
          'cacheWriteTokens',
          'reasoningTokens',
          'askedModel',
          'fallbackFor',
        ];
        const older = Object.fromEntries(Object.entries(whole).filter(([field]) => !lacking.includes(field)));
        await mine.appendUsage([older as unknown as UsageRecord]);
        const filled = {
          repeats: 1,
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
          askedModel: null,
          fallbackFor: null,
        };
        expect(await mine.listUsage(10)).toEqual([{ ...whole, ...filled }]);
        expect(await mine.reportUsage('quarter', 0, 1)).toMatchObject([{ requests: 1 }]);
      }),
    );
    test(
      'keeps what services cost, and adds it up by unit beside the other sums',
      withStores(async (mine) => {
        const call = (n: number, operation: string, unit: string, units: number): UsageRecord =>
          row(n, { operation, model: null, outcome: 'completed', cost: { unit, units } });
        const calls = [
          call(1, 'route:a', 'images', 2),
          call(2, 'route:a', 'images', 3),
          call(3, 'route:a', 'seconds', 4),
          call(4, 'route:b', 'images', 5),
        ];
        await mine.appendUsage(calls);
        await mine.appendUsage(calls);
        expect(await mine.listUsage(10)).toEqual(calls.toReversed());
        expect(await mine.reportUsage('quarter', 0, 1)).toMatchObject([{ units: { images: 10, seconds: 4 } }]);
        const byModel = await mine.reportUsage('model', 0, 1);
        expect(Object.fromEntries(byModel.map(({ group, units }) => [group, units]))).toEqual({
          'route:a': { images: 5, seconds: 4 },
          'route:b': { images: 5 },
        });
      }),
    );
    test(
      'records when keys were last used, and ignores unknown ids',
      withStores(async (mine) => {
        const [used, unused] = [await newKey(mine, { createdAt: 1 }), await newKey(mine, { createdAt: 2 })];
        await mine.insertKey(used, event());
        await mine.insertKey(unused, event());
        await mine.touchKeys(
          new Map([
            [used.id, 30],
            ['key_static_x' as KeyId, 40],
          ]),
        );
        expect((await mine.listKeys()).map((key) => key.lastUsedAt)).toEqual([30, null]);
        // A row may arrive long after its exchange began, when a later one has already been recorded.
        await mine.touchKeys(new Map([[used.id, 20]]));
        expect((await mine.listKeys()).map((key) => key.lastUsedAt)).toEqual([30, null]);
        await mine.touchKeys(new Map([[used.id, 31]]));
        expect((await mine.listKeys()).map((key) => key.lastUsedAt)).toEqual([31, null]);
      }),
    );
    test(
      'reports that it cannot answer once it is closed',
      withStores(async (mine) => {
        await mine.ping();
        await mine.close();
        await expect(mine.ping()).rejects.toThrow();
      }),
    );
  });
}
