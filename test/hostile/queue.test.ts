// Callers that attack the queue: they hang up at every moment, fill it, ask for missing models, and come all at once while
// the gate stops. Afterwards every slot, place and share is free again, and no other caller was kept waiting.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRule } from '../../src/management/rules/rules.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, spawnGate, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeEach(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SLOTS: '2', QUEUE_LENGTH: '40' });
});
afterEach(async () => {
  await gate.stop();
  await fake.close();
});

const ask = (who: string, extra: object = {}): object => ({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: who }],
  options: { num_predict: 5 },
  ...extra,
});
const chat = (secret: string, body: object): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);

const requestBytes = (secret: string, body: object): string => {
  const text = JSON.stringify(body);
  return `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
};

const stall: Script = async (request) => await request.aborted;

/** A generation that sends one piece and then nothing more. */
const babble: Script = async (request, answer) => {
  answer.head(200, { 'Content-Type': 'application/x-ndjson' });
  await answer.chunk('{"message":{"content":"a"},"done":false}\n');
  await request.aborted;
};

/** Both slots are held until `free`; `waiting` other calls may already be in the queue. */
async function held(): Promise<{ free: () => void; over: Promise<unknown> }> {
  const { secret } = await gate.member({});
  let free!: () => void;
  const freed = new Promise<void>((resolve) => (free = resolve));
  const before = fake.calls.length;
  const hold: Script = async (_, answer) => {
    await freed;
    answer.whole(200, { 'Content-Type': 'application/json' }, '{"done":true,"prompt_eval_count":1,"eval_count":1}');
  };
  fake.next(hold);
  fake.next(hold);
  const calls = [1, 2].map(async () => (await chat(secret, ask('holder', { stream: false }))).text());
  await eventually(() => expect(fake.calls.length).toBe(before + 2));
  return { free, over: Promise.all(calls) };
}

/** Nothing runs, waits or arrives any more; what a closed connection had sent may be read after its end. */
async function quiet(): Promise<void> {
  const { secret } = await gate.key({ scopes: ['management:read'] });
  let before = -1;
  let looks = 0;
  await eventually(async () => {
    const answer = await fetch(`${gate.url}/management/v1/status`, { headers: { 'x-api-key': secret } });
    const { running } = (await answer.json()) as { running: number };
    looks = running === 0 && gate.waiting() === 0 && fake.calls.length === before ? looks + 1 : 0;
    before = fake.calls.length;
    expect(looks).toBeGreaterThan(5);
  });
}

/** Exactly this many calls of the key may be inside at once: nothing is left over, and nothing is missing. */
async function expectPlaces(secret: string, places: number): Promise<void> {
  const { free, over } = await held();
  const calls = Array.from({ length: places + 3 }, () => chat(secret, ask('places', { stream: false })));
  const refused: number[] = [];
  for (const call of calls) void call.then(({ status }) => status !== 200 && refused.push(status));
  await eventually(() => expect([gate.waiting(), refused]).toEqual([places, [429, 429, 429]]));
  free();
  await over;
  expect((await Promise.all(calls)).filter(({ status }) => status === 200)).toHaveLength(places);
  expect(gate.waiting()).toBe(0);
}

/** The remainder of a limit, as the next answer reports it. */
async function left(secret: string, label: string): Promise<number> {
  const answer = await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });
  return Number(new RegExp(`"${label}";r=(\\d+)`).exec(answer.headers.get('ratelimit') ?? '')?.[1]);
}

const many = Array.from({ length: 40 }, (_, i) => i);

describe('forty calls whose caller hangs up leave nothing behind', () => {
  beforeEach(() => void (fake.pieceDelayMs = 3));
  const moments: [string, (secret: string, turn: number) => Promise<void>][] = [
    [
      'in the head',
      async (secret) => {
        const client = new RawClient(gate.port);
        client.write(`POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\n`);
        client.socket.end();
        await client.closed;
      },
    ],
    [
      'in the body',
      async (secret, turn) => {
        const client = new RawClient(gate.port);
        const bytes = requestBytes(secret, ask('x'));
        client.write(bytes.slice(0, bytes.length - 1 - turn));
        await eventually(() => expect(client.socket.bytesWritten).toBeGreaterThan(0));
        client.socket.resetAndDestroy();
        await client.closed;
      },
    ],
    [
      'with the last byte of the body',
      async (secret) => {
        const client = new RawClient(gate.port);
        await new Promise<void>((resolve) => client.socket.write(requestBytes(secret, ask('x')), () => resolve()));
        client.socket.resetAndDestroy();
        await client.closed;
      },
    ],
    [
      'with one half of the connection, right after the body',
      async (secret) => {
        const client = new RawClient(gate.port);
        client.socket.end(requestBytes(secret, ask('x')));
        await client.closed;
      },
    ],
    [
      'before the first byte',
      async (secret) => {
        const client = new RawClient(gate.port);
        const before = fake.calls.length;
        client.write(requestBytes(secret, ask('x')));
        await eventually(() => expect(fake.calls.length + gate.waiting()).toBeGreaterThan(before));
        client.socket.destroy();
        await client.closed;
      },
    ],
    [
      'in mid-stream',
      async (secret) => {
        const client = new RawClient(gate.port);
        client.write(requestBytes(secret, ask('x')));
        await client.until('"done":false');
        client.socket.resetAndDestroy();
        await client.closed;
      },
    ],
    [
      'before the end of a whole answer',
      async (secret) => {
        const client = new RawClient(gate.port);
        client.write(requestBytes(secret, ask('x', { stream: false })));
        await client.until('HTTP/1.1 200');
        client.socket.resetAndDestroy();
        await client.closed;
      },
    ],
  ];
  test.each(moments)('%s', async (_, hangUp) => {
    const { secret, id } = await gate.member({ concurrentRequests: 40, requestsPerDay: 100_000 });
    await Promise.all(many.map((turn) => hangUp(secret, turn)));
    await quiet();
    await expectPlaces(secret, 40);
    const rows = (await gate.ledger(1)).filter(({ keyId }) => keyId === id);
    const inside = rows.filter(({ outcome }) => outcome !== 'refused').length;
    const counted = rows.filter(({ outcome, upstream }) => outcome === 'completed' || upstream !== null).length;
    // The check itself counts as well. A call abandoned in the very moment of its turn may count or not.
    const used = 100_000 - 1 - (await left(secret, 'requests-day'));
    expect(used).toBeGreaterThanOrEqual(counted);
    expect(used).toBeLessThanOrEqual(inside);
  });
});

test('a caller that hangs up in the very moment of its turn releases it', async () => {
  const { secret } = await gate.member({ concurrentRequests: 3 });
  for (let round = 0; round < 12; round++) {
    const { free, over } = await held();
    const clients = [1, 2, 3].map(() => new RawClient(gate.port));
    for (const client of clients) client.write(requestBytes(secret, ask('gone')));
    await eventually(() => expect(gate.waiting()).toBe(3));
    // The answer that frees the slot and the end of the connection that waits for it arrive in one turn of the loop.
    free();
    for (const client of clients.slice(round % 3)) client.socket.resetAndDestroy();
    await over;
    for (const client of clients) client.socket.destroy();
    await quiet();
  }
  await expectPlaces(secret, 3);
});

describe('calls pipelined on one connection', () => {
  test('are each counted', async () => {
    const { secret } = await gate.member({ requestsPerDay: 10, concurrentRequests: 50 });
    const client = new RawClient(gate.port);
    // The first refusal of a call whose body was not read ends the connection, and what follows on it is not read.
    client.write(requestBytes(secret, ask('x', { stream: false })).repeat(30));
    await client.closed;
    expect(client.text.match(/HTTP\/1\.1 200/g)).toHaveLength(10);
    expect(client.text).toContain('HTTP/1.1 429');
    expect(fake.calls).toHaveLength(10);
  });

  test('take one place, not one each, and release it when the connection closes', async () => {
    const { secret } = await gate.member({ concurrentRequests: 6 });
    fake.next(babble);
    const before = fake.calls.length;
    const client = new RawClient(gate.port);
    client.write(requestBytes(secret, ask('x')).repeat(6));
    await eventually(() => expect(fake.calls.length).toBe(before + 1));
    expect(gate.waiting()).toBe(0);
    client.socket.destroy();
    await eventually(() => expect(fake.calls[before]?.state.aborted).toBe(true));
    await expectPlaces(secret, 6);
    expect(gate.waiting()).toBe(0);
  });
});

describe('whatever the model server answers, the slot is released to the next call', () => {
  const json = { 'Content-Type': 'application/json' };
  const scripts: [string, Script][] = [
    ['an error', (_, answer) => answer.whole(500, json, '{"error":"no"}')],
    ["a refusal of the gate's credentials", (_, answer) => answer.whole(401, json, '{"error":"no"}')],
    ['a redirect', (_, answer) => answer.whole(302, { Location: 'http://127.0.0.1:1/' }, '')],
    ['a missing model', (_, answer) => answer.whole(404, json, '{"error":"no"}')],
    ['an invalid status', (_, answer) => answer.raw('HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n')],
    ['nonsense', (_, answer) => answer.raw('220 smtp.example ESMTP\r\n\r\n')],
    ['an empty header name', (_, answer) => answer.raw('HTTP/1.1 200 OK\r\n: x\r\n\r\n')],
    ['nothing but a reset', (_, answer) => answer.reset()],
    ['nothing but an end', (_, answer) => answer.hangUp()],
    ['half a head', (_, answer) => (answer.raw('HTTP/1.1 200 OK\r\nContent-Le'), answer.hangUp())],
    [
      'a length that is too long',
      (_, answer) => (answer.raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}'), answer.hangUp()),
    ],
    [
      'a length that is too short',
      (_, answer) => answer.raw('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"done":true}'),
    ],
    [
      'figures below zero',
      (_, answer) => answer.whole(200, json, '{"done":true,"prompt_eval_count":-1e9,"eval_count":-1e9}'),
    ],
    [
      'impossibly large figures',
      (_, answer) => answer.whole(200, json, '{"done":true,"prompt_eval_count":1e400,"eval_count":"9"}'),
    ],
    [
      'a stream without an end',
      async (_, answer) => {
        answer.head(200, { 'Content-Type': 'application/x-ndjson' });
        await answer.chunk('{"done":false}\n');
        answer.end();
      },
    ],
  ];
  test.each(scripts)('%s', async (_, script) => {
    const { secret, id } = await gate.member({ concurrentRequests: 9, tokensPerDay: 1_000_000 });
    for (let i = 0; i < 9; i++) fake.next(script);
    const calls = Array.from({ length: 9 }, async (_each, i) => {
      const answer = await chat(secret, ask('x', { stream: i % 2 === 0 }));
      await answer.text().catch(() => '');
    });
    await Promise.all(calls);
    await expectPlaces(secret, 9);
    const rows = (await gate.ledger(18)).filter(({ keyId }) => keyId === id);
    const used = rows.reduce((sum, row) => sum + row.promptTokens + row.completionTokens, 0);
    expect(rows.every(({ promptTokens, completionTokens }) => promptTokens >= 0 && completionTokens >= 0)).toBe(true);
    expect(await left(secret, 'tokens-day')).toBe(1_000_000 - used);
  });
});

test('missing models leave no queue behind', async () => {
  const { secret } = await gate.member({});
  const { secret: operator } = await gate.key({ scopes: ['management:read'] });
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) => chat(secret, ask('x', { model: `nobody/nothing-${i}:${i}` }))),
  );
  expect(answers.every(({ status }) => status === 404)).toBe(true);
  await eventually(async () => {
    const answer = await fetch(`${gate.url}/management/v1/status`, { headers: { 'x-api-key': operator } });
    expect(await answer.json()).toMatchObject({ running: 0, queues: [] });
  });
});

test('a caller that fills the queue and leaves it, again and again, keeps no other out of it', async () => {
  const [greedy, modest] = [await gate.member({}), await gate.member({})];
  const { free, over } = await held();
  const one = chat(modest.secret, ask('modest', { stream: false }));
  await eventually(() => expect(gate.waiting()).toBe(1));
  for (let round = 0; round < 5; round++) {
    const clients = Array.from({ length: 60 }, () => new RawClient(gate.port));
    for (const client of clients) client.write(requestBytes(greedy.secret, ask('greedy')));
    await eventually(() => expect(gate.waiting()).toBe(40));
    for (const client of clients) client.socket.destroy();
    await eventually(() => expect(gate.waiting()).toBe(1));
  }
  free();
  await over;
  expect((await one).status).toBe(200);
});

test('one model under several names has one queue', async () => {
  const { secret } = await gate.member({});
  const { free, over } = await held();
  const names = ['GEMMA3:270M', 'library/gemma3:270m', 'registry.ollama.ai/library/gemma3:270m', 'gemma3:270m:local'];
  const spelled = [...names, 'https://registry.ollama.ai/library/Gemma3:270m', 'g\u0065mma3:270m'];
  const before = fake.calls.length;
  const calls = spelled.map((model) => chat(secret, ask('x', { model, stream: false })));
  await eventually(() => expect(gate.waiting()).toBe(spelled.length));
  expect(fake.calls.length).toBe(before);
  free();
  await over;
  await Promise.all(calls);
});

test('a gate that stops with two hundred calls answers or ends each of them, and exits', async () => {
  const slow = await startFakeOllama({ pieceDelayMs: 20 });
  const own = await spawnGate({ UPSTREAM: slow.url, SLOTS: '3', QUEUE_LENGTH: '100', DRAIN_SECONDS: '1' });
  const { secret, id } = await own.member({});
  const ends: Promise<string>[] = [];
  const half = Array.from({ length: 20 }, () => {
    const client = new RawClient(Number(new URL(own.url).port));
    client.write(requestBytes(secret, ask('half')).slice(0, -1));
    return client;
  });
  for (let i = 0; i < 200; i++)
    ends.push(
      post(`${own.url}/api/chat`, secret, ask('x', { stream: i % 2 === 0, options: {} })).then(
        async (answer) => `${answer.status} ${await answer.text().catch(() => 'cut')}`,
        () => 'closed',
      ),
    );
  await eventually(() => expect(slow.calls.length).toBeGreaterThan(3));
  own.process.kill('SIGTERM');
  for (const client of half) client.write('}');
  expect(await own.ended).toBe(0);
  const texts = await Promise.all(ends);
  expect(texts.filter((text) => text.startsWith('200') && text.includes('"done":true')).length).toBeGreaterThan(0);
  for (const text of texts) expect(text).toMatch(/^(200 |503 |closed)/);
  await Promise.all(half.map((client) => client.closed));
  const rows = (await own.ledger(1)).filter(({ keyId }) => keyId === id);
  expect(rows.filter(({ outcome }) => outcome === 'interrupted')).toEqual([]);
  expect(own.output()).not.toMatch(/internal error|unhandled/i);
  await slow.close();
});

test('a call does not get the turn that its own account’s suspension freed', async () => {
  const own = await openGate(fake.url, { SLOTS: '1' });
  const { secret, account } = await own.member({});
  const rule = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 1, durationSeconds: 60 };
  await own.manage((store, by) => createRule(store, 'once', { ...rule, step: 'suspend', plans: account.name }, by));
  await eventually(() => expect(own.log()).toMatch(/"once".*"the rules in force"/));
  let free!: () => void;
  const freed = new Promise<void>((resolve) => (free = resolve));
  fake.next(async (_, answer) => {
    await freed;
    answer.whole(200, { 'Content-Type': 'application/json' }, '{"done":true,"prompt_eval_count":1,"eval_count":1}');
  });
  for (let i = 0; i < 5; i++) fake.next(stall);
  const before = fake.calls.length;
  const first = post(`${own.url}/api/chat`, secret, ask('first', { stream: false }));
  await eventually(() => expect(fake.calls.length).toBe(before + 1));
  const rest = Array.from({ length: 5 }, () => post(`${own.url}/api/chat`, secret, ask('rest')));
  await eventually(() => expect(own.waiting()).toBe(5));
  free();
  expect((await first).status).toBe(200);
  expect((await Promise.all(rest)).map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
  await own.stop();
});
