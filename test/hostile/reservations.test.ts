import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate, withinOneMinute } from '../gate.ts';

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
const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
const chat = (secret: string, body: object): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);

const answers = (prompt: number, completion: number, until: Promise<void>): void =>
  fake.next(async (_, answer) => {
    await until;
    answer.head(200, { 'Content-Type': 'application/json' });
    await answer.chunk(
      `{"message":{"content":"y"},"done":true,"prompt_eval_count":${prompt},"eval_count":${completion}}`,
    );
    answer.end();
  });

test('a limit that the gate wrote into a call is the amount reserved for it', async () => {
  const { secret, id } = await gate.member({ tokensPerDay: 10_000, maxOutputTokens: 4_000 });
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  for (let i = 0; i < 40; i++) answers(10, 4_000, opened);
  const before = fake.calls.length;
  const calls = Array.from({ length: 40 }, () => chat(secret, whole));
  let refused = 0;
  for (const call of calls) void call.then(({ status }) => (refused += Number(status === 429)));
  await eventually(() => expect(refused + fake.calls.length - before).toBe(40));
  open();
  await Promise.all(calls);
  const rows = (await gate.ledger(40)).filter(({ keyId }) => keyId === id);
  const used = rows.reduce((sum, row) => sum + row.promptTokens + row.completionTokens, 0);
  // The last one may exceed the limit by the error in the estimate of its prompt.
  expect(used).toBeLessThanOrEqual(10_000 + 4_100);
});

test('a prompt is reserved by its length even when it is a long list of inputs', async () => {
  const { secret } = await gate.member({ tokensPerDay: 400_000 });
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const input = Array.from({ length: 100 }, () => 'word '.repeat(2_400));
  const body = JSON.stringify({ model: 'gemma3:270m', input });
  for (let i = 0; i < 3; i++)
    fake.next(async (_, answer) => {
      await opened;
      answer.head(200, { 'Content-Type': 'application/json' });
      await answer.chunk('{"embeddings":[[1]],"prompt_eval_count":240000}');
      answer.end();
    });
  const calls = Array.from({ length: 3 }, () => post(`${gate.url}/api/embed`, secret, body));
  let refused = 0;
  for (const call of calls) void call.then(({ status }) => (refused += Number(status === 429)));
  const before = fake.calls.length;
  await eventually(() => expect(refused + fake.calls.length - before).toBe(3)).catch(() => undefined);
  open();
  const statuses = (await Promise.all(calls)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200).length).toBe(1);
});

test.each(['tokensPerDay', 'completionTokensPerMinute'])(
  'a caller that has used up %s never makes the gate read another body',
  (limit) =>
    withinOneMinute(async () => {
      const { secret } = await gate.member({ [limit]: 5 });
      expect((await chat(secret, whole)).status).toBe(200);
      const client = new RawClient(gate.port);
      client.write(
        `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n`,
      );
      const text = await client.until('HTTP/1.1 ');
      client.socket.destroy();
      expect(text).toContain('HTTP/1.1 429');
    }),
);

test.each(['n', 'best_of', 'n_cmpl'])('a reservation covers every answer that %s asks for', async (name) => {
  const { secret } = await gate.member({ tokensPerDay: 100_000 });
  const { secret: bounded } = await gate.member({ tokensPerDay: 100_000, maxOutputTokens: 4_000 });
  const body = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], max_tokens: 1000 };
  const left = async (key: string, count: number): Promise<number> => {
    const answer = await post(`${gate.url}/v1/chat/completions`, key, { ...body, [name]: count });
    await answer.text();
    expect(answer.status).toBe(200);
    return Number(/"tokens-day";r=(\d+)/.exec(answer.headers.get('ratelimit') ?? '')?.[1]);
  };
  expect(await left(secret, 40)).toBeLessThanOrEqual(60_000);
  // Of 4,000 tokens, 40 answers get 100 each.
  const before = await left(bounded, 40);
  expect(before).toBeLessThanOrEqual(96_000);
  expect(before).toBeGreaterThan(95_000);
});
