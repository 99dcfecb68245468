// A call's limits and its turn, asked for together: one round trip, the turn only with the limits, and nothing left of a call that
// does not go on. Each gate here is a store of limits and a queue on one connection to a real Redis.
import { createConnection } from 'node:net';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { Calendar } from '../../src/domain/calendar.ts';
import type { RequestId } from '../../src/domain/id.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { MemoryLimits } from '../../src/store/memory/limit-store.ts';
import type { AccountLimits, Reserved } from '../../src/store/ports/limit-store.ts';
import type { Place, Slot, Turn } from '../../src/store/ports/turn-queue.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { RedisLimits } from '../../src/store/redis/limit-store.ts';
import { RedisTurnQueue } from '../../src/store/redis/turn-queue.ts';
import { eventually } from '../gate.ts';
import { accountId, ask, caller, leasesOf } from '../limit-gates.ts';
import { startRedis } from '../redis.ts';

const redis = await startRedis();
const faults: unknown[] = [];
let gates: Gate[] = [];
let lanes = 0;
let calls = 0;

afterAll(async () => {
  await redis.stop();
  expect(faults).toEqual([]);
});
beforeEach(async () => {
  await Promise.all(gates.map(({ close }) => close()));
  gates = [];
  await redis.ask('FLUSHALL');
});

interface Gate {
  readonly client: RedisClient;
  readonly account: AccountLimits;
  readonly queue: RedisTurnQueue<string>;
  readonly close: () => Promise<void>;
}

async function openGates(count: number, slots: number): Promise<Gate[]> {
  const address = readAddress(redis.database())!;
  const name = `joint${lanes++}`;
  for (let i = 0; i < count; i++) {
    const client = await RedisClient.open({ address, now: Date.now, answerMs: 1_500 });
    // An old run: one that has just begun grants nothing for a while.
    if (i === 0)
      await client.command('HSET', `{${name}}:run`, 'name', '000000000000000-0', 'server', await client.readServers());
    const gate = `${name}-${i}#1`;
    const books = {
      known: () => Promise.resolve(new Set<string>()),
      recoveries: () => 0,
      sums: () => Promise.resolve({ recoveries: 0, minutes: [], quarters: [] }),
    };
    const calendar = new Calendar('UTC');
    const without = new MemoryLimits(calendar);
    const limits = await RedisLimits.open({
      client,
      calendar,
      now: Date.now,
      books,
      gate,
      gates: () => [],
      count: () => Promise.resolve(),
      others: () => Promise.resolve([]),
      without,
    });
    const settings = { serversFor: () => ['a'], slotsFor: () => slots, maxWaiting: 100, maxWaitMs: 1e9 };
    const queue = new RedisTurnQueue<string>(
      { ...settings, nameOf: (server) => server },
      { client, lanes: name, onError: (error) => faults.push(error) },
    );
    const timer = setInterval(() => queue.sweep(performance.now()), 100);
    await queue.settled();
    gates.push({
      client,
      account: await limits.open(accountId, [], Date.now()),
      queue,
      close: async () => {
        clearInterval(timer);
        await queue.settled();
        await limits.close();
        await client.close();
      },
    });
  }
  // A lane is made by a call that comes alone.
  const first = await gates[0]!.queue.enter(
    'm',
    turnOf(() => undefined),
    performance.now(),
  );
  (first as Slot<string>).release(1);
  await gates[0]!.queue.settled();
  return gates;
}

const turnOf = (start: Turn<string>['start']): Turn<string> => ({
  accountId,
  cost: 10,
  most: 20,
  weight: 1,
  behind: false,
  start,
  refuse: () => undefined,
});

interface Both {
  readonly reserved: Reserved;
  /** Undefined if the queue was not asked. */
  readonly answer: { readonly entered: Slot<string> | Place | undefined } | undefined;
}

async function together(
  { account, queue }: Gate,
  who: Principal,
  start: Turn<string>['start'] = () => undefined,
): Promise<Both> {
  const joint = queue.prepare('m', turnOf(start), performance.now());
  const id = `req_${++calls}` as RequestId;
  const reserved = await account.of(who.lineage).reserve(id, ask, who, Date.now(), false, joint);
  return { reserved, answer: joint?.answer };
}

/** The queue gave it one at once. */
function slotOf({ answer }: Both): Slot<string> {
  if (answer?.entered?.kind !== 'slot') throw new Error('it has no slot');
  return answer.entered;
}

const length = async (gate: Gate, key: string): Promise<unknown> => gate.client.command('ZCARD', key);
const laneKey = (name: string): string => `{joint${lanes - 1}:m}:${name}`;

/** What clients send to Redis while `work` runs, without what scripts do. */
async function sentDuring(work: () => Promise<unknown>): Promise<string[]> {
  const socket = createConnection(redis.port, '127.0.0.1');
  let text = '';
  socket.on('data', (piece) => (text += piece.toString()));
  socket.write('MONITOR\r\n');
  await eventually(() => expect(text).toContain('+OK'));
  await work();
  await redis.ask('ECHO', 'over');
  await eventually(() => expect(text).toContain('"ECHO" "over"'));
  socket.destroy();
  return text.split('\r\n').filter((line) => !/ lua\]/.test(line));
}

test('a call with room gets its lease and its slot in one round trip, and gives both back in one', async () => {
  const [gate] = (await openGates(1, 2)) as [Gate];
  const who = caller({ requestsPerDay: 10, concurrentRequests: 5 });
  // The first call makes the book, and tells Redis the script.
  const first = await together(gate, who);
  leasesOf([first.reserved])[0]!.cancel();
  slotOf(first).release(0);
  const about = (lines: readonly string[]): string[] => lines.filter((line) => line.includes(`{${accountId}}:b`));
  let both: Both;
  const asked = await sentDuring(async () => {
    await gate.account.of(who.lineage).glance(who, Date.now(), false);
    both = await together(gate, who);
  });
  expect(both!.reserved.kind).toBe('lease');
  expect(both!.answer?.entered?.kind).toBe('slot');
  expect(about(asked)).toHaveLength(1);
  const ended = await sentDuring(async () => {
    leasesOf([both.reserved])[0]!.settle({
      requests: 1,
      promptTokens: 1,
      completionTokens: 1,
      units: 0,
    });
    slotOf(both).release(2);
    await gate.queue.settled();
  });
  expect(about(ended)).toHaveLength(1);
  expect(about(ended)[0]).toContain(laneKey('s'));
  expect([await length(gate, `{${accountId}}:l`), await length(gate, laneKey('s'))]).toEqual([0, 0]);
});

test('a caller without room is asked about each time before a body is read, and one that had room a minute ago is not', async () => {
  const [gate] = (await openGates(1, 2)) as [Gate];
  const who = caller({ requestsPerDay: 1 });
  const limits = gate.account.of(who.lineage);
  const look = async (at = Date.now()): Promise<number> => (await limits.glance(who, at, false)).used(who.limits[0]!);
  const asks = async (at?: number): Promise<number> =>
    (await sentDuring(() => look(at))).filter((line) => line.includes(`{${accountId}}:b`)).length;
  await look();
  expect(await asks()).toBe(0);
  const { reserved } = await together(gate, who);
  expect([await look(), await asks()]).toEqual([1, 1]);
  // What was given back is seen at once.
  leasesOf([reserved])[0]!.cancel();
  await eventually(async () => expect(await look()).toBe(0));
  expect(await asks()).toBe(0);
  expect(await asks(Date.now() + 1_500)).toBe(0);
});

test('a call without room has no turn at any moment', async () => {
  const [gate] = (await openGates(1, 1)) as [Gate];
  const [none, crowded] = [caller({ requestsPerDay: 0 }), caller({ concurrentRequests: 1 })];
  await together(gate, crowded);
  // Tickets are numbered when they enter.
  const figures = await gate.client.command('HGET', laneKey('v'), 'figures');
  expect(figures).not.toBeNull();
  const scripts = await sentDuring(async () => {
    for (const who of [none, crowded]) {
      const { reserved, answer } = await together(gate, who);
      expect(reserved.kind).toBe(who === none ? 'full' : 'crowded');
      expect(answer).toBeUndefined();
    }
  });
  expect(scripts.filter((line) => line.includes(`{${accountId}}:b`))).toHaveLength(2);
  expect(await gate.client.command('HGET', laneKey('v'), 'figures')).toBe(figures);
  expect(gate.queue.snapshot()).toMatchObject([{ running: 1, waiting: 0 }]);
});

test('calls that come together are asked about in one question, and what fails for one of them fails for it alone', async () => {
  const [gate] = (await openGates(1, 5)) as [Gate];
  const who = caller({ requestsPerDay: 3, concurrentRequests: 5 });
  const other = caller({ requestsPerDay: 3 }, {}, 'key_broken');
  await together(gate, who);
  await gate.client.command('SET', `{${accountId}}:l:${other.lineage}`, 'text');
  let settled: PromiseSettledResult<Both>[] = [];
  const asked = await sentDuring(async () => {
    settled = await Promise.allSettled([who, other, who, who].map((each) => together(gate, each)));
  });
  expect(asked.filter((line) => line.includes('"EVALSHA"') && line.includes(`{${accountId}}:b`))).toHaveLength(1);
  expect(settled.map((each) => (each.status === 'fulfilled' ? each.value.reserved.kind : each.status))).toEqual([
    'lease',
    'rejected',
    'lease',
    'full',
  ]);
  expect(gate.queue.snapshot()).toMatchObject([{ running: 3, waiting: 0 }]);
  expect(faults.splice(0).map(String)).toEqual([expect.stringContaining('WRONGTYPE')]);
});

test('calls that end together give their slots and limits back in one question, and each that waits starts once', async () => {
  const [gate] = (await openGates(1, 3)) as [Gate];
  const who = caller({ tokensPerDay: 1_000, concurrentRequests: 10 });
  const narrow = caller({ tokensPerDay: 1_000, concurrentRequests: 10 }, { tokensPerDay: 500 }, 'key_b');
  const started: Slot<string>[] = [];
  const running = [await together(gate, who), await together(gate, narrow), await together(gate, who)];
  for (let i = 0; i < 4; i++) await together(gate, who, (slot) => started.push(slot));
  const ended = await sentDuring(async () => {
    for (const [at, each] of running.entries()) {
      slotOf(each).release(10);
      leasesOf([each.reserved])[0]!.settle({ requests: 1, promptTokens: at + 1, completionTokens: 10, units: 0 });
    }
    await gate.queue.settled();
  });
  expect(ended.filter((line) => line.includes(`{${accountId}}:b`))).toHaveLength(1);
  expect(started).toHaveLength(3);
  expect(gate.queue.snapshot()).toMatchObject([{ running: 3, waiting: 1 }]);
  // Four calls hold 20 tokens each, and the ended ones used 11, 12 and 13.
  const standing = await gate.account.of(narrow.lineage).look(narrow, Date.now(), false);
  expect(narrow.limits.map(({ on }) => on)).toEqual(['account', 'key']);
  expect(narrow.limits.map((limit) => standing.used(limit))).toEqual([116, 12]);
  expect(standing.running('account')).toBe(4);
});

test('what an earlier version wrote is forgotten: its leases and turns count for nothing and break nothing', async () => {
  const [gate] = (await openGates(1, 1)) as [Gate];
  const who = caller({ requestsPerDay: 2, concurrentRequests: 1 });
  // Both as MessagePack, of a run and a generation of a server that the gate does not name so.
  const { client } = gate;
  await client.command('HSET', `{${accountId}}:b`, 'seed', '1-old', 'a', Buffer.from([0x91, 1]));
  await client.command('HSET', `{${accountId}}:ld`, 'req_old', Buffer.from([0x9e, 1]));
  await client.command('HSET', `{joint${lanes - 1}:other}:v`, 'run', '000000000000000-', 'virtual', 7);
  await client.command('HSET', `{joint${lanes - 1}:other}:t`, 'old#1.1', Buffer.from([0x81, 0xa1, 0x61, 1]));
  await client.command('ZADD', `{joint${lanes - 1}:other}:s`, 0, 'a\0old#1.1');
  const { reserved } = await together(gate, who);
  expect(reserved.kind).toBe('lease');
  expect(reserved.standing.used(who.limits[0]!)).toBe(1);
  expect(await client.command('HKEYS', `{${accountId}}:ld`)).toHaveLength(1);
  const entered = await gate.queue.enter(
    'other',
    turnOf(() => undefined),
    performance.now(),
  );
  expect(entered?.kind).toBe('slot');
  expect(await length(gate, `{joint${lanes - 1}:other}:s`)).toBe(1);
});

test('four gates that ask together let through exactly the limit, never more at once than slots, and lose nothing', async () => {
  const all = await openGates(4, 3);
  const who = caller({ requestsPerDay: 40, concurrentRequests: 100 });
  let running = 0;
  let most = 0;
  let served = 0;
  const serve = (slot: Slot<string>): void => {
    most = Math.max(most, ++running);
    setImmediate(() => {
      running--;
      served++;
      slot.release(10);
    });
  };
  const stormed = await Promise.all(Array.from({ length: 100 }, (_, i) => together(all[i % 4]!, who, serve)));
  for (const { answer } of stormed) if (answer?.entered?.kind === 'slot') serve(answer.entered);
  expect(stormed.filter(({ reserved }) => reserved.kind === 'lease')).toHaveLength(40);
  expect(stormed.filter(({ answer }) => answer)).toHaveLength(40);
  await eventually(() => expect(served).toBe(40));
  expect(most).toBeLessThanOrEqual(3);
  await eventually(async () => expect(await length(all[0]!, laneKey('s'))).toBe(0));
});

test('what a server that hung gave to a call that it was not answered for is taken back', async () => {
  const [gate, other] = (await openGates(2, 1)) as [Gate, Gate];
  const who = caller({ concurrentRequests: 1 });
  await gate.account.of(who.lineage).look(who, Date.now(), false);
  redis.signal('SIGSTOP');
  const lost = await together(gate, who);
  expect(lost.answer).toBeUndefined();
  redis.signal('SIGCONT');
  // It has a lease of its gate's share instead, and ends.
  leasesOf([lost.reserved])[0]!.cancel();
  // Both are free again: another gate gets them, and no other call is in the way.
  await eventually(async () => {
    const { reserved, answer } = await together(other, who);
    const entered = answer?.entered;
    if (reserved.kind === 'lease' && entered?.kind !== 'slot') {
      // The limits may be free before the slot is; a place that stayed would get it.
      if (entered?.kind === 'place') entered.leave();
      reserved.cancel();
    }
    expect([reserved.kind, entered?.kind]).toEqual(['lease', 'slot']);
  });
});

test('a turn of which a gate hears before the answer that made its place is taken', async () => {
  const [here, there] = (await openGates(2, 1)) as [Gate, Gate];
  const who = caller({ concurrentRequests: 5 });
  const before = slotOf(await together(there, who));
  // The answer about the call is on its way, and those that Redis gave later have come.
  const late = Promise.withResolvers<void>();
  const run = here.client.run.bind(here.client);
  let sweeps = 0;
  here.client.run = async (script, keys, args) => {
    const reply = await run(script, keys, args);
    if (keys[0]?.startsWith(`{${accountId}}`)) await late.promise;
    if (keys[0] === laneKey('v')) sweeps++;
    return reply;
  };
  const started = Promise.withResolvers<Slot<string>>();
  const asked = together(here, who, started.resolve);
  await eventually(async () => expect(await length(there, laneKey('w'))).toBe(1));
  before.release(1);
  await eventually(async () => expect(await length(there, laneKey('w'))).toBe(0));
  const from = sweeps;
  await eventually(() => expect(sweeps).toBeGreaterThan(from + 2));
  late.resolve();
  expect((await asked).answer?.entered?.kind).toBe('place');
  const slot = await started.promise;
  slot.release(1);
  await eventually(async () => expect(await length(there, laneKey('s'))).toBe(0));
});
