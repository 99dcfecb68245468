import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SLOTS: '1' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});
const ask = (who: string, extra: object = {}): object => ({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: who }],
  stream: false,
  options: { num_predict: 10 },
  ...extra,
});
const chat = (secret: string, body: object): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);

/**
 * How many turns of `send`, three of which always wait, pass before the second call of `other` gets its turn; 200 at
 * most.
 */
async function turnsBefore(other: string, send: () => Promise<unknown>): Promise<number> {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  fake.next(async (_, answer) => {
    await opened;
    answer.head(200, { 'Content-Type': 'application/json' });
    await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":20,"eval_count":30}');
    answer.end();
  });
  const arrived = fake.arrival();
  const first = chat(other, ask('modest'));
  await arrived;
  let turns = 0;
  let served = false;
  const flood = async (): Promise<void> => {
    for (; turns < 200; turns++) {
      if (served) return;
      await send();
    }
  };
  const floods = [flood(), flood(), flood()];
  await eventually(() => expect(gate.waiting()).toBe(3));
  const second = chat(other, ask('modest'));
  await eventually(() => expect(gate.waiting()).toBe(4));
  open();
  expect((await second).status).toBe(200);
  served = true;
  const before = turns;
  await Promise.all([first, ...floods]);
  return before;
}

const form = (): FormData => {
  const data = new FormData();
  data.set('model', 'gemma3:270m');
  data.set('file', new Blob(['x'.repeat(1000)]), 'a.wav');
  return data;
};
test.each<[string, (secret: string) => Promise<unknown>]>([
  [
    'load the model',
    async (secret) => (await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m' })).text(),
  ],
  ['are refused by the model server', async (secret) => (await chat(secret, ask('greedy', { think: true }))).text()],
  [
    'are transcriptions',
    async (secret) =>
      (
        await fetch(`${gate.url}/v1/audio/transcriptions`, {
          method: 'POST',
          headers: { 'x-api-key': secret },
          body: form(),
        })
      ).text(),
  ],
])('turns that cost no tokens, because they %s, do not starve other accounts', async (_, send) => {
  const [greedy, modest] = [await gate.member({}), await gate.member({})];
  expect(await turnsBefore(modest.secret, () => send(greedy.secret))).toBeLessThan(100);
});

test('U9: hanging up stops the running call, and calls pipelined behind it never begin', async () => {
  const { secret } = await gate.member({});
  fake.next(async (request) => await request.aborted);
  const before = fake.calls.length;
  const client = new RawClient(gate.port);
  for (const model of ['gemma3:270m', 'llama3', 'gemma3:270m']) {
    const body = JSON.stringify(ask('x', { model }));
    client.write(
      `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  }
  await eventually(() => expect(fake.calls.length).toBe(before + 1));
  client.socket.destroy();
  await eventually(() => expect(fake.calls[before]?.state.aborted).toBe(true));
  expect((await chat(secret, ask('next', { stream: false }))).status).toBe(200);
  expect([fake.calls.length, gate.waiting()]).toEqual([before + 2, 0]);
});

test('one account alone cannot use up the body memory', async () => {
  const own = await openGate(fake.url, { BODY_MEMORY_BYTES: '4000000' });
  const [greedy, modest] = [await own.member({ concurrentRequests: 1 }), await own.member({})];
  const held = Array.from({ length: 5 }, () => {
    const client = new RawClient(own.port);
    client.write(
      `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${greedy.secret}\r\nContent-Length: 1000000\r\n\r\n${' '.repeat(999_000)}`,
    );
    return client;
  });
  // Two of them are half of the body memory; the others are refused.
  await eventually(() => expect(held.filter((client) => client.text !== '')).toHaveLength(3));
  const answer = await post(`${own.url}/api/chat`, modest.secret, ask('x', { pad: ' '.repeat(50_000) }));
  for (const client of held) client.socket.destroy();
  await own.stop();
  expect(answer.status).toBe(200);
});
