// Several gates on one Redis that is slow, hung, full, read-only, flushed, restarted with old data, or gone: what was used is counted
// once, no limit is exceeded, and everything goes on by itself. The ledger here is a list of rows, as every gate would read it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RequestId } from '../../src/domain/id.ts';
import type { Reserved } from '../../src/store/ports/limit-store.ts';
import { seed } from '../../src/store/redis/limit-scripts.ts';
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts';
import { eventually, withinOneMinute } from '../gate.ts';
import { accountId, ask, caller, type LimitGate as Gate, isUp, LimitGates, leasesOf } from '../limit-gates.ts';
import { type RedisServer, startRedis } from '../redis.ts';

let redis: RedisServer;
let all: LimitGates;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => {
  all = new LimitGates(redis.database());
});
afterEach(() => all.close());

type Wait = PromiseWithResolvers<void>;

const minuteNow = (): number => Math.floor(Date.now() / 60_000);
const refusal = { code: 'limits_unavailable', status: 503 };
/** For tests in which Redis hangs, so that they need not wait for long. */
const hurriedMs = 1_000;

/** Calls `onQuestion` before each question about limits from now on, with its number. */
function questionsOf({ client }: Gate, onQuestion: (number: number) => void): void {
  let asked = 0;
  const run = client.run.bind(client);
  client.run = (...given) => {
    const [, keys] = given;
    if (keys.includes(`{${accountId}}:b`)) onQuestion(++asked);
    return run(...given);
  };
}

describe('several gates', () => {
  test('four gates let through what one would, of every limit at once', async () => {
    await all.openGates(4);
    const wide = caller({ requestsPerDay: 90, tokensPerDay: 1_200, concurrentRequests: 40 }, {}, 'key_wide');
    const narrow = caller(
      { requestsPerDay: 90, tokensPerDay: 1_200, concurrentRequests: 40 },
      { requestsPerDay: 7, concurrentRequests: 5 },
      'key_narrow',
    );
    const [ofNarrow, ofWide] = await Promise.all([all.storm(40, narrow), all.storm(120, wide)]);
    expect(leasesOf(ofNarrow)).toHaveLength(5);
    expect(leasesOf(ofWide)).toHaveLength(35);
    for (const [i, lease] of ofWide.entries())
      if (lease.kind === 'lease') all.finish(all.gates[i % 4]!, lease, wide, 20);
    for (const [i, lease] of ofNarrow.entries())
      if (lease.kind === 'lease') all.finish(all.gates[i % 4]!, lease, narrow, 20);
    await eventually(async () => expect(await all.usedBy(all.gates[0]!, wide)).toEqual([40, 800, 0]));
    // 800 tokens are gone, so 20 calls of 20 fit; the narrow key has two requests left.
    expect(leasesOf(await all.storm(40, narrow))).toHaveLength(2);
    expect(leasesOf(await all.storm(120, wide))).toHaveLength(18);
    expect(await all.usedBy(all.gates[0]!, wide)).toEqual([60, 1_200, 20]);
  });

  test('gates that open one cold account at once count its past once', async () => {
    const who = caller({ requestsPerDay: 10, tokensPerDay: 1_000 });
    const use = { requests: 1, promptTokens: 10, completionTokens: 0, units: 0 };
    for (let i = 0; i < 3; i++)
      all.rows.push({ id: `req_old${i}` as RequestId, at: Date.now(), keyId: who.lineage, use });
    await all.openGates(4);
    expect(leasesOf(await all.storm(40, who))).toHaveLength(7);
    expect(await all.usedBy(all.gates[3]!, who)).toEqual([10, 170, 7]);
  });

  test('a call that waits at one gate hears when a call ends at another', async () => {
    const [one, other] = (await all.openGates(2)) as [Gate, Gate];
    const who = caller({ concurrentRequests: 1 });
    const [lease] = leasesOf([await all.reserve(one, who)]);
    const told = new Promise<Reserved>((resolve) => {
      other.account.onEnd = () => void all.reserve(other, who).then(resolve);
    });
    expect((await all.reserve(other, who)).kind).toBe('crowded');
    // The subscription is made beside everything else.
    await eventually(async () => expect(await redis.ask('PUBSUB', 'CHANNELS')).toContain('ends'));
    all.finish(one, lease!, who);
    expect((await told).kind).toBe('lease');
  });

  test('a gate whose clock is an hour off counts in the windows of the others, and its rows with them', async () => {
    const who = caller({ requestsPerHour: 10, requestsPerDay: 10 });
    await all.openGates(2);
    await all.openGates(1, -3_600_000);
    const before = Date.now();
    const calls = await all.storm(30, who);
    const after = Date.now();
    expect(leasesOf(calls)).toHaveLength(10);
    for (const { at } of leasesOf(calls)) {
      expect(at).toBeGreaterThan(before - 5_000);
      expect(at).toBeLessThan(after + 5_000);
    }
  });

  test("a dead gate's calls stop counting as running, and their true figures replace what they had reserved", async () => {
    const [dead, other] = (await all.openGates(2)) as [Gate, Gate];
    const who = caller({ tokensPerDay: 1_000, concurrentRequests: 1 });
    const [lease] = leasesOf([await all.reserve(dead, who)]);
    await dead.limits.close();
    expect((await all.reserve(other, who)).kind).toBe('crowded');
    // Thirty seconds later.
    await other.client.command('ZADD', `{${accountId}}:l`, 1, lease!.id);
    all.rows.push({
      id: lease!.id,
      at: lease!.at,
      keyId: who.lineage,
      use: { ...ask, promptTokens: 3, completionTokens: 0 },
    });
    const next = leasesOf([await all.reserve(other, who)]);
    expect(next).toHaveLength(1);
    await eventually(async () => expect(await all.usedBy(other, who)).toEqual([23, 1]));
  });
});

test('a call that a gate had let in and not begun when it was killed counts no more once that gate has started again', async () => {
  const [killed, other] = (await all.openGates(2)) as [Gate, Gate];
  const who = caller({ requestsPerDay: 10, tokensPerDay: 1_000, concurrentRequests: 5 });
  const [lease] = leasesOf([await all.reserve(killed, who)]);
  await killed.limits.close();
  expect(await all.usedBy(other, who)).toEqual([1, 20, 1]);
  await all.openGates(1, 0, [], killed.name.replace('#1', '#2'));
  // Thirty seconds later.
  await other.client.command('ZADD', `{${accountId}}:l`, 1, lease!.id);
  await eventually(async () => expect(await all.usedBy(other, who)).toEqual([0, 0, 0]));
});

describe('Redis that forgets', () => {
  test.each(['flushed', 'restarted empty', 'restarted with the data of a moment ago'])(
    'a Redis that is %s gets back what runs and what was used, and no limit is exceeded meanwhile',
    async (how) => {
      const alive: string[] = [all.nextName(1), all.nextName(2)];
      const [one, other] = (await all.openGates(2, 0, alive)) as [Gate, Gate];
      const who = caller({ requestsPerDay: 12, concurrentRequests: 6 });
      const before = leasesOf([await all.reserve(one, who), await all.reserve(other, who)]);
      if (how.includes('moment')) await redis.ask('SAVE');
      // Since then: one call ended and is in the ledger, one ended and is not, one was cancelled, and four began.
      all.finish(one, before[0]!, who);
      before[1]!.settle({ requests: 1, promptTokens: 1, completionTokens: 1, units: 0 });
      leasesOf([await all.reserve(one, who)])[0]!.cancel();
      const running = leasesOf(await all.storm(4, who));
      expect(await all.usedBy(one, who)).toEqual([6, 4]);
      if (how === 'flushed') await redis.ask('FLUSHALL');
      else {
        await redis.kill();
        if (how.includes('empty')) await redis.ask('PING').catch(() => undefined);
        await redis.start();
      }
      await eventually(() => all.gates.forEach(isUp));
      const through = leasesOf(await all.storm(40, who));
      expect(running.length + through.length).toBe(6);
      await eventually(async () => expect(await all.usedBy(other, who)).toEqual([8, 6]));
      for (const lease of through) lease.cancel();
      for (const [i, lease] of running.entries()) all.finish(all.gates[i % 2]!, lease, who);
      await eventually(async () => expect(await all.usedBy(other, who)).toEqual([6, 0]));
      expect(leasesOf(await all.storm(40, who))).toHaveLength(6);
    },
  );

  test('a flush while a gate asks whether there was one lets no call through twice', async () => {
    const alive: string[] = [all.nextName(1), all.nextName(2)];
    const [one, other] = (await all.openGates(2, 0, alive)) as [Gate, Gate];
    const who = caller({ requestsPerDay: 12, concurrentRequests: 1 });
    // It makes the book, so it knows that both have entered what they run.
    expect(await all.usedBy(other, who)).toEqual([0, 0]);
    expect((await all.reserve(one, who)).kind).toBe('lease');
    // It was asked just before the flush, and its answer arrives afterwards.
    const [given, free, cold] = [0, 1, 2].map(() => Promise.withResolvers<void>()) as [Wait, Wait, Wait];
    const run = other.client.run.bind(other.client);
    other.client.run = async (...asked) => {
      const answer = await run(...asked);
      if (asked[1].includes(`{${accountId}}:b`)) cold.resolve();
      if (!asked[1].includes('{gates}:run')) return answer;
      given.resolve();
      await free.promise;
      return answer;
    };
    void other.limits.tick();
    await given.promise;
    await redis.ask('FLUSHALL');
    const asked = all.reserve(other, who);
    await cold.promise;
    // The gate has acted on it.
    await new Promise((resolve) => setImmediate(resolve));
    free.resolve();
    expect((await asked).kind).toBe('crowded');
  });

  test('rows that another gate makes the book without, while they come from a journal, count as soon as gates hear of them', async () => {
    const [one, other] = (await all.openGates(2)) as [Gate, Gate];
    const who = caller({ requestsPerDay: 5 });
    expect(leasesOf(await all.storm(2, who))).toHaveLength(2);
    all.recover(who);
    expect(await all.usedBy(one, who)).toEqual([3, 2]);
    all.recover(who);
    expect(leasesOf(await all.storm(10, who))).toHaveLength(1);
    expect(await all.usedBy(other, who)).toEqual([5, 3]);
  });

  test('a gate that has not heard of a journal leaves a book with its rows as it is', async () => {
    const [one, other] = (await all.openGates(2)) as [Gate, Gate];
    const who = caller({ requestsPerDay: 5 });
    all.recover(who);
    expect(await all.usedBy(one, who)).toEqual([1, 0]);
    all.recoveries = 0;
    all.rows.length = 0;
    expect(await all.usedBy(other, who)).toEqual([1, 0]);
    expect(leasesOf(await all.storm(10, who))).toHaveLength(4);
  });

  test('a gate that is late with a book does not undo what was counted since it asked the ledger', async () => {
    const [late, other] = (await all.openGates(2)) as [Gate, Gate];
    const who = caller({ requestsPerDay: 5 });
    const [read, free] = [0, 1].map(() => Promise.withResolvers<void>()) as [Wait, Wait];
    const run = late.client.run.bind(late.client);
    late.client.run = async (...asked) => {
      if (asked[0] !== seed) return run(...asked);
      read.resolve();
      await free.promise;
      return run(...asked);
    };
    const seen = all.usedBy(late, who);
    await read.promise;
    for (const lease of leasesOf(await all.storm(3, who, [other]))) all.finish(other, lease, who);
    await eventually(async () => expect(await other.client.command('HLEN', `{${accountId}}:ld`)).toBe(0));
    // Something did not reach Redis, so the book is to be made again.
    await other.client.command('HDEL', `{${accountId}}:b`, 'seed');
    free.resolve();
    expect(await seen).toEqual([3, 0]);
    expect(leasesOf(await all.storm(10, who))).toHaveLength(2);
  });

  test('a gate that hears of a flush only when the last row of an account is in the ledger still has its book made again', async () => {
    const alive: string[] = [all.nextName(1), all.nextName(2)];
    const [late, other] = (await all.openGates(2, 0, alive)) as [Gate, Gate];
    const who = caller({ requestsPerDay: 12 });
    expect(await all.usedBy(other, who)).toEqual([0, 0]);
    const [lease] = leasesOf([await all.reserve(late, who)]) as [Reserved & { kind: 'lease' } & { id: RequestId }];
    const use = { requests: 1, promptTokens: 10, completionTokens: 0, units: 0 };
    lease.settle(use);
    const [asked, free] = [0, 1].map(() => Promise.withResolvers<void>()) as [Wait, Wait];
    const run = late.client.run.bind(late.client);
    late.client.run = async (...given) => {
      const answer = await run(...given);
      if (!given[1].includes('{gates}:run')) return answer;
      asked.resolve();
      await free.promise;
      return answer;
    };
    const ticked = late.limits.tick();
    await asked.promise;
    await redis.ask('FLUSHALL');
    // It was given the time to enter what it holds.
    expect(await all.usedBy(other, who)).toEqual([0, 0]);
    all.rows.push({ id: lease.id, at: lease.at, keyId: who.lineage, use });
    late.limits.landed([lease.id]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    free.resolve();
    await ticked;
    await eventually(async () => expect(await all.usedBy(other, who)).toEqual([1, 0]));
  });

  test('S5: a flush under load lets no call through twice', async () => {
    await all.openGates(2);
    const who = caller({ requestsPerDay: 30 });
    let through = 0;
    const load = Array.from({ length: 8 }, async (_, i) => {
      const gate = all.gates[i % 2]!;
      for (let n = 0; n < 25; n++) {
        const [lease] = leasesOf([await all.reserve(gate, who)]);
        if (!lease) continue;
        through++;
        all.finish(gate, lease, who);
        if (n === 2) await redis.ask('FLUSHALL');
      }
    });
    await Promise.all(load);
    expect(through).toBe(30);
  });
});

describe('an answer of Redis that is lost', () => {
  const who = caller({ requestsPerDay: 10, concurrentRequests: 100 });
  const losses: Record<string, (proxy: FaultProxy, gate: Gate) => () => unknown> = {
    'with its connection': (proxy) => {
      proxy.faults = { reset: 1 };
      return () => (proxy.faults = {});
    },
    'because it comes late': (_, gate) => {
      redis.signal('SIGSTOP');
      questionsOf(gate, (number) => number === 2 && redis.signal('SIGCONT'));
      return () => undefined;
    },
  };

  test.each([
    ['once about a call that its gateway can decide alone', { requestsPerMinute: 10, concurrentRequests: 5 }, 1],
    ['twice about one that would be refused without it', { requestsPerDay: 10 }, 2],
  ])('a Redis that hangs is asked %s', (_, terms, times) =>
    withinOneMinute(async () => {
      const gates = new LimitGates(redis.database(), hurriedMs);
      const [gate] = (await gates.openGates(1)) as [Gate];
      const limited = caller(terms);
      expect((await gates.reserve(gate, limited)).kind).toBe('lease');
      let asked = 0;
      questionsOf(gate, (number) => (asked = number));
      redis.signal('SIGSTOP');
      try {
        const reserved = gates.reserve(gate, limited);
        if (times === 1) expect((await reserved).kind).toBe('lease');
        else await expect(reserved).rejects.toMatchObject(refusal);
        expect(asked).toBe(times);
      } finally {
        redis.signal('SIGCONT');
      }
      await eventually(async () =>
        expect(await gates.usedBy(gate, limited)).toEqual([times === 1 ? 2 : 1, times === 1 ? 2 : 1]),
      );
      await gates.close();
    }),
  );

  test.each(Object.keys(losses))('%s refuses no call at several gates, and each counts once', async (how) => {
    const proxy = await startFaultProxy(`http://127.0.0.1:${redis.port}`);
    const url = new URL(redis.database());
    url.port = new URL(proxy.url).port;
    const alive = [all.nextName(1), all.nextName(2)];
    const others = new LimitGates(url.href, hurriedMs);
    const [gate] = (await others.openGates(1, 0, alive)) as [Gate];
    try {
      expect((await others.reserve(gate, who)).kind).toBe('lease');
      const over = losses[how]!(proxy, gate);
      const asked = Promise.all([others.reserve(gate, who), others.reserve(gate, who)]);
      void asked.catch(() => undefined);
      if (how === 'with its connection') await eventually(() => expect(gate.client.state).toBe('degraded'));
      over();
      expect(leasesOf(await asked)).toHaveLength(2);
      expect(await others.usedBy(gate, who)).toEqual([3, 3]);
      expect(leasesOf(await others.storm(20, who))).toHaveLength(7);
    } finally {
      await others.close();
      await proxy.close();
    }
  });
});

describe('Redis that is away', () => {
  const rights = (kind: string): [() => Promise<unknown>, () => Promise<unknown>] => [
    () => redis.ask('ACL', 'SETUSER', 'default', `-${kind}`),
    () => redis.ask('ACL', 'SETUSER', 'default', `+${kind}`),
  ];
  const long = caller({ requestsPerDay: 20 });
  const short = caller({ requestsPerMinute: 1_000, concurrentRequests: 4 }, {}, 'key_short');
  const ways: Record<string, [() => Promise<unknown> | void, () => Promise<unknown> | void]> = {
    hung: [() => redis.signal('SIGSTOP'), () => redis.signal('SIGCONT')],
    gone: [() => redis.kill(), () => redis.start()],
    'read-only': [() => redis.ask('REPLICAOF', '127.0.0.1', '1'), () => redis.ask('REPLICAOF', 'NO', 'ONE')],
    full: [() => redis.ask('CONFIG', 'SET', 'maxmemory', '1'), () => redis.ask('CONFIG', 'SET', 'maxmemory', '0')],
    'without scripts for its user': rights('@scripting'),
    'without one kind of command for its user': rights('@sortedset'),
  };

  test.each(Object.keys(ways))(
    'S5: while it is %s, long windows are closed and short ones go on; what went on counts afterwards',
    async (how) => {
      all = new LimitGates(redis.database(), hurriedMs);
      const [gate] = (await all.openGates(1)) as [Gate];
      const [away, back] = ways[how]!;
      const [first] = leasesOf([await all.reserve(gate, long)]);
      await away();
      await expect(all.reserve(gate, long)).rejects.toMatchObject(refusal);
      const alone = leasesOf(await all.storm(6, short));
      // The first call runs, too.
      expect(alone).toHaveLength(3);
      all.finish(gate, first!, long);
      all.finish(gate, alone[0]!, short);
      await back();
      await eventually(() => isUp(gate));
      await eventually(async () => {
        // Two calls of the short key run on, and the refused one left nothing.
        const thisMinute = [first!, ...alone].filter(({ at }) => Math.floor(at / 60_000) === minuteNow());
        expect(await all.usedBy(gate, short)).toEqual([thisMinute.length, 2]);
        expect(await all.usedBy(gate, long)).toEqual([4, 2]);
      });
      expect((await all.reserve(gate, long)).kind).toBe('lease');
    },
  );

  test('each of several gates has its share, of calls per minute from the next minute on, and calls without limits go on', () =>
    withinOneMinute(async () => {
      const gates = new LimitGates(redis.database());
      const names = [1, 2, 3, 4].map((n) => gates.nextName(n));
      await gates.openGates(4, 0, names);
      const few = caller({ requestsPerMinute: 8, concurrentRequests: 3 });
      const byCalls = caller({ concurrentRequests: 8 }, {}, 'key_calls');
      await redis.kill();
      try {
        await expect(gates.reserve(gates.gates[0]!, few)).rejects.toMatchObject(refusal);
        expect(leasesOf(await gates.storm(40, byCalls))).toHaveLength(8);
        expect(leasesOf(await gates.storm(12, caller({}, {}, 'key_free')))).toHaveLength(12);
      } finally {
        await redis.start();
        await gates.close();
      }
    }));

  test('while it is gone, three gates of which one runs most of an account go on within its limit, and so they do afterwards', async () => {
    const names = [1, 2, 3].map((n) => all.nextName(n));
    const [first, second, third] = (await all.openGates(3, 0, names)) as [Gate, Gate, Gate];
    const who = caller({ concurrentRequests: 10 }, { concurrentRequests: 9 });
    const other = caller({ concurrentRequests: 10 }, {}, 'key_other');
    const running = [...(await all.storm(7, who, [first])), await all.reserve(second, who)];
    expect(leasesOf(running)).toHaveLength(8);
    await redis.kill();
    try {
      const settled = await Promise.allSettled(
        all.gates.flatMap((gate) =>
          [who, other, who, other, who, other].map(async (each) => [await all.reserve(gate, each), each] as const),
        ),
      );
      const begun = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const ofWho = leasesOf(begun.filter(([, each]) => each === who).map(([reserved]) => reserved));
      const more = leasesOf(begun.map(([reserved]) => reserved));
      expect(more).toHaveLength(2);
      expect(ofWho.length).toBeLessThanOrEqual(1);
      // A gate puts new calls in the place of its own that end, and of no others.
      leasesOf(running)[0]!.cancel();
      const again = await Promise.allSettled(all.gates.map((gate) => all.reserve(gate, other)));
      expect(leasesOf(again.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])))).toHaveLength(1);
    } finally {
      await redis.start();
    }
    await eventually(() => all.gates.forEach(isUp));
    await eventually(async () => expect((await all.usedBy(third, other)).at(-1)).toBe(10));
    expect(leasesOf(await all.storm(9, other))).toHaveLength(0);
  });

  test('while it is gone and not all gates have said what they run, each only replaces its own calls', async () => {
    const names = [1, 2, 3].map((n) => all.nextName(n));
    // The third one is not there.
    const [first, second] = (await all.openGates(2, 0, names)) as [Gate, Gate];
    const who = caller({ concurrentRequests: 4 });
    const [lease] = leasesOf([await all.reserve(first, who)]);
    await redis.kill();
    try {
      await expect(all.reserve(second, who)).rejects.toMatchObject(refusal);
      expect((await all.reserve(first, who)).kind).toBe('crowded');
      lease!.cancel();
      expect((await all.reserve(first, who)).kind).toBe('lease');
    } finally {
      await redis.start();
    }
  });

  test('answers that take a tenth of their time are waited for', async () => {
    const [gate] = (await all.openGates(1)) as [Gate];
    for (let i = 0; i < 5; i++) {
      await redis.ask('CLIENT', 'PAUSE', '500', 'ALL');
      expect((await all.reserve(gate, long)).kind).toBe('lease');
    }
    expect(gate.client.state).toBe('up');
    expect(await all.usedBy(gate, long)).toEqual([5, 5]);
  });
});

test('gates that have not heard of the newest one ask who is alive when Redis goes, and do not use its share', () =>
  withinOneMinute(async () => {
    const gates = new LimitGates(redis.database(), hurriedMs);
    const [alone, both]: [string[], string[]] = [[], []];
    const hear = (): Promise<void> => Promise.resolve(void alone.splice(0, 1, ...both));
    both.push(gates.nextName(1), gates.nextName(2));
    alone.push(both[0]!);
    const [old] = await gates.openGates(1, 0, alone, undefined, hear);
    const [newest] = await gates.openGates(1, 0, both);
    const who = caller({ concurrentRequests: 1 });
    const counted = caller({ requestsPerMinute: 6 });
    for (const lease of leasesOf([await gates.reserve(old!, counted)])) gates.finish(old!, lease, counted);
    redis.signal('SIGSTOP');
    try {
      const asked = [old, newest, old, newest].map((gate) => gates.reserve(gate!, who));
      const answers = await Promise.allSettled(asked);
      expect(answers.filter((each) => each.status === 'fulfilled' && each.value.kind === 'lease')).toHaveLength(1);
      await expect(gates.reserve(old!, counted)).rejects.toMatchObject(refusal);
    } finally {
      redis.signal('SIGCONT');
      await gates.close();
    }
  }));
