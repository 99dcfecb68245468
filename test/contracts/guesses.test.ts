// What is guessed or replayed counts once over all gates: the contracts of every adapter in memory and in a real Redis, and what
// several gates and a Redis that is away must not break.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import { MemoryFailures } from '../../src/store/memory/failure-budget.ts';
import { MemorySignIns } from '../../src/store/memory/sign-in-throttle.ts';
import { MemorySignatures } from '../../src/store/memory/signatures.ts';
import type { Ticket } from '../../src/store/ports/tickets.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { RedisFailures } from '../../src/store/redis/failure-budget.ts';
import { RedisAway } from '../../src/store/redis/failures.ts';
import { RedisSignIns } from '../../src/store/redis/sign-in-throttle.ts';
import { RedisSignatures } from '../../src/store/redis/signatures.ts';
import { RedisTickets } from '../../src/store/redis/tickets.ts';
import { eventually } from '../gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { failureBudgetContract } from './failure-budget.ts';
import { signInThrottleContract } from './sign-in-throttle.ts';
import { signatureContract } from './signatures.ts';
import { ticketContract } from './tickets.ts';

let redis: RedisServer;
/** One a gate. */
let clients: RedisClient[];

beforeAll(async () => {
  redis = await startRedis();
  const address = readAddress(redis.database())!;
  clients = await Promise.all(
    Array.from({ length: 4 }, () => RedisClient.open({ address, now: Date.now, answerMs: 5_000 })),
  );
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await redis.stop();
});

/** What Redis holds outlives an adapter, so each has a name of its own. */
let names = 0;
const faults: unknown[] = [];
const onError = (error: unknown): void => void faults.push(error);
const minute = Math.ceil(Date.now() / 60_000) * 60_000;
afterAll(() => expect(faults).toEqual([]));

interface Opening {
  readonly client?: RedisClient;
  readonly name?: string;
  readonly now?: () => number;
  readonly perMinute?: () => number;
  readonly windowMs?: number;
  readonly gates?: number;
}

const failuresOf = ({ client, name, now, perMinute }: Opening): RedisFailures =>
  new RedisFailures({
    client: client ?? clients[0]!,
    name: name ?? `test${names++}`,
    perMinute: perMinute ?? (() => 30),
    now: now ?? (() => minute),
    gates: () => 4,
    onError,
  });

const signInsOf = ({ client, name, now }: Opening): RedisSignIns =>
  new RedisSignIns({
    client: client ?? clients[0]!,
    name: name ?? `test${names++}`,
    now: now ?? (() => minute),
    gates: () => 4,
    onError,
  });

const signaturesOf = ({ client, now, windowMs, gates }: Opening): RedisSignatures =>
  new RedisSignatures({
    client: client ?? clients[0]!,
    windowMs: windowMs ?? 121_000,
    now: now ?? (() => minute),
    gates: () => gates ?? 4,
    onError,
  });

const ticketsOf = ({ client, name, now }: Opening): RedisTickets =>
  new RedisTickets({ client: client ?? clients[0]!, name: name ?? `test${names++}`, now: now ?? (() => minute) });

const ticket: Ticket = {
  route: 'comfy',
  origin: 'https://app.example.com',
  key: { kind: 'secret', id: 'key_1' as KeyId, digest: 'digest' },
};

/** Does the work with clients whose Redis is gone. */
async function withoutRedis(work: (gates: RedisClient[]) => Promise<void>): Promise<void> {
  const own = await startRedis();
  const address = readAddress(own.database())!;
  const gates = await Promise.all(
    [0, 1, 2, 3].map(() => RedisClient.open({ address, now: Date.now, answerMs: 2_000 })),
  );
  try {
    await own.kill();
    await eventually(() => expect(gates.map(({ state }) => state)).toEqual(gates.map(() => 'degraded')));
    await work(gates);
  } finally {
    await Promise.all(gates.map((gate) => gate.close()));
    await own.stop();
  }
}

failureBudgetContract({ name: 'memory', open: (perMinute, now) => new MemoryFailures(perMinute, now) });
failureBudgetContract({ name: 'Redis', open: (perMinute, now) => failuresOf({ perMinute, now }) });
signInThrottleContract({ name: 'memory', open: (now) => new MemorySignIns(now) });
signInThrottleContract({ name: 'Redis', open: (now) => signInsOf({ now }) });
signatureContract({ name: 'memory', open: (windowMs, now) => new MemorySignatures(windowMs, now) });
signatureContract({ name: 'Redis', open: (windowMs, now) => signaturesOf({ windowMs, now }) });
ticketContract({ name: 'Redis', open: (now) => ticketsOf({ now }) });

describe('four gates', () => {
  test('let exactly the budget for wrong keys through, and all know when it is spent', async () => {
    const name = `test${names++}`;
    const gates = clients.map((client) => failuresOf({ client, name }));
    const waits = await Promise.all(Array.from({ length: 200 }, async (_, i) => gates[i % 4]!.note('192.0.2.1')));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(30);
    const channel = clients[0]!.channel(`spent:${name}`);
    await eventually(async () => expect(await redis.ask('PUBSUB', 'NUMSUB', channel)).toContain(':4'));
    // Only the first gate sees failures of this address.
    for (let i = 0; i < 30; i++) await gates[0]!.note('2001:db8::1');
    await eventually(() => expect(gates.map((gate) => gate.waitSeconds('2001:db8::2'))).toEqual([60, 60, 60, 60]));
    expect(gates.map((gate) => gate.waitSeconds('192.0.2.2'))).toEqual([0, 0, 0, 0]);
    expect(gates.map((gate) => gate.note('192.0.2.1'))).toEqual([60, 60, 60, 60]);
  });

  test('without Redis each have their share of the budget', () =>
    withoutRedis(async (all) => {
      const gates = all.map((client) => failuresOf({ client }));
      const waits = await Promise.all(Array.from({ length: 200 }, async (_, i) => gates[i % 4]!.note('192.0.2.1')));
      expect(waits.filter((wait) => wait === 0)).toHaveLength(4 * 7);
      const scarce = failuresOf({ client: all[0]!, perMinute: () => 2 });
      expect([await scarce.note('192.0.2.1'), await scarce.note('192.0.2.1')]).toEqual([0, 60]);
    }));

  test('let exactly five guesses of one password through', async () => {
    const name = `test${names++}`;
    const gates = clients.map((client) => signInsOf({ client, name }));
    const ask = (_: unknown, i: number): Promise<number> => gates[i % 4]!.attempt('192.0.2.1', 'a@example.org');
    const waits = await Promise.all(Array.from({ length: 40 }, ask));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(5);
    await gates[1]!.succeeded('192.0.2.1', 'a@example.org');
    expect(await gates[2]!.attempt('192.0.2.1', 'a@example.org')).toBe(0);
  });

  test('without Redis allow no more guesses of a password than one gate, and wait as many times as long', () =>
    withoutRedis(async (all) => {
      let now = minute;
      const gates = all.map((client) => signInsOf({ client, now: () => now }));
      const ask = (_: unknown, i: number): Promise<number> => gates[i % 4]!.attempt('192.0.2.1', 'a@example.org');
      const waits = await Promise.all(Array.from({ length: 40 }, ask));
      expect(waits.filter((wait) => wait === 0)).toHaveLength(4);
      now += 4_000;
      expect(await gates[0]!.attempt('192.0.2.1', 'a@example.org')).toBe(0);
      expect(await gates[0]!.attempt('192.0.2.1', 'a@example.org')).toBe(8);
      await gates[0]!.answered('192.0.2.1', 'a@example.org');
      await gates[0]!.succeeded('192.0.2.1', 'a@example.org');
      expect(await gates[0]!.attempt('192.0.2.1', 'a@example.org')).toBe(0);
    }));

  test('let one of the same signed call through', async () => {
    const gates = clients.map((client) => signaturesOf({ client }));
    const use = { signature: 'a', key: 'race' as KeyId, address: '192.0.2.1', body: 'one' };
    const verdicts = await Promise.all(Array.from({ length: 40 }, async (_, i) => gates[i % 4]!.use(use)));
    expect(verdicts.filter((verdict) => verdict === 'good')).toHaveLength(1);
  });

  test('without Redis take no signature, which one gate alone does', () =>
    withoutRedis(async ([client]) => {
      const use = { signature: 'a', key: 'gone' as KeyId, address: '192.0.2.1', body: 'one' };
      expect(await signaturesOf({ client: client! }).use(use)).toBe('unknown');
      const alone = signaturesOf({ client: client!, gates: 1 });
      expect([await alone.use(use), await alone.use(use)]).toEqual(['good', 'replay']);
    }));

  test('take a ticket that another gate gave, and one of them gets it', async () => {
    const name = `test${names++}`;
    const gates = clients.map((client) => ticketsOf({ client, name }));
    expect(await gates[0]!.keep('d', ticket, 30_000)).toBe(true);
    const taken = await Promise.all(Array.from({ length: 20 }, async (_, i) => gates[i % 4]!.take('d')));
    expect(taken.filter((each) => each !== undefined)).toEqual([ticket]);
  });

  test('without Redis give and take no ticket', () =>
    withoutRedis(async ([client]) => {
      const tickets = ticketsOf({ client: client! });
      await expect(tickets.keep('d', ticket, 30_000)).rejects.toThrow(RedisAway);
      await expect(tickets.take('d')).rejects.toThrow(RedisAway);
    }));

  test('take a signed call and a ticket whose answer was lost, once', async () => {
    const own = await startRedis();
    const client = await RedisClient.open({ address: readAddress(own.database())!, now: Date.now, answerMs: 2_000 });
    const run = client.run.bind(client);
    /** Redis goes on when it is asked something again after so many questions that it did not answer. */
    const goesOnAfter = (unanswered: number): void => {
      let asked = 0;
      client.run = (...given) => {
        if (++asked > unanswered) own.signal('SIGCONT');
        return run(...given);
      };
    };
    try {
      const [signatures, tickets, others] = [
        signaturesOf({ client }),
        ticketsOf({ client, name: 'a' }),
        signaturesOf({ client }),
      ];
      const use = { signature: 'a', key: 'lost' as KeyId, address: '192.0.2.1', body: 'one' };
      expect(await tickets.keep('old', ticket, 30_000)).toBe(true);
      own.signal('SIGSTOP');
      goesOnAfter(2);
      const answers = Promise.all([signatures.use(use), tickets.take('old')]);
      expect(await answers).toEqual(['good', ticket]);
      expect([await others.use(use), await tickets.take('old')]).toEqual(['replay', undefined]);
      own.signal('SIGSTOP');
      goesOnAfter(1);
      expect(await tickets.keep('new', ticket, 30_000)).toBe(true);
      expect(await own.ask('HGET', 'sk1:{tickets:a}:keys', ticket.key.id)).toContain('1');
    } finally {
      own.signal('SIGCONT');
      await client.close();
      await own.stop();
    }
  });
});
