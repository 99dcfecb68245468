// A gate whose limits and turns are kept by a store that answers later, like one on another machine: limits are as exact,
// and a caller that hangs up while the store is asked leaves nothing behind.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inMemory } from '../../src/compose/adapters.ts';
import { GatewayError } from '../../src/domain/error.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';
import { LaterLimits, LaterQueue, nextTurn, type Way } from '../later-adapters.ts';

type Question = Parameters<Way>[0];

/** The way to the store: questions of one kind can be held there, or fail. */
class HeldWay {
  readonly #held: (() => void)[] = [];
  holds: Question | undefined;
  fails: Question | undefined;

  readonly go: Way = (what) => {
    if (what === this.fails) return Promise.reject(new GatewayError('limits_unavailable'));
    return what === this.holds ? new Promise((resolve) => this.#held.push(resolve)) : nextTurn(what);
  };

  get held(): number {
    return this.#held.length;
  }

  free(): void {
    this.holds = undefined;
    for (const go of this.#held.splice(0)) go();
  }
}

const way = new HeldWay();
let fake: FakeOllama;
let gate: TestGate;
/** The callers' sockets, as the gate has them. */
const sockets: Socket[] = [];
const noteSocket = (message: unknown): void => {
  const { socket } = message as { socket: Socket };
  if (socket.localPort === gate.port) sockets.push(socket);
};
/** The gate has noticed that all of them are gone. */
const allGone = (): Promise<void> =>
  eventually(() => expect(sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(0));

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(
    fake.url,
    { SLOTS: '3' },
    {
      ...inMemory,
      limits: (calendar) => new LaterLimits(calendar, way.go),
      queue: (settings) => new LaterQueue(settings, way.go),
    },
  );
  subscribe('http.server.request.start', noteSocket);
});
beforeEach(() => {
  way.free();
  way.fails = undefined;
  sockets.length = 0;
});
afterAll(async () => {
  unsubscribe('http.server.request.start', noteSocket);
  await gate.stop();
  await fake.close();
});

const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
const chat = (secret: string): Promise<Response> => post(`${gate.url}/api/chat`, secret, whole);
const requestBytes = (secret: string): string => {
  const text = JSON.stringify(whole);
  return `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
};
const left = (response: Response, label: string): number =>
  Number(new RegExp(`"${label}";r=(\\d+)`).exec(response.headers.get('ratelimit') ?? '')?.[1]);

const statuses = async (calls: readonly Promise<Response>[]): Promise<number[]> => {
  const answers = await Promise.all(calls);
  await Promise.all(answers.map((answer) => answer.text()));
  return answers.map(({ status }) => status).toSorted((a, b) => a - b);
};

/**
 * Sends calls whose callers hang up while one of their questions is held, and lets the store answer once the gate has
 * noticed.
 */
async function hangUpDuring(question: Question, secret: string, count: number, arrived: () => void): Promise<void> {
  way.holds = question;
  sockets.length = 0;
  const clients = Array.from({ length: count }, () => new RawClient(gate.port));
  for (const client of clients) client.write(requestBytes(secret));
  await eventually(arrived);
  for (const client of clients) client.socket.destroy();
  await allGone();
  way.free();
}

/**
 * Nothing is held any more: as many calls as may run at once are let through, and refused and abandoned ones cost
 * nothing.
 */
async function nothingLeft(secret: string, used: number): Promise<void> {
  await eventually(() => expect(gate.waiting()).toBe(0));
  for (let i = 1; i <= 4; i++) {
    const answer = await chat(secret);
    await answer.text();
    expect([answer.status, left(answer, 'requests-day')]).toEqual([200, 100 - used - i]);
  }
}

describe('with fifty calls at once', () => {
  test('a limit lets through exactly as many as it says', async () => {
    const passes = 7;
    const { secret, id } = await gate.member({ requestsPerDay: passes });
    const before = fake.calls.length;
    const all = await statuses(Array.from({ length: 50 }, () => chat(secret)));
    expect(all.filter((status) => status === 200)).toHaveLength(passes);
    expect(all.filter((status) => status === 429)).toHaveLength(50 - passes);
    expect(fake.calls.length - before).toBe(passes);
    const rows = (await gate.ledger(50)).filter(({ keyId }) => keyId === id);
    expect(rows.filter(({ outcome }) => outcome === 'completed')).toHaveLength(passes);
  });

  test('never more run than allowed, in the account and at the model, and all get their turn', async () => {
    const { secret } = await gate.member({ concurrentRequests: 2, waitingRequests: 100, requestsPerDay: 100 });
    let running = 0;
    let most = 0;
    for (let i = 0; i < 50; i++)
      fake.next(async (_, answer) => {
        most = Math.max(most, ++running);
        await nextTurn('answer');
        running--;
        answer.head(200, { 'Content-Type': 'application/json' });
        await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":4}');
        answer.end();
      });
    expect(await statuses(Array.from({ length: 50 }, () => chat(secret)))).toEqual(
      Array.from({ length: 50 }, () => 200),
    );
    expect(most).toBe(2);
    await nothingLeft(secret, 50);
  });

  test('a call beyond the waiting limit is refused, and a plan without waiting refuses at once', async () => {
    const { secret } = await gate.member({ concurrentRequests: 1, requestsPerDay: 100 });
    const all = await statuses(Array.from({ length: 50 }, () => chat(secret)));
    const passed = all.filter((status) => status === 200).length;
    expect(passed).toBeGreaterThan(0);
    expect(all.filter((status) => status === 429)).toHaveLength(50 - passed);
    await nothingLeft(secret, passed);
  });
});

describe('a caller that hangs up', () => {
  test.each(['reserve', 'enter', 'answer'] as const)(
    'while the store is asked to %s leaves nothing behind',
    async (question) => {
      const { secret, id } = await gate.member({ concurrentRequests: 3, requestsPerDay: 100 });
      const before = fake.calls.length;
      await hangUpDuring(question, secret, 3, () => expect(way.held).toBe(3));
      await nothingLeft(secret, 0);
      expect(fake.calls.length - before).toBe(4);
      const rows = (await gate.ledger(7)).filter(({ keyId }) => keyId === id);
      expect(rows.filter(({ outcome, upstream }) => outcome === 'client_closed' && upstream === null)).toHaveLength(3);
    },
  );

  test('while the store is asked for its waiting call gives back what the answer brings', async () => {
    const { secret } = await gate.member({ concurrentRequests: 1, waitingRequests: 8, requestsPerDay: 100 });
    let finish!: () => void;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    fake.next(async (_, answer) => {
      await finished;
      answer.head(200, { 'Content-Type': 'application/json' });
      await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":4}');
      answer.end();
    });
    const before = fake.calls.length;
    const running = chat(secret);
    await eventually(() => expect(fake.calls.length - before).toBe(1));
    sockets.length = 0;
    const client = new RawClient(gate.port);
    client.write(requestBytes(secret));
    await eventually(() => expect(gate.waiting()).toBe(1));
    way.holds = 'reserve';
    finish();
    expect((await running).status).toBe(200);
    await eventually(() => expect(way.held).toBeGreaterThan(0));
    client.socket.destroy();
    await allGone();
    await eventually(() => expect(gate.waiting()).toBe(0));
    way.free();
    await nothingLeft(secret, 1);
  });

  test('while its turn is on the way passes it to the next', async () => {
    const { secret } = await gate.member({ requestsPerDay: 100 });
    const ends: (() => void)[] = [];
    for (let i = 0; i < 3; i++)
      fake.next(async (_, answer) => {
        await new Promise<void>((resolve) => ends.push(resolve));
        answer.head(200, { 'Content-Type': 'application/json' });
        await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":4}');
        answer.end();
      });
    const running = Array.from({ length: 3 }, () => chat(secret));
    await eventually(() => expect(ends).toHaveLength(3));
    sockets.length = 0;
    const waiting = Array.from({ length: 3 }, () => new RawClient(gate.port));
    for (const client of waiting) client.write(requestBytes(secret));
    await eventually(() => expect(gate.waiting()).toBe(3));
    way.holds = 'turn';
    for (const end of ends) end();
    expect(await statuses(running)).toEqual([200, 200, 200]);
    await eventually(() => expect(way.held).toBe(3));
    for (const client of waiting) client.socket.destroy();
    await allGone();
    way.free();
    await nothingLeft(secret, 3);
  });
});

test.each(['look', 'reserve'] as const)(
  'when the store fails to %s, the call is refused and nothing is held',
  async (question) => {
    const { secret } = await gate.member({ concurrentRequests: 1, requestsPerDay: 100 });
    way.fails = question;
    const before = fake.calls.length;
    const refused = await chat(secret);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'limits_unavailable' });
    expect(fake.calls.length).toBe(before);
    way.fails = undefined;
    await nothingLeft(secret, 0);
  },
);
