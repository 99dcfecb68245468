// Rights that a caller had when the call began, and loses while the call is read, waits or runs.
import { createConnection } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { changeKey } from '../../src/management/keys/keys.ts';
import { changePlan } from '../../src/management/plans/plans.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, inTime, openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let calls: number;
const stop = new AbortController();
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SLOTS: '1', MODEL_SLOTS: 'llama3=100' });
});
beforeEach(() => {
  calls = fake.calls.length;
});
const frees: (() => void)[] = [];
afterEach(() => {
  for (const free of frees.splice(0)) free();
});
afterAll(async () => {
  stop.abort();
  await gate.stop();
  await fake.close();
});

const ask = (extra: object = {}): object => ({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: 'x' }],
  stream: false,
  ...extra,
});
const chat = (secret: string, extra: object = {}): Promise<Response> =>
  post(`${gate.url}/api/chat`, secret, ask(extra));

/** The next call runs until it is released or cut. */
function held(): () => void {
  let free!: () => void;
  const opened = new Promise<void>((resolve) => {
    free = resolve;
  });
  const script: Script = async (request, response) => {
    const isCut = await Promise.race([opened.then(() => false), request.aborted.then(() => true)]);
    if (isCut) return;
    response.head(200, { 'Content-Type': 'application/json' });
    await response.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":4}');
    response.end();
  };
  fake.next(script);
  frees.push(free);
  return free;
}

const arrived = (count: number): Promise<void> => eventually(() => expect(fake.calls.length - calls).toBe(count));
const waiting = (count: number): Promise<void> => eventually(() => expect(gate.waiting()).toBe(count));

type Narrow = readonly [how: string, narrow: (id: string, plan: string) => Promise<unknown>, status: number];
const narrowings: readonly Narrow[] = [
  [
    'the key’s models change',
    (id) => gate.manage((store, by) => changeKey(store, id, { models: ['llama3'] }, by)),
    404,
  ],
  [
    'the plan’s models change',
    (_id, plan) => gate.manage((store, by) => changePlan(store, plan, { models: ['llama3'] }, by)),
    404,
  ],
  [
    'the key’s networks change',
    (id) => gate.manage((store, by) => changeKey(store, id, { cidr: ['10.0.0.0/8'] }, by)),
    403,
  ],
  [
    'the plan’s scopes shrink',
    (_id, plan) => gate.manage((store, by) => changePlan(store, plan, { scopes: ['metadata'] }, by)),
    403,
  ],
];

describe.each(narrowings)('when %s meanwhile', (_how, narrow, status) => {
  test('a running call is ended', async () => {
    const { secret, id, account } = await gate.member({});
    held();
    const answer = chat(secret);
    await arrived(1);
    await narrow(id, account.plan as string);
    expect((await answer).status).toBe(status);
  });

  test('a call waiting for the model does not reach it', async () => {
    const { secret, id, account } = await gate.member({});
    const other = await gate.key();
    const free = held();
    const first = chat(other.secret);
    await arrived(1);
    const answer = chat(secret);
    await waiting(1);
    await narrow(id, account.plan as string);
    expect((await answer).status).toBe(status);
    free();
    expect((await first).status).toBe(200);
    expect(fake.calls.length - calls).toBe(1);
  });

  test('a call waiting for its account does not reach the model', async () => {
    const { secret, id, account } = await gate.member({ concurrentRequests: 1, waitingRequests: 4 });
    held();
    const first = chat(secret);
    await arrived(1);
    const answer = chat(secret);
    await waiting(1);
    await narrow(id, account.plan as string);
    expect((await answer).status).toBe(status);
    expect((await first).status).toBe(status);
    expect(fake.calls.length - calls).toBe(1);
  });

  test('a call whose body is still arriving does not reach the model', async () => {
    const { secret, id, account } = await gate.member({});
    const body = JSON.stringify(ask());
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await client.until('100 Continue');
    await narrow(id, account.plan as string);
    await eventually(async () => expect((await chat(secret)).status).toBe(status));
    const before = fake.calls.length;
    client.write(body);
    await client.until(/HTTP\/1\.1 (?!100)\d{3}/);
    client.socket.destroy();
    expect(client.text).toContain(`HTTP/1.1 ${status}`);
    expect(fake.calls.length).toBe(before);
  });
});

test('a call that waited follows the plan as it is when it leaves the queue, and says so', async () => {
  const { secret, account } = await gate.member({ maxOutputTokens: 1_000 });
  const other = await gate.key();
  const free = held();
  const first = chat(other.secret);
  await arrived(1);
  const answer = chat(secret, { options: { num_predict: 900, num_gpu: 1 } });
  await waiting(1);
  await gate.manage((store, by) =>
    changePlan(store, account.plan as string, { maxOutputTokens: 10, reloadOptions: 'strip' }, by),
  );
  // The next call follows the new plan, so the gate knows it.
  await eventually(async () => {
    const probe = await chat(secret, { model: 'llama3', options: { num_predict: 900 } });
    expect(probe.headers.get('x-sekisho-changed')).toMatch(/=10$/);
  });
  const before = fake.calls.length;
  free();
  expect((await first).status).toBe(200);
  const response = await answer;
  expect(response.status).toBe(200);
  expect(response.headers.get('x-sekisho-changed')).toContain('num_predict=10');
  expect(fake.calls.length).toBe(before + 1);
  const sent = JSON.parse((await fake.calls.at(-1)!.body).toString()) as { options: object };
  expect(sent.options).toEqual({ num_predict: 10, num_gpu: null });
});

test('a call that waited keeps the usage field that the gate added, and its caller does not see it', async () => {
  const { secret, account } = await gate.member({ maxOutputTokens: 1_000 });
  const other = await gate.key();
  const free = held();
  const first = chat(other.secret);
  await arrived(1);
  const streamed = post(`${gate.url}/v1/chat/completions`, secret, ask({ stream: true }));
  await waiting(1);
  await gate.manage((store, by) => changePlan(store, account.plan as string, { maxOutputTokens: 10 }, by));
  await eventually(async () => {
    const probe = await chat(secret, { model: 'llama3' });
    expect(probe.headers.get('x-sekisho-changed')).toMatch(/=10$/);
  });
  free();
  expect((await first).status).toBe(200);
  const text = await (await streamed).text();
  expect(text).toContain('[DONE]');
  expect(text).not.toContain('"usage"');
  const sent = JSON.parse((await fake.calls.at(-1)!.body).toString()) as Record<string, unknown>;
  expect([sent['max_tokens'], sent['stream_options']]).toEqual([10, { include_usage: true }]);
});

test('a stream ends when its key expires, even when nothing in the store changes', async () => {
  let attempt = 0;
  const { expiresAt, response } = await inTime(1_000, async (lifeMs) => {
    const mine = ++attempt;
    fake.next(
      async (request, answer) => {
        answer.head(200, { 'Content-Type': 'application/x-ndjson' });
        await answer.chunk('{"message":{"content":"a"},"done":false}\n');
        await request.aborted;
      },
      ({ url }) => url === '/api/chat' && mine === attempt,
    );
    const ends = Date.now() + lifeMs;
    const { secret } = await gate.key({ expiresAt: ends });
    const begun = await chat(secret, { stream: true, model: 'llama3' });
    expect(begun.status).toBe(200);
    return { expiresAt: ends, response: begun };
  });
  const text = await response.text().catch(() => 'cut');
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
  expect(text === 'cut' || text.includes('expired')).toBe(true);
  const rows = await gate.ledger(1);
  expect(rows.at(-1)).toMatchObject({ outcome: 'ended', code: 'key_expired' });
});

test('a call is refused at once, with the limit that refuses it, when its concurrency is 0', async () => {
  const { secret } = await gate.member({ concurrentRequests: 0, waitingRequests: 16 });
  const narrowed = await gate.member({ waitingRequests: 16 });
  const key = await gate.key({ account: narrowed.account.name, limits: { concurrentRequests: 0 } });
  for (const each of [secret, key.secret]) {
    const response = await chat(each);
    expect([response.status, gate.waiting()]).toEqual([400, 0]);
    expect(await response.text()).toContain('concurrentRequests is 0');
  }
  // Before its body is requested.
  const client = createConnection(gate.port, '127.0.0.1');
  const said = new Promise<string>((resolve) => client.once('data', (bytes) => resolve(bytes.toString())));
  client.write(
    `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n`,
  );
  expect(await said).toContain('HTTP/1.1 400');
  client.destroy();
  expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(200);
});

test('a call waiting for its account is refused when its plan no longer lets any call run', async () => {
  const { secret, account } = await gate.member({ concurrentRequests: 1, waitingRequests: 4 });
  const free = held();
  const first = chat(secret, { model: 'llama3' });
  await arrived(1);
  const answer = chat(secret, { model: 'llama3' });
  await waiting(1);
  await gate.manage((store, by) => changePlan(store, account.plan as string, { concurrentRequests: 0 }, by));
  expect((await answer).status).toBe(400);
  free();
  expect((await first).status).toBe(200);
});
