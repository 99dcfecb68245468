// Several gates share the queue in front of a model through Redis: fair over all of them, never more calls than slots, and nothing
// lost when a gate or Redis fails. Each gate here is a queue with a connection of its own; what holds a slot is counted by the test.
import { afterAll, describe, expect, test } from 'vitest';
import { inMemory } from '../../src/compose/adapters.ts';
import type { Place, SharedQueueSettings, Slot, Turn } from '../../src/store/ports/turn-queue.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { shareOf } from '../../src/store/redis/share-of.ts';
import { RedisTurnQueue } from '../../src/store/redis/turn-queue.ts';
import { hail } from '../../src/store/redis/turn-scripts.ts';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { startFaultProxy } from '../fault-proxy.ts';
import { eventually, openGate } from '../gate.ts';
import { startPostgres } from '../postgres.ts';
import { sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

const redis = await startRedis();
afterAll(async () => {
  await Promise.all(open.map((gate) => gate.kill()));
  await redis.stop();
  expect(faults).toEqual([]);
});

interface Gate {
  readonly queue: RedisTurnQueue<string>;
  readonly client: RedisClient;
  readonly url: string;
  /** Lets the gate stand still: it sends nothing and sweeps nothing until it is thawed. */
  freeze(): void;
  thaw(): void;
  /** The gate is gone without a word. */
  kill(): Promise<void>;
  /** Moves its clock on. */
  skip(ms: number): void;
}

const open: Gate[] = [];

type Settings = Partial<SharedQueueSettings<string>>;

let names = 0;

/** Gates that share one queue. Their run is an old one, so that nothing waits for gates to say what they hold. */
async function gatesOf(
  count: number,
  slots: number,
  server = redis,
  more: Settings = {},
  through: (url: string, index: number) => string = (url) => url,
): Promise<Gate[]> {
  const url = server.database();
  const lanes = `test${++names}`;
  const gates: Gate[] = [];
  for (let i = 0; i < count; i++) {
    const address = readAddress(through(url, i))!;
    const client = await RedisClient.open({ address, now: Date.now, answerMs: 1_500 });
    if (i === 0) {
      const run = ['name', '000000000000000-0', 'server', await client.readServers()];
      await client.command('HSET', `{${lanes}}:run`, ...run);
    }
    let skipped = 0;
    const queue = new RedisTurnQueue<string>(
      {
        serversFor: () => ['a'],
        slotsFor: () => slots,
        maxWaiting: 10_000,
        maxWaitMs: 1e9,
        nameOf: (name) => name,
        ...more,
      },
      { client, lanes, nowMs: () => performance.now() + skipped, onError: (error) => faults.push(error) },
    );
    const sweep = (): void => queue.sweep(performance.now());
    let timer: NodeJS.Timeout | undefined = setInterval(sweep, 50);
    const gate: Gate = {
      queue,
      client,
      url,
      freeze: () => clearInterval(timer),
      thaw: () => (timer = setInterval(sweep, 50)),
      kill: async () => {
        clearInterval(timer);
        timer = undefined;
        await client.close();
      },
      skip: (ms) => (skipped += ms),
    };
    gates.push(gate);
    open.push(gate);
    await queue.settled();
  }
  return gates;
}

const faults: unknown[] = [];

/** What runs at the model server, of all gates. */
class Oracle {
  running = 0;
  most = 0;

  begin(): void {
    this.most = Math.max(this.most, ++this.running);
  }

  end(): void {
    this.running--;
  }
}

/** Keeps what Redis answers to the next question which run it is, until `release`. `asked`: another question was answered since. */
function heldAnswers(client: RedisClient) {
  const [given, asked, free] = [0, 1, 2].map(() => Promise.withResolvers<void>()) as [Wait, Wait, Wait];
  const run = client.run.bind(client);
  let isHeld = false;
  client.run = async (script, ...rest) => {
    const answer = await run(script, ...rest);
    if (script !== hail) {
      if (isHeld) asked.resolve();
    } else if (!isHeld) {
      isHeld = true;
      given.resolve();
      await free.promise;
    }
    return answer;
  };
  return { given: given.promise, asked: asked.promise, release: () => free.resolve() };
}
type Wait = PromiseWithResolvers<void>;

class Call implements Turn<string> {
  readonly accountId: string;
  readonly cost: number;
  readonly most: number;
  readonly weight = 1;
  readonly behind = false;
  slot: Slot<string> | undefined;
  place: Place | undefined;
  refused: string | undefined;
  readonly #oracle: Oracle;
  readonly #begun = Promise.withResolvers<void>();
  readonly begun = this.#begun.promise;

  constructor(accountId: string, oracle: Oracle, cost = 1) {
    this.accountId = accountId;
    this.cost = this.most = cost;
    this.#oracle = oracle;
  }

  async enter({ queue }: Gate): Promise<this> {
    const entered = await queue.enter('m', this, performance.now());
    if (entered === undefined) this.refuse('queue_full');
    else if (entered.kind === 'slot') this.start(entered);
    else this.place = entered;
    return this;
  }

  start(slot: Slot<string>): void {
    this.slot = slot;
    this.#oracle.begin();
    this.#begun.resolve();
  }

  refuse(code: string): void {
    this.refused = code;
    this.#begun.resolve();
  }

  end(cost = this.cost): void {
    if (!this.slot) throw new Error('it has no slot');
    this.#oracle.end();
    this.slot.release(cost, { ms: 10, isReported: true });
    this.slot = undefined;
  }
}

const jain = (shares: readonly number[]): number => {
  const sum = shares.reduce((a, b) => a + b, 0);
  return (sum * sum) / (shares.length * shares.reduce((a, b) => a + b * b, 0));
};

const at = <T>(list: readonly T[], index: number): T => list[index % list.length]!;

describe('over four gates', () => {
  test('twenty unequal accounts get equal shares of the tokens of two slots', async () => {
    const gates = await gatesOf(4, 2);
    const oracle = new Oracle();
    const got = Array.from({ length: 20 }, () => 0);
    let served = 0;
    const keepAsking = async (who: number, gate: Gate): Promise<void> => {
      const cost = 50 * (1 + (who % 7));
      while (served < 600) {
        const call = await new Call(`account${who}`, oracle, cost).enter(gate);
        await call.begun;
        if (served >= 600) return call.end(0);
        served++;
        got[who] = got[who]! + cost;
        await new Promise((resolve) => setImmediate(resolve));
        call.end();
      }
    };
    // Some send three calls at once, some fifteen, through different gates.
    const all = got.flatMap((_, who) =>
      Array.from({ length: 3 + 4 * (who % 4) }, (__, i) => keepAsking(who, at(gates, who + i))),
    );
    await Promise.all(all);
    expect(jain(got)).toBeGreaterThanOrEqual(0.95);
    expect(oracle.most).toBe(2);
  });

  test('an account with one call waits at most a turn behind one with two hundred at another gate', async () => {
    const [busy, other] = (await gatesOf(4, 1)) as [Gate, Gate];
    const oracle = new Oracle();
    const greedy = await Promise.all(Array.from({ length: 200 }, () => new Call('greedy', oracle, 50).enter(busy)));
    const modest = await new Call('modest', oracle, 50).enter(other);
    expect(modest.place?.position).toBe(2);
    expect(modest.place?.look().position).toBe(2);
    await eventually(() => expect(greedy.at(-1)!.place!.look().position).toBe(200));
    await eventually(() =>
      expect(other.queue.snapshot()).toEqual([{ model: 'm', running: 1, waiting: 200, accounts: 2 }]),
    );
    greedy[0]!.end();
    await eventually(() => expect(oracle.running).toBe(1));
    if (greedy[1]!.slot) greedy[1]!.end();
    await modest.begun;
    expect([modest.slot !== undefined, oracle.most]).toEqual([true, 1]);
  });

  test('no more calls run than there are slots, however gates race, and none is lost', async () => {
    const gates = await gatesOf(4, 3);
    const oracle = new Oracle();
    const one = async (index: number): Promise<void> => {
      const call = await new Call(`account${index % 9}`, oracle, 1 + (index % 50)).enter(at(gates, index));
      if (index % 5 === 0 && call.place && !call.slot) {
        call.place.leave();
        return;
      }
      await call.begun;
      await new Promise((resolve) => setTimeout(resolve, index % 3));
      call.end(index % 40);
    };
    await Promise.all(Array.from({ length: 600 }, (_, index) => one(index)));
    expect(oracle).toMatchObject({ running: 0, most: 3 });
    await eventually(() => expect(gates.map(({ queue }) => queue.snapshot())).toEqual([[], [], [], []]));
  });
});

test('a server that comes back gets few calls at first, over all gates', async () => {
  let trials = 1;
  const gates = await gatesOf(2, 5, redis, { trialsOf: () => trials });
  const oracle = new Oracle();
  const calls = await Promise.all([0, 1, 2, 3].map((i) => new Call('a', oracle).enter(at(gates, i))));
  expect(oracle.running).toBe(1);
  trials = Infinity;
  await Promise.all(calls.map(({ begun }) => begun));
  expect(oracle.running).toBe(4);
});

// These wait for times that nobody can shorten, so they wait together.
describe.concurrent('a gate that is gone', () => {
  test('gives its slots and places back within five seconds', async () => {
    const [dead, alive] = (await gatesOf(2, 2)) as [Gate, Gate];
    const before = new Oracle();
    await Promise.all(Array.from({ length: 6 }, () => new Call('a', before).enter(dead)));
    expect(before.running).toBe(2);
    await dead.kill();
    let sweeps = 0;
    const counted = setInterval(() => sweeps++, 50);
    const oracle = new Oracle();
    const calls = await Promise.all(Array.from({ length: 3 }, () => new Call('b', oracle).enter(alive)));
    await calls[0]!.begun;
    await calls[1]!.begun;
    clearInterval(counted);
    expect(sweeps).toBeLessThan(100);
    await eventually(() =>
      expect(alive.queue.snapshot()).toEqual([{ model: 'm', running: 2, waiting: 1, accounts: 1 }]),
    );
  });

  test('and comes back cannot use what was given away: its calls count again, and a lost slot frees nothing', async () => {
    const [frozen, alive] = (await gatesOf(2, 1)) as [Gate, Gate];
    const oracle = new Oracle();
    const [held, waits] = [await new Call('a', oracle).enter(frozen), await new Call('a', oracle).enter(frozen)];
    frozen.freeze();
    const taken = await new Call('b', oracle).enter(alive);
    await taken.begun;
    // Its own release comes after the slot was given away, so it gives nobody a turn.
    const next = await new Call('b', oracle).enter(alive);
    held.end();
    await frozen.queue.settled();
    await alive.queue.settled();
    expect([waits.slot, next.slot, oracle.running]).toEqual([undefined, undefined, 1]);
    frozen.thaw();
    await eventually(() => expect(alive.queue.snapshot()).toMatchObject([{ running: 1, waiting: 2, accounts: 2 }]));
    taken.end();
    await Promise.race([waits.begun, next.begun]);
    (waits.slot ? waits : next).end();
    await Promise.all([waits.begun, next.begun]);
    // Two before: the frozen gate's own call went on while its slot was given away.
    expect(oracle).toMatchObject({ running: 1, most: 2 });
  });
});

describe.concurrent('when Redis', () => {
  /** Calls of two gates, of which two hold a slot and four wait. */
  const crowd = async (server: RedisServer): Promise<{ gates: Gate[]; oracle: Oracle; calls: Call[] }> => {
    const gates = await gatesOf(2, 2, server);
    const oracle = new Oracle();
    const calls: Call[] = [];
    for (let i = 0; i < 6; i++) calls.push(await new Call(`account${i % 3}`, oracle).enter(at(gates, i)));
    expect(oracle.running).toBe(2);
    return { gates, oracle, calls };
  };

  const serveAll = async (oracle: Oracle, calls: readonly Call[]): Promise<void> => {
    for (let left = calls.length; left > 0; left--) {
      const next = await eventually(() => {
        const found = calls.find(({ slot }) => slot);
        if (!found) throw new Error('none has a turn');
        return found;
      });
      next.end();
    }
    expect(oracle).toMatchObject({ running: 0, most: 2 });
    expect(calls.filter(({ refused }) => refused)).toEqual([]);
  };

  test('was flushed, each gate says again what it holds and what waits; none gets a second slot and none is lost', async () => {
    const own = await startRedis();
    try {
      const { gates, oracle, calls } = await crowd(own);
      await own.ask('FLUSHALL');
      const more = await Promise.all([0, 1, 2].map((i) => new Call('late', oracle).enter(at(gates, i))));
      await serveAll(oracle, [...calls, ...more]);
    } finally {
      await own.stop();
    }
  });

  test('was flushed while a gate asked which run it is, the answer from before lets no call through', async () => {
    const [holder, asker] = (await gatesOf(2, 2)) as [Gate, Gate];
    const oracle = new Oracle();
    const held = [await new Call('a', oracle).enter(holder), await new Call('a', oracle).enter(holder)];
    for (const gate of [holder, asker]) gate.freeze();
    await Promise.all([holder, asker].map(({ queue }) => queue.settled()));
    const answers = heldAnswers(asker.client);
    asker.queue.sweep(performance.now());
    await answers.given;
    const { database } = readAddress(asker.url)!;
    await redis.ask('EVAL', `redis.call('SELECT', ${database}) redis.call('FLUSHDB')`, '0');
    const late = new Call('b', oracle).enter(asker);
    await answers.asked;
    answers.release();
    await late;
    expect(oracle).toMatchObject({ running: 2, most: 2 });
    for (const gate of [holder, asker]) gate.thaw();
    for (const call of held) call.end();
    await (await late).begun;
    (await late).end();
  });

  test('was started again, the same', async () => {
    const own = await startRedis();
    try {
      const { gates, oracle, calls } = await crowd(own);
      await own.kill();
      const meanwhile = await Promise.all([0, 1].map((i) => new Call('late', oracle).enter(at(gates, i))));
      await own.start();
      await serveAll(oracle, [...calls, ...meanwhile]);
    } finally {
      await own.stop();
    }
  });

  test('hangs just after it was flushed, a gate that has heard of no other since counts on those that it knew', async () => {
    const own = await startRedis();
    try {
      const gates = await gatesOf(3, 2, own);
      const oracle = new Oracle();
      for (const gate of gates) gate.freeze();
      for (const { queue } of [...gates, ...gates]) {
        queue.sweep(performance.now());
        await queue.settled();
      }
      for (const gate of gates) gate.skip(1_000);
      await own.ask('FLUSHALL');
      for (const { queue } of gates) {
        queue.sweep(performance.now());
        await queue.settled();
      }
      own.signal('SIGSTOP');
      const calls = gates.flatMap((gate) => [1, 2, 3].map(() => new Call('a', oracle).enter(gate)));
      await Promise.all(calls);
      for (const gate of gates) {
        gate.skip(3_000);
        gate.queue.sweep(performance.now());
      }
      expect(oracle.running).toBe(2);
    } finally {
      own.signal('SIGCONT');
      await own.stop();
    }
  });

  test('hangs, each gate serves its share of the slots, refuses what it has none for, and all goes on when Redis does', async () => {
    const own = await startRedis();
    try {
      const gates = await gatesOf(3, 2, own);
      const oracle = new Oracle();
      // Every gate has heard of all the others, in a sweep that began when all were there.
      for (const { queue } of [...gates, ...gates]) {
        queue.sweep(performance.now());
        await queue.settled();
      }
      for (const gate of gates) gate.skip(1_000);
      own.signal('SIGSTOP');
      const calls = gates.map((gate) => new Call('a', oracle).enter(gate));
      const answers = await Promise.allSettled(calls);
      // Nobody has waited long enough to be sure that Redis is away for all.
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
      expect(oracle.running).toBe(0);
      for (const gate of gates) gate.skip(3_000);
      await eventually(() => expect(oracle.running).toBe(2));
      const more = await Promise.allSettled(gates.map((gate) => new Call('b', oracle).enter(gate)));
      expect(more.filter(({ status }) => status === 'rejected')).toMatchObject([
        { reason: { code: 'turns_unavailable' } },
      ]);
      const all = [...answers, ...more].flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      // A slot that ends is used again where it belongs.
      const ended = all.find(({ slot }) => slot)!;
      ended.end();
      await eventually(() => expect(oracle.running).toBe(2));
      own.signal('SIGCONT');
      await serveAll(
        oracle,
        all.filter((call) => call !== ended),
      );
    } finally {
      await own.stop();
    }
  });
});

test('a gate that alone loses its connection uses its share although the others use all slots, until it is back', async () => {
  const proxy = await startFaultProxy(`http://127.0.0.1:${redis.port}`);
  const viaProxy = (url: string): string => url.replace(String(redis.port), new URL(proxy.url).port);
  const [others, alone] = (await gatesOf(2, 2, redis, {}, (url, i) => (i === 1 ? viaProxy(url) : url))) as [Gate, Gate];
  const oracle = new Oracle();
  for (const { queue } of [others, alone, others]) {
    queue.sweep(performance.now());
    await queue.settled();
  }
  alone.skip(1_000);
  await proxy.down();
  const all = await Promise.all(['a', 'b'].map((account) => new Call(account, oracle).enter(others)));
  expect(oracle.running).toBe(2);
  const first = await new Call('c', oracle).enter(alone);
  const second = await new Call('c', oracle).enter(alone);
  alone.skip(3_000);
  await first.begun;
  expect([oracle.running, second.slot]).toEqual([3, undefined]);
  await proxy.up();
  // What runs counts again, and what waits is served when there is a slot.
  await eventually(() => expect(others.queue.snapshot()).toMatchObject([{ running: 3, waiting: 1 }]));
  for (const call of [...all, first, second]) {
    await call.begun;
    call.end();
  }
  expect(oracle.most).toBe(3);
  await proxy.close();
});

test('two gates send a model one call at a time, and while Redis hangs one of them serves it and the other says when to try again', async () => {
  const own = await startRedis();
  const fake = await startFakeOllama();
  const REDIS_URL = own.database();
  const postgres = await startPostgres();
  const settings = { SLOTS: '1', REDIS_URL, DATABASE_URL: await postgres.database() };
  const gates = await Promise.all(
    [0, 1].map(() => openGate(fake.url, { ...settings, ...sharingSecret() }, { ...inMemory, answerMs: 1_500 })),
  );
  try {
    const keys = await Promise.all(gates.map((gate) => gate.key()));
    const oracle = new Oracle();
    const ends: (() => void)[] = [];
    const ask = (index: number, signal?: AbortSignal): Promise<Response> => {
      fake.next(async (request, answer) => {
        oracle.begin();
        await request.body;
        await new Promise<void>((resolve) => ends.push(resolve));
        oracle.end();
        answer.head(200, { 'Content-Type': 'application/json' });
        await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":20,"eval_count":10}');
        answer.end();
      });
      const body = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
      return fetch(`${at(gates, index).url}/api/chat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': at(keys, index).secret },
        body: JSON.stringify(body),
        ...(signal ? { signal } : {}),
      });
    };
    const endOne = async (): Promise<void> =>
      (await eventually(() => ends.shift() ?? Promise.reject(new Error('none'))))();
    const calls = [0, 1, 0, 1].map((index) => ask(index));
    for (const call of calls) {
      void call;
      await endOne();
    }
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    // Both gates have seen since then that nobody holds a slot: a sweep ends before the next one says that its gate is there.
    const laterMs = Date.now() + 600;
    await eventually(async () =>
      expect(await own.ask('ZCOUNT', 'sk1:{turns}:gates', String(laterMs), '+inf')).toBe(':2\r\n'),
    );
    own.signal('SIGSTOP');
    const both = [ask(0), ask(1)];
    await endOne();
    const served = await Promise.race(both.map(async (call, index) => ((await call).status === 200 ? index : -1)));
    // A gate lets calls wait until it has been without Redis for three seconds, and each begins to count on its own.
    const refused = await eventually(() => ask(1 - served, AbortSignal.timeout(1_000)));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
    expect(await refused.json()).toMatchObject({
      code: 'turns_unavailable',
      error: 'The gateway cannot give calls their turns at this model right now.',
    });
    own.signal('SIGCONT');
    await endOne();
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([200, 200]);
    expect(oracle).toMatchObject({ running: 0, most: 1 });
  } finally {
    await Promise.all(gates.map((gate) => gate.stop()));
    await Promise.all([own.stop(), postgres.stop()]);
    await fake.close();
  }
});

test('the shares of all gates are the slots, whatever the gates and the lane', () => {
  for (const gates of [['a'], ['a', 'b'], ['c', 'a', 'b', 'e', 'd']])
    for (const slots of [0, 1, 2, 3, 7, 11])
      for (const lane of ['x', 'y'])
        expect(gates.reduce((sum, gate) => sum + shareOf(gates.toReversed(), gate, lane, slots), 0)).toBe(slots);
  expect(shareOf(['a', 'b'], 'c', 'x', 5)).toBe(0);
});
