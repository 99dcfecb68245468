// Callers that try to exceed their plan: with many calls at once, over every key and route of an account, by rotating keys,
// by calls that are refused late, and by killing the gate. The model server counts what reaches it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rotateKey } from '../../src/management/keys/keys.ts';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, openGate, post, spawnGate, type TestGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const messages = [{ role: 'user', content: 'x' }];
const whole = { model: 'gemma3:270m', messages, stream: false };
const chat = (secret: string, body: unknown = whole): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);

const form = (fields: Record<string, string | Blob>): FormData => {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  return data;
};
const sendForm = (secret: string, fields: Record<string, string | Blob>): Promise<Response> =>
  fetch(`${gate.url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: { 'x-api-key': secret },
    body: form(fields),
  });
const get = (secret: string, path: string, method = 'GET'): Promise<Response> =>
  fetch(gate.url + path, { method, headers: { 'x-api-key': secret } });
const sound = new Blob(['x'.repeat(100)]);

/** Every kind of call that a request limit counts. */
const kinds: readonly ((secret: string) => Promise<Response>)[] = [
  (secret) => chat(secret),
  (secret) => chat(secret, { ...whole, stream: true }),
  (secret) => post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x' }),
  (secret) => post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m' }),
  (secret) => post(`${gate.url}/api/embed`, secret, { model: 'gemma3:270m', input: 'x' }),
  (secret) => post(`${gate.url}/v1/chat/completions`, secret, whole),
  (secret) => post(`${gate.url}/v1/chat/completions`, secret, { ...whole, stream: true }),
  (secret) => post(`${gate.url}/v1/completions`, secret, { model: 'gemma3:270m', prompt: 'x' }),
  (secret) => post(`${gate.url}/v1/responses`, secret, { model: 'gemma3:270m', input: 'x' }),
  (secret) => post(`${gate.url}/v1/messages`, secret, { ...whole, max_tokens: 9 }),
  (secret) => post(`${gate.url}/api/show`, secret, { model: 'gemma3:270m' }),
  (secret) => sendForm(secret, { model: 'gemma3:270m', file: sound }),
  (secret) => get(secret, '/api/tags'),
  (secret) => get(secret, '/api/version', 'HEAD'),
  (secret) => get(secret, '/v1/models'),
];

describe('250 calls at once', () => {
  test.each(['requestsPerMinute', 'requestsPerHour', 'requestsPerDay'])(
    'of every kind, over two keys and both secrets of a rotated one, share the %s of their account',
    async (limit) => {
      const { account, id, secret } = await gate.member({ [limit]: 30 });
      const { secret: second } = await gate.key({ account: account.name });
      const rotated = await gate.manage((store, by) => rotateKey(store, id, 60_000, by));
      const texts = [secret, second, rotated.secret!.reveal()];
      const before = fake.calls.length;
      const lengthMs = { requestsPerMinute: 60_000, requestsPerHour: 3_600_000 }[limit] ?? 86_400_000;
      const first = Math.floor(Date.now() / lengthMs);
      const answers = await Promise.all(
        Array.from({ length: 250 }, (_, i) => kinds[i % kinds.length]!(texts[i % texts.length]!)),
      );
      await Promise.all(answers.map((answer) => answer.text()));
      const passed = answers.filter(({ status }) => status !== 429).length;
      // If the window turned meanwhile, each window allows thirty.
      const windows = Math.floor(Date.now() / lengthMs) - first + 1;
      expect(passed).toBeLessThanOrEqual(30 * windows);
      expect(passed).toBeGreaterThanOrEqual(30);
      expect(fake.calls.length - before).toBe(passed);
    },
  );

  test('against a key’s own limit gain nothing from rotating it in between', async () => {
    const { account } = await gate.member({});
    const { id, secret } = await gate.key({ account: account.name, limits: { requestsPerDay: 7 } });
    const first = Array.from({ length: 120 }, () => chat(secret));
    const rotated = await gate.manage((store, by) => rotateKey(store, id, 60_000, by));
    const text = rotated.secret!.reveal();
    const rest = Array.from({ length: 130 }, (_, i) => chat(i % 2 ? secret : text));
    const answers = await Promise.all([...first, ...rest]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7);
  });

  test('never exceed their concurrency at the model server', async () => {
    const slow = await startFakeOllama({ pieceDelayMs: 2 });
    const own = await openGate(slow.url);
    const { account, secret } = await own.member({ concurrentRequests: 6 });
    const { secret: narrow } = await own.key({ account: account.name, limits: { concurrentRequests: 2 } });
    let [inside, most] = [0, 0];
    const streams: Script = async (_, answer) => {
      most = Math.max(most, ++inside);
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"done":false}\n');
      inside--;
      await answer.chunk('{"done":true,"prompt_eval_count":1,"eval_count":1}\n');
      answer.end();
    };
    for (let i = 0; i < 250; i++) slow.next(streams);
    let passed = 0;
    // A refused call is repeated at once, so that the gate is always full.
    const insist = async (text: string, calls: number): Promise<void> => {
      for (let i = 0; i < calls; i++) {
        const answer = await post(`${own.url}/api/chat`, text, { ...whole, stream: true });
        await answer.text();
        if (answer.status === 200) passed++;
        else expect(answer.status).toBe(429);
      }
    };
    await Promise.all(Array.from({ length: 25 }, (_, i) => insist(i % 2 ? secret : narrow, 10)));
    expect(most).toBeLessThanOrEqual(6);
    expect(slow.calls.length).toBe(passed);
    await own.stop();
    await slow.close();
  });
});

describe('a call that is refused late costs nothing, whatever was wrong', () => {
  const terms = {
    requestsPerDay: 2,
    tokensPerDay: 1_000_000,
    concurrentRequests: 1,
    maxImages: 1,
    maxEmbeddingInputs: 1,
    maxOutputTokens: 100,
    maxContextTokens: 100,
    maxKeepAliveSeconds: 60,
    models: 'gemma3:*',
  };
  test.each<[string, (secret: string) => Promise<Response>]>([
    ['no JSON', (secret) => chat(secret, '{"model":"gemma3:270m"')],
    ['two models', (secret) => chat(secret, '{"model":"gemma3:270m","Model":"x"}')],
    ['a hidden model', (secret) => chat(secret, { ...whole, model: 'llama3' })],
    ['an invalid model', (secret) => chat(secret, { ...whole, model: '../x' })],
    ['too many images', (secret) => chat(secret, { ...whole, images: ['a', 'b'] })],
    ['too many inputs', (secret) => post(`${gate.url}/api/embed`, secret, { model: 'gemma3:270m', input: ['a', 'b'] })],
    ['a length that is text', (secret) => chat(secret, { ...whole, options: { num_predict: '5' } })],
    ['a context that is text', (secret) => chat(secret, { ...whole, options: { num_ctx: '5' } })],
    ['an invalid keep_alive', (secret) => chat(secret, { ...whole, keep_alive: '1h-' })],
    ['the cloud', (secret) => chat(secret, { ...whole, model: 'gemma3:27b-cloud' })],
    ['a form without a model', (secret) => sendForm(secret, { file: sound })],
    ['another scope', (secret) => post(`${gate.url}/api/pull`, secret, { model: 'gemma3:270m' })],
    ['another method', (secret) => get(secret, '/api/chat')],
    ['an unknown route', (secret) => get(secret, '/api/nothing')],
  ])('%s', async (_, call) => {
    const { secret } = await gate.member(terms);
    const before = fake.calls.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(secret)));
    expect(answers.every(({ status }) => status >= 400 && status !== 429)).toBe(true);
    expect(fake.calls.length).toBe(before);
    expect((await chat(secret)).status).toBe(200);
    expect((await chat(secret)).status).toBe(200);
    expect((await chat(secret)).status).toBe(429);
  });
});

test('H3: a gate that is killed again and again admits no more than one that is not', async () => {
  const dataDir = temporaryDirectory();
  const slow = await startFakeOllama({ pieceDelayMs: 30 });
  const environment = { UPSTREAM: slow.url, DATA_DIR: dataDir };
  let running: GateProcess = await spawnGate(environment);
  const { secret } = await running.member({ requestsPerDay: 25 });
  const burst = (calls: number): Promise<unknown>[] =>
    Array.from({ length: calls }, () =>
      post(`${running.url}/api/chat`, secret, { ...whole, stream: true }).then(
        (answer) => answer.text().catch(() => 'cut'),
        () => 'closed',
      ),
    );
  for (let kill = 1; kill <= 3; kill++) {
    const calls = burst(8);
    await eventually(() => expect(slow.calls.length).toBe(kill * 8));
    running.process.kill('SIGKILL');
    await Promise.all([running.ended, ...calls]);
    running = await spawnGate(environment);
  }
  await Promise.all(burst(50));
  expect(slow.calls.length).toBe(25);
  running.process.kill('SIGTERM');
  expect(await running.ended).toBe(0);
  await slow.close();
});

test.each([
  ['with line feeds', 'one\r\nSet-Cookie: a=b\r\n\r\n<html>'],
  ['in Japanese', '混雑しています。少し待ってください。'],
])('a warning %s is one valid header line, and no call fails because of it', async (_, reason) => {
  const { secret, account } = await gate.member({});
  await gate.manage((store, by) =>
    suspend(store, { whom: account.id, step: 'warn', reason, endsAt: by.at + 60_000 }, by),
  );
  for (const kind of kinds) {
    const answer = await kind(secret);
    expect(answer.headers.get('x-sekisho-warning') ?? '').toMatch(/^sus_[\x20-\x7e]+$/);
    expect(answer.headers.has('set-cookie')).toBe(false);
    expect(answer.status).toBeLessThan(500);
    await answer.text();
  }
});

test.each([
  ['half a character', 'a\ud800b'],
  ['a NUL and DEL', 'a\0b\x7fc'],
])('a warning with %s is not stored', async (_, reason) => {
  const { account } = await gate.member({});
  await expect(
    gate.manage((store, by) => suspend(store, { whom: account.id, step: 'warn', reason, endsAt: by.at + 60_000 }, by)),
  ).rejects.toThrow(/The reason contains control characters/);
});
