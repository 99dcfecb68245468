// Calls beyond an account's concurrency wait in a queue of the account: they hold nothing, are served in order, and leave
// nothing behind however they end.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lift, suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let calls: number;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
beforeEach(() => {
  calls = fake.calls.length;
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
const answer = '{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":4}';

/** Answers this many calls, each when the test releases it. */
function held(count: number): { readonly running: () => number; readonly most: () => number; free(): void } {
  const waiting: (() => void)[] = [];
  let most = 0;
  for (let i = 0; i < count; i++)
    fake.next(async (_, response) => {
      const opened = new Promise<void>((resolve) => waiting.push(resolve));
      most = Math.max(most, waiting.length);
      await opened;
      response.head(200, { 'Content-Type': 'application/json' });
      await response.chunk(answer);
      response.end();
    });
  return { running: () => waiting.length, most: () => most, free: () => waiting.shift()?.() };
}

const chat = (secret: string, at: TestGate = gate, signal?: AbortSignal): Promise<Response> =>
  fetch(`${at.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': secret },
    body: JSON.stringify(whole),
    ...(signal ? { signal } : {}),
  });

/** Sends them one after the other, so that their order is known. */
async function sendInOrder(secret: string, count: number, running: number): Promise<Promise<Response>[]> {
  const sent: Promise<Response>[] = [];
  for (let i = 0; i < count; i++) {
    sent.push(chat(secret));
    await eventually(() => expect(fake.calls.length - calls + gate.waiting()).toBe(i + 1));
  }
  await eventually(() => expect(fake.calls.length - calls).toBe(running));
  return sent;
}

const left = (response: Response, label: string): number =>
  Number(new RegExp(`"${label}";r=(\\d+)`).exec(response.headers.get('ratelimit') ?? '')?.[1]);

test('ten calls with a concurrency of four are all answered, four at a time and in order', async () => {
  const { secret } = await gate.member({ concurrentRequests: 4, waitingRequests: 16, requestsPerDay: 100 });
  const answers = held(10);
  const sent = await sendInOrder(secret, 10, 4);
  expect(gate.waiting()).toBe(6);
  for (let i = 0; i < 10; i++) {
    await eventually(() => expect(answers.running()).toBe(Math.min(4, 10 - i)));
    answers.free();
    const response = await sent[i]!;
    expect(response.status).toBe(200);
    expect(response.headers.get('x-sekisho-queue-position')).toBe(i < 4 ? null : String(i - 3));
  }
  expect(answers.most()).toBe(4);
  expect(gate.waiting()).toBe(0);
});

test('a call beyond the waiting limit is refused, and a plan without waiting refuses at once', async () => {
  for (const waitingRequests of [3, 0]) {
    calls = fake.calls.length;
    const { secret } = await gate.member({ concurrentRequests: 2, waitingRequests });
    const answers = held(2 + waitingRequests);
    const sent = await sendInOrder(secret, 2 + waitingRequests, 2);
    const refused = await chat(secret);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(await refused.json()).toMatchObject({ code: 'too_many_concurrent' });
    for (const response of sent) {
      await eventually(() => expect(answers.running()).toBeGreaterThan(0));
      answers.free();
      expect((await response).status).toBe(200);
    }
  }
});

test('limits stay exact: a waiting call holds nothing, and is refused at its turn when nothing is left', async () => {
  const { secret, id } = await gate.member({ concurrentRequests: 1, waitingRequests: 100, requestsPerDay: 5 });
  const responses = await Promise.all(Array.from({ length: 60 }, () => chat(secret)));
  const statuses = responses.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(55);
  expect(fake.calls.length - calls).toBe(5);
  const rows = await gate.ledger(60);
  expect(rows.filter(({ keyId, outcome }) => keyId === id && outcome === 'completed')).toHaveLength(5);
});

test('a key without room of its own does not block another key of the account', async () => {
  const { account, secret } = await gate.member({ concurrentRequests: 3, waitingRequests: 16 });
  const { secret: narrow } = await gate.key({ account: account.name, limits: { concurrentRequests: 1 } });
  const answers = held(6);
  const slow = [chat(narrow), chat(narrow), chat(narrow)];
  await eventually(() => expect([fake.calls.length - calls, gate.waiting()]).toEqual([1, 2]));
  const quick = [chat(secret), chat(secret), chat(secret)];
  await eventually(() => expect([fake.calls.length - calls, gate.waiting()]).toEqual([3, 3]));
  for (let i = 0; i < 6; i++) {
    await eventually(() => expect(answers.running()).toBeGreaterThan(0));
    answers.free();
  }
  for (const each of [...slow, ...quick]) expect((await each).status).toBe(200);
});

test('an account with many waiting calls does not keep another from its turn', async () => {
  const one = await openGate(fake.url, { SLOTS: '1' });
  const { secret: greedy } = await one.member({ concurrentRequests: 2, waitingRequests: 100 });
  const { secret: modest } = await one.member({ concurrentRequests: 2, waitingRequests: 100 });
  const answers = held(12);
  const many = Array.from({ length: 11 }, () => chat(greedy, one));
  await eventually(() => expect([answers.running(), one.waiting()]).toEqual([1, 10]));
  const few = chat(modest, one);
  await eventually(() => expect(one.waiting()).toBe(11));
  let served = 0;
  void few.then(() => (served = fake.calls.length - calls));
  for (let i = 0; i < 12; i++) {
    await eventually(() => expect(answers.running()).toBe(1));
    answers.free();
  }
  expect((await few).status).toBe(200);
  for (const each of many) expect((await each).status).toBe(200);
  // The one that ran, the one that already waited at the model, and then this one; one more may have begun since.
  await eventually(() => expect(served).toBeGreaterThan(0));
  expect(served).toBeLessThanOrEqual(4);
  await one.stop();
});

describe('a call that waits for its account', () => {
  const waiting = async (terms: object, at: TestGate = gate) => {
    const member = await at.member({ concurrentRequests: 1, waitingRequests: 8, requestsPerDay: 100, ...terms });
    const answers = held(1);
    const running = chat(member.secret, at);
    await eventually(() => expect(answers.running()).toBe(1));
    return { ...member, answers, running };
  };
  /** Everything is free again, and only answered calls were counted. */
  const settled = async (secret: string, used: number, at: TestGate = gate): Promise<void> => {
    await eventually(() => expect(at.waiting()).toBe(0));
    const next = await chat(secret, at);
    expect(next.status).toBe(200);
    expect(left(next, 'requests-day')).toBe(100 - used - 1);
  };

  test('leaves the queue when its caller hangs up, and costs nothing', async () => {
    const { secret, id, answers, running } = await waiting({});
    const hangUp = new AbortController();
    const gone = Array.from({ length: 5 }, () => chat(secret, gate, hangUp.signal).catch(() => undefined));
    await eventually(() => expect(gate.waiting()).toBe(5));
    hangUp.abort();
    await Promise.all(gone);
    await eventually(() => expect(gate.waiting()).toBe(0));
    answers.free();
    expect((await running).status).toBe(200);
    await settled(secret, 1);
    const rows = (await gate.ledger(7)).filter(({ keyId }) => keyId === id);
    expect(rows.filter(({ outcome }) => outcome === 'client_closed')).toHaveLength(5);
    expect(rows.every(({ upstream, outcome }) => (outcome === 'completed') === (upstream !== null))).toBe(true);
  });

  test('is refused when its account is suspended, and a later call works again', async () => {
    const { secret, account } = await waiting({});
    const two = [chat(secret), chat(secret)];
    await eventually(() => expect(gate.waiting()).toBe(2));
    const { id } = await gate.manage((store, by) =>
      suspend(store, { whom: account.id, step: 'suspend', reason: 'a test.', endsAt: null }, by),
    );
    for (const each of two) expect((await each).status).toBe(403);
    await gate.manage((store, by) => lift(store, id, by));
    await eventually(async () => expect((await chat(secret)).status).toBe(200));
    expect(gate.waiting()).toBe(0);
  });

  test('is refused after the maximum waiting time, and when the gate stops', async () => {
    const hasty = await openGate(fake.url, { QUEUE_SECONDS: '1' });
    const first = await waiting({}, hasty);
    const late = await chat(first.secret, hasty);
    expect(late.status).toBe(503);
    expect(await late.json()).toMatchObject({ code: 'queue_timeout' });
    first.answers.free();
    expect((await first.running).status).toBe(200);
    await settled(first.secret, 1, hasty);
    await hasty.stop();
    const stopping = await openGate(fake.url, { DRAIN_SECONDS: '60' });
    const second = await waiting({}, stopping);
    const stopped = chat(second.secret, stopping);
    await eventually(() => expect(stopping.waiting()).toBe(1));
    const stop = stopping.stop();
    const refused = await stopped;
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'draining' });
    second.answers.free();
    expect((await second.running).status).toBe(200);
    await stop;
  });

  test('is refused at once when another limit has no room for it', async () => {
    const { secret, answers, running } = await waiting({ requestsPerDay: 1 });
    const refused = await post(`${gate.url}/api/chat`, secret, whole);
    expect([refused.status, refused.headers.get('x-sekisho-error-code')]).toEqual([429, 'quota_exceeded']);
    answers.free();
    expect((await running).status).toBe(200);
  });
});
