// Several gates on one Redis that is slow, hung, full, read-only, flushed, restarted with old data, or gone: what was used is counted
// once, no limit is exceeded, and everything goes on by itself. The ledger here is a list of rows, as every gate would read it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StoredKey } from '../../src/domain/api-key.ts';
import { Calendar } from '../../src/domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../../src/domain/id.ts';
import type { Ask, Use } from '../../src/domain/limit.ts';
import { type Narrowing, openTerms, type Terms } from '../../src/domain/plan.ts';
import { type Principal, principalOf } from '../../src/domain/principal.ts';
import type { UsageBucket } from '../../src/domain/usage.ts';
import { MemoryLimits } from '../../src/store/memory/limit-store.ts';
import type { AccountLimits, Lease, Reserved } from '../../src/store/ports/limit-store.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import type { BookSource } from '../../src/store/redis/book-source.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { RedisLimits } from '../../src/store/redis/limit-store.ts';
import { eventually } from '../gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

interface Row {
  readonly id: RequestId;
  readonly at: number;
  readonly keyId: KeyId;
  readonly use: Use;
}

/** A gate as far as limits go: its connection, its store, and the rows that it has not written yet. */
interface Gate {
  readonly limits: RedisLimits;
  readonly client: RedisClient;
  readonly account: AccountLimits;
  /** A gate of another time: its clock shows this much more. */
  readonly aheadMs: number;
}

const accountId = 'acc_a' as AccountId;
const calendar = new Calendar('UTC');
let redis: RedisServer;
let url = '';
let rows: Row[] = [];
let gates: Gate[] = [];
let made = 0;
let asked = 0;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => {
  rows = [];
  gates = [];
  url = redis.database();
});
afterEach(async () => {
  for (const { limits, client } of gates) {
    await limits.close();
    await client.close();
  }
});

const books: BookSource = {
  known: (ids) => Promise.resolve(new Set(rows.map(({ id }) => id as string).filter((id) => ids.includes(id)))),
  sums: async (account, at) => {
    // A ledger takes its time.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const buckets = rows.map(
      ({ at: began, keyId, use }): UsageBucket => ({ at: began, accountId: account, keyId, refusals: 0, ...use }),
    );
    const { startsAt } = calendar.minute(at);
    return { minutes: buckets.filter((bucket) => bucket.at >= startsAt), quarters: buckets };
  },
};

async function openGates(count: number, aheadMs = 0, alive: readonly string[] = []): Promise<Gate[]> {
  const opened = await Promise.all(
    Array.from({ length: count }, async () => {
      const now = (): number => Date.now() + aheadMs;
      const client = await RedisClient.open({ address: readAddress(url)!, now });
      const gate = `gate${++made}#1`;
      const known = (): readonly string[] => (alive.length > 0 ? alive : [gate]);
      const without = new MemoryLimits(calendar);
      const limits = await RedisLimits.open({ client, calendar, now, books, gate, gates: known, without });
      return { limits, client, aheadMs, account: await limits.open(accountId, [], now()) };
    }),
  );
  gates.push(...opened);
  return opened;
}

function caller(terms: Partial<Terms>, narrowing: Narrowing = {}, id = 'key_a'): Principal {
  const key = { id, lineage: id, accountId, kind: 'secret', digest: '', status: 'active' };
  const rest = { scopes: [], models: ['*'], cidr: [], allowPath: false, boundCertificate: null, expiresAt: null };
  const stored = { ...key, ...rest, narrowing } as unknown as StoredKey;
  return principalOf(stored, { ...openTerms, ...terms, name: 'p', version: 1 }, []);
}

const ask: Ask = { requests: 1, promptTokens: 10, completionTokens: 10, units: 0, spends: true };
const reserve = async ({ account, aheadMs }: Gate, who: Principal): Promise<Reserved & { readonly id: RequestId }> => {
  const id = `req_${++asked}` as RequestId;
  const reserved = await account.of(who.lineage).reserve(id, ask, who, Date.now() + aheadMs, false);
  return Object.assign(reserved, { id });
};
const leasesOf = <T extends Reserved>(all: readonly T[]): (T & Lease)[] =>
  all.filter((each): each is T & Lease => each.kind === 'lease');
/** Many calls at all gates at once. */
const storm = (count: number, who: Principal, among = gates): Promise<(Reserved & { readonly id: RequestId })[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => reserve(among[i % among.length]!, who)));
const usedBy = async (gate: Gate, who: Principal): Promise<number[]> => {
  const standing = await gate.account.of(who.lineage).look(who, Date.now() + gate.aheadMs, false);
  return [...who.limits.map((limit) => standing.used(limit)), standing.running('account')];
};
/** The call ends, and its row reaches the ledger. */
function finish(gate: Gate, lease: Lease & { readonly id: RequestId }, who: Principal, tokens = 10): void {
  const use = { requests: 1, promptTokens: tokens, completionTokens: 0, units: 0 };
  lease.settle(use);
  rows.push({ id: lease.id, at: lease.at, keyId: who.lineage, use });
  gate.limits.landed([lease.id]);
}
const isUp = ({ client }: Gate): void => {
  if (client.state !== 'up') throw new Error(client.state);
};
const refusal = { code: 'limits_unavailable', status: 503 };

describe('several gates', () => {
  test('four gates let through what one would, of every limit at once', async () => {
    await openGates(4);
    const wide = caller({ requestsPerDay: 90, tokensPerDay: 1_200, concurrentRequests: 40 }, {}, 'key_wide');
    const narrow = caller(
      { requestsPerDay: 90, tokensPerDay: 1_200, concurrentRequests: 40 },
      { requestsPerDay: 7, concurrentRequests: 5 },
      'key_narrow',
    );
    const [ofNarrow, ofWide] = await Promise.all([storm(40, narrow), storm(120, wide)]);
    expect(leasesOf(ofNarrow)).toHaveLength(5);
    expect(leasesOf(ofWide)).toHaveLength(35);
    for (const [i, lease] of ofWide.entries()) if (lease.kind === 'lease') finish(gates[i % 4]!, lease, wide, 20);
    for (const [i, lease] of ofNarrow.entries()) if (lease.kind === 'lease') finish(gates[i % 4]!, lease, narrow, 20);
    await eventually(async () => expect(await usedBy(gates[0]!, wide)).toEqual([40, 800, 0]));
    // 800 tokens are gone, so 20 calls of 20 fit; the narrow key has two requests left.
    expect(leasesOf(await storm(40, narrow))).toHaveLength(2);
    expect(leasesOf(await storm(120, wide))).toHaveLength(18);
    expect(await usedBy(gates[0]!, wide)).toEqual([60, 1_200, 20]);
  });

  test('gates that open one cold account at once count its past once', async () => {
    const who = caller({ requestsPerDay: 10, tokensPerDay: 1_000 });
    const use = { requests: 1, promptTokens: 10, completionTokens: 0, units: 0 };
    for (let i = 0; i < 3; i++) rows.push({ id: `req_old${i}` as RequestId, at: Date.now(), keyId: who.lineage, use });
    await openGates(4);
    expect(leasesOf(await storm(40, who))).toHaveLength(7);
    expect(await usedBy(gates[3]!, who)).toEqual([10, 170, 7]);
  });

  test('a call that waits at one gate hears when a call ends at another', async () => {
    const [one, other] = (await openGates(2)) as [Gate, Gate];
    const who = caller({ concurrentRequests: 1 });
    const [lease] = leasesOf([await reserve(one, who)]);
    const told = new Promise<Reserved>((resolve) => {
      other.account.onEnd = () => void reserve(other, who).then(resolve);
    });
    expect((await reserve(other, who)).kind).toBe('crowded');
    // The subscription is made beside everything else.
    await eventually(async () => expect(await redis.ask('PUBSUB', 'CHANNELS')).toContain('ends'));
    finish(one, lease!, who);
    expect((await told).kind).toBe('lease');
  });

  test('a gate whose clock is an hour off counts in the windows of the others, and its rows with them', async () => {
    const who = caller({ requestsPerHour: 10, requestsPerDay: 10 });
    await openGates(2);
    await openGates(1, -3_600_000);
    const all = await storm(30, who);
    expect(leasesOf(all)).toHaveLength(10);
    for (const lease of leasesOf(all)) expect(Math.abs(lease.at - Date.now())).toBeLessThan(5_000);
  });

  test("a dead gate's calls stop counting as running, and their true figures replace what they had reserved", async () => {
    const [dead, other] = (await openGates(2)) as [Gate, Gate];
    const who = caller({ tokensPerDay: 1_000, concurrentRequests: 1 });
    const [lease] = leasesOf([await reserve(dead, who)]);
    await dead.limits.close();
    expect((await reserve(other, who)).kind).toBe('crowded');
    // Thirty seconds later.
    await other.client.command('ZADD', `{${accountId}}:l`, 1, lease!.id);
    rows.push({
      id: lease!.id,
      at: lease!.at,
      keyId: who.lineage,
      use: { ...ask, promptTokens: 3, completionTokens: 0 },
    });
    const next = leasesOf([await reserve(other, who)]);
    expect(next).toHaveLength(1);
    await eventually(async () => expect(await usedBy(other, who)).toEqual([23, 1]));
  });
});

describe('Redis that forgets', () => {
  test.each(['flushed', 'restarted empty', 'restarted with the data of a moment ago'])(
    'a Redis that is %s gets back what runs and what was used, and no limit is exceeded meanwhile',
    async (how) => {
      const alive: string[] = [`gate${made + 1}#1`, `gate${made + 2}#1`];
      const [one, other] = (await openGates(2, 0, alive)) as [Gate, Gate];
      const who = caller({ requestsPerDay: 12, concurrentRequests: 6 });
      const before = leasesOf([await reserve(one, who), await reserve(other, who)]);
      if (how.includes('moment')) await redis.ask('SAVE');
      // Since then: one call ended and is in the ledger, one ended and is not, one was cancelled, and four began.
      finish(one, before[0]!, who);
      before[1]!.settle({ requests: 1, promptTokens: 1, completionTokens: 1, units: 0 });
      leasesOf([await reserve(one, who)])[0]!.cancel();
      const running = leasesOf(await storm(4, who));
      expect(await usedBy(one, who)).toEqual([6, 4]);
      if (how === 'flushed') await redis.ask('FLUSHALL');
      else {
        await redis.kill();
        if (how.includes('empty')) await redis.ask('PING').catch(() => undefined);
        await redis.start();
      }
      await eventually(() => gates.forEach(isUp));
      const through = leasesOf(await storm(40, who));
      expect(running.length + through.length).toBe(6);
      await eventually(async () => expect(await usedBy(other, who)).toEqual([8, 6]));
      for (const lease of through) lease.cancel();
      for (const [i, lease] of running.entries()) finish(gates[i % 2]!, lease, who);
      await eventually(async () => expect(await usedBy(other, who)).toEqual([6, 0]));
      expect(leasesOf(await storm(40, who))).toHaveLength(6);
    },
  );

  test('a flush under load lets no call through twice', async () => {
    await openGates(2);
    const who = caller({ requestsPerDay: 30 });
    let through = 0;
    const load = Array.from({ length: 8 }, async (_, i) => {
      const gate = gates[i % 2]!;
      for (let n = 0; n < 25; n++) {
        const [lease] = leasesOf([await reserve(gate, who)]);
        if (!lease) continue;
        through++;
        finish(gate, lease, who);
        if (n === 2) await redis.ask('FLUSHALL');
      }
    });
    await Promise.all(load);
    expect(through).toBe(30);
  });
});

describe('Redis that is away', () => {
  const long = caller({ requestsPerDay: 20 });
  const short = caller({ requestsPerMinute: 1_000, concurrentRequests: 4 }, {}, 'key_short');
  const ways: Record<string, [() => Promise<unknown> | void, () => Promise<unknown> | void]> = {
    hung: [() => redis.signal('SIGSTOP'), () => redis.signal('SIGCONT')],
    gone: [() => redis.kill(), () => redis.start()],
    'read-only': [() => redis.ask('REPLICAOF', '127.0.0.1', '1'), () => redis.ask('REPLICAOF', 'NO', 'ONE')],
    full: [() => redis.ask('CONFIG', 'SET', 'maxmemory', '1'), () => redis.ask('CONFIG', 'SET', 'maxmemory', '0')],
  };

  test.each(Object.keys(ways))(
    'while it is %s, long windows are closed and short ones go on; what went on counts afterwards',
    async (how) => {
      const [gate] = (await openGates(1)) as [Gate];
      const [away, back] = ways[how]!;
      const [first] = leasesOf([await reserve(gate, long)]);
      await away();
      await expect(reserve(gate, long)).rejects.toMatchObject(refusal);
      const alone = leasesOf(await storm(6, short));
      // The first call runs, too.
      expect(alone).toHaveLength(3);
      finish(gate, first!, long);
      finish(gate, alone[0]!, short);
      await back();
      await eventually(() => isUp(gate));
      await eventually(async () => {
        // Two calls of the short key run on, and the refused one left nothing.
        expect(await usedBy(gate, short)).toEqual([4, 2]);
        expect(await usedBy(gate, long)).toEqual([4, 2]);
      });
      expect((await reserve(gate, long)).kind).toBe('lease');
    },
  );

  test('each of several gates has its share, at least one call, from the next minute on', async () => {
    const names = [1, 2, 3, 4].map((n) => `gate${made + n}#1`);
    await openGates(4, 0, names);
    const few = caller({ requestsPerMinute: 8, concurrentRequests: 3 });
    const byCalls = caller({ concurrentRequests: 8 }, {}, 'key_calls');
    await redis.kill();
    try {
      await expect(reserve(gates[0]!, few)).rejects.toMatchObject(refusal);
      expect(leasesOf(await storm(40, byCalls))).toHaveLength(8);
    } finally {
      await redis.start();
    }
  });

  test('answers that take a tenth of a second are waited for', async () => {
    const [gate] = (await openGates(1)) as [Gate];
    for (let i = 0; i < 5; i++) {
      await redis.ask('CLIENT', 'PAUSE', '100', 'ALL');
      expect((await reserve(gate, long)).kind).toBe('lease');
    }
    expect(gate.client.state).toBe('up');
    expect(await usedBy(gate, long)).toEqual([5, 5]);
  });
});
