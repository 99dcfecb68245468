// Runs the contract of turn queues against Redis, and compares its order with that of the memory queue.
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { FairQueue } from '../../src/store/memory/fair-queue.ts';
import type { QueueSettings, Slot, TurnQueue } from '../../src/store/ports/turn-queue.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { Presence } from '../../src/store/redis/turn-presence.ts';
import { RedisTurnQueue } from '../../src/store/redis/turn-queue.ts';
import { startRedis } from '../redis.ts';
import { turnQueueContract } from './turn-queue.ts';

const redis = await startRedis();
const client = await RedisClient.open({ address: readAddress(redis.database())!, now: Date.now, answerMs: 10_000 });
const servers = await client.readServers();
let queues = 0;
let last: RedisTurnQueue<string>;
const faults: unknown[] = [];

afterAll(async () => {
  await client.close();
  await redis.stop();
  expect(faults).toEqual([]);
});

function open(settings: QueueSettings<string>): RedisTurnQueue<string> {
  const lanes = `lanes${queues++}`;
  // A run of long ago: one that has just begun grants nothing for a while.
  void client.command('HSET', `{${lanes}}:run`, 'name', '000000000000000-0', 'server', servers);
  const shared = { ...settings, nameOf: (server: string) => server };
  last = new RedisTurnQueue(shared, { client, lanes, onError: (error) => faults.push(error) });
  return last;
}

turnQueueContract({ name: 'Redis', open, settled: () => last.settled() });

interface Call {
  readonly name: string;
  slot?: Slot<string>;
}

type Step =
  | { readonly do: 'enter'; readonly who: number; readonly cost: number; readonly weight: number }
  | { readonly do: 'release'; readonly real: number; readonly ms: number; readonly isReported: boolean };

const cost = fc.double({ min: 1, max: 5_000, noNaN: true });
// No call leaves: among accounts that were served the same, memory takes the one that waits longest, Redis the call that does.
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('enter' as const), who: fc.nat(6), cost, weight: fc.constantFrom(0.5, 1, 3) }),
    fc.record({ do: fc.constant('release' as const), real: cost, ms: fc.nat(5_000), isReported: fc.boolean() }),
  ),
  { minLength: 20, maxLength: 80 },
);

/** So that accounts are not served the same by chance. */
const uneven = (tokens: number, at: number): number => tokens * (1 + at * 0.000917);

/** The names of the calls in the order in which they get their turns. */
async function orderIn(
  queue: TurnQueue<string>,
  list: readonly Step[],
  settled: () => Promise<void>,
): Promise<string[]> {
  const order: string[] = [];
  const running: Call[] = [];
  for (const [at, step] of list.entries()) {
    if (step.do === 'enter') {
      const call: Call = { name: `${at}` };
      const start = (slot: Slot<string>): void => {
        call.slot = slot;
        order.push(call.name);
        running.push(call);
      };
      const turn = {
        accountId: `account${step.who}`,
        cost: uneven(step.cost, at),
        most: 2 * uneven(step.cost, at),
        weight: step.weight,
        behind: step.who === 0,
        start,
        refuse: () => undefined,
      };
      const entered = await queue.enter('m', turn, at);
      if (entered?.kind === 'slot') start(entered);
    } else running.shift()?.slot?.release(uneven(step.real, at), step);
    await settled();
  }
  return order;
}

test('calls get their turns in the same order as in memory', async () => {
  const settings = { serversFor: () => ['a', 'b'], slotsFor: () => 1, maxWaiting: 1_000, maxWaitMs: 1e9 };
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const inMemory = await orderIn(new FairQueue(settings), list, () => Promise.resolve());
      expect(await orderIn(open(settings), list, () => last.settled())).toEqual(inMemory);
    }),
    { numRuns: 60 },
  );
});

test('a gate is told which gates are alive only when that has changed', async () => {
  const gates = Array.from({ length: 50 }, () => new Presence(client, 'told', () => performance.now(), fail));
  const hailed = async (): Promise<void> => {
    for (const gate of gates) await gate.hail();
  };
  const sent = async (): Promise<number> =>
    Number(/total_net_output_bytes:(\d+)/.exec(await redis.ask('INFO', 'stats'))?.[1]);
  const known = (): Set<string> => new Set(gates.map(({ alive }) => alive.toSorted().join()));
  await hailed();
  await hailed();
  const all = gates.map(({ gate }) => gate);
  expect(known()).toEqual(new Set([all.toSorted().join()]));
  const before = await sent();
  await hailed();
  // Fifty names are 1,200 bytes of an answer.
  expect((await sent()) - before).toBeLessThan(gates.length * 400);
  await gates.pop()?.close();
  await hailed();
  expect(known()).toEqual(new Set([all.slice(0, -1).toSorted().join()]));
});

test('a sweep says nothing of calls that found a free slot or have ended', async () => {
  const settings = { serversFor: () => ['a'], slotsFor: () => 2, maxWaiting: 500, maxWaitMs: 1e9 };
  const queue = open(settings);
  const sweptBytes = async (): Promise<number> => {
    const received = async (): Promise<number> =>
      Number(/total_net_input_bytes:(\d+)/.exec(await redis.ask('INFO', 'stats'))?.[1]);
    const before = await received();
    queue.sweep(0);
    await last.settled();
    return (await received()) - before;
  };
  const slot = async (): Promise<Slot<string>> => {
    const { promise, resolve, reject } = Promise.withResolvers<Slot<string>>();
    const turn = { accountId: 'a', cost: 1, most: 1, weight: 1, behind: false, start: resolve, refuse: reject };
    const entered = await queue.enter('m', turn, 0);
    return entered?.kind === 'slot' ? entered : promise;
  };
  const call = async (): Promise<void> => {
    (await slot()).release(1);
    await last.settled();
  };
  // The lane is in use throughout.
  await slot();
  await sweptBytes();
  const before = await sweptBytes();
  for (let i = 0; i < 100; i++) await call();
  expect(await sweptBytes()).toBeLessThan(before + 500);
  // Those that waited are named once.
  await Promise.all(Array.from({ length: 300 }, call));
  await sweptBytes();
  expect(await sweptBytes()).toBeLessThan(before + 500);
});

test('the queues of a gate say together that it is there, and each sees the lanes of its own kind', async () => {
  const settings = { serversFor: () => ['a'], slotsFor: () => 1, maxWaiting: 10, maxWaitMs: 1e9, nameOf: String };
  const gateOf = (): { readonly presence: Presence; readonly both: readonly RedisTurnQueue<string>[] } => {
    const presence = new Presence(client, 'together', () => performance.now(), fail);
    const tools = { client, presence, onError: fail };
    return {
      presence,
      both: ['models', 'services'].map((lanes) => new RedisTurnQueue(settings, { ...tools, lanes })),
    };
  };
  const [one, other] = [gateOf(), gateOf()];
  const sweep = async ({ both }: typeof one): Promise<void> => {
    for (const queue of both) queue.sweep(0);
    await Promise.all(both.map((queue) => queue.settled()));
  };
  const asked = async (): Promise<number> =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.ask('INFO', 'commandstats'))?.[1]);
  await sweep(one);
  const before = await asked();
  for (let i = 0; i < 8; i++) await sweep(one);
  expect((await asked()) - before).toBe(8);

  const turn = { accountId: 'a', cost: 1, most: 1, weight: 1, behind: false, start: () => undefined, refuse: fail };
  await other.both[1]!.enter('lane', turn, 0);
  for (let i = 0; i < 4; i++) await sweep(other);
  for (let i = 0; i < 4; i++) await sweep(one);
  expect(one.both.map((queue) => queue.snapshot().map(({ model }) => model))).toEqual([[], ['lane']]);
  for (const { presence, both } of [one, other]) {
    for (const queue of both) await queue.close();
    await presence.close();
  }
});

function fail(error: unknown): never {
  throw error;
}
