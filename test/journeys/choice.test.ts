// Which of several model servers gets a call, on real sockets: by what is in memory, what runs, and where a conversation is.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type Begun, begunAnswer, eventually, openGate, post, type TestGate } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

const model = 'large:20b';
const isChat = ({ url }: FakeRequest): boolean => url === '/api/chat';

let cold: FakeOllama;
let warm: FakeOllama;
let gate: TestGate;
let secret: string;
/** Lets every held stream end. */
let release: () => void;

beforeEach(async () => {
  [cold, warm] = await Promise.all([startFakeOllama(), startFakeOllama()]);
  const { promise, resolve } = Promise.withResolvers<void>();
  release = resolve;
  const facts = { name: model, sizeBytes: 2e10, capabilities: ['completion'] };
  cold.models = [{ ...facts, loaded: false }];
  warm.models = [facts];
  for (const fake of [cold, warm]) {
    fake.pieces = ['a', 'b', 'c'];
    fake.pace = (index) => (index === 1 ? promise : undefined);
  }
});
afterEach(async () => {
  release();
  await gate.stop();
  await Promise.all([cold.close(), warm.close()]);
});

/** With the cold one first, which would be the choice between equals. */
async function open(slots: number): Promise<void> {
  gate = await openGate(`${cold.url},${warm.url}`, { SLOTS: String(slots) });
  ({ secret } = await gate.key());
  for (const { url } of [cold, warm])
    await eventually(() => expect(gate.servers.all.find(({ name }) => name === url)?.lookedMs).toBeGreaterThan(0));
}

const chat = (content: string, tokens: number, stream = true): Promise<Response> =>
  post(`${gate.url}/api/chat`, secret, {
    model,
    messages: [{ role: 'user', content }],
    options: { num_predict: tokens },
    stream,
  });
const begun = async (content: string, tokens: number): Promise<Begun> => begunAnswer(await chat(content, tokens));
const heard = (): number[] => [cold, warm].map(({ requests }) => requests.filter(isChat).length);

test('calls go to the server that has the model in memory, and wait there while that is shorter than a load', async () => {
  await open(1);
  const first = await begun('x', 10);
  expect(heard()).toEqual([0, 1]);
  const second = begun('y', 10);
  await eventually(() => expect(gate.waiting()).toBe(1));
  expect(heard()).toEqual([0, 1]);
  release();
  for (const { rest } of [first, await second]) expect(await rest).toMatchObject({ clean: true });
  expect(heard()).toEqual([0, 2]);

  const operator = await operatorOf(gate);
  const { status, body } = await operator.get(`/estimates?model=${model}`);
  const [best, other] = body['items'] as Record<string, unknown>[];
  expect([status, best, other]).toMatchObject([
    200,
    { address: warm.url, isLoaded: true, inFlight: 0, slots: 1, calls: 2 },
    { address: cold.url, isLoaded: false, inFlight: 0, slots: 1, calls: 0 },
  ]);
  expect((await operator.get('/estimates?model=nobody-has-it')).body).toMatchObject({ items: [], next: null });
  expect((await operator.get('/estimates?model=')).status).toBe(400);
});

test('a call goes to the cold server when the queue of the warm one is longer than the load', async () => {
  await open(1);
  const first = await begun('x', 5_000);
  const second = await begun('y', 10);
  expect(heard()).toEqual([1, 1]);
  release();
  for (const { rest } of [first, second]) expect(await rest).toMatchObject({ clean: true });
});

test('a conversation stays at the server that has its text, and others go where they would have gone', async () => {
  cold.models = warm.models;
  await open(4);
  const long = 'Once upon a time. '.repeat(200);
  // While one server reads a long prompt, the conversation begins at the other.
  const other = await begun('x', 10);
  expect(heard()).toEqual([1, 0]);
  const conversation = await begun(long, 10);
  expect(heard()).toEqual([1, 1]);
  release();
  for (const { rest } of [other, conversation]) expect(await rest).toMatchObject({ clean: true });
  const again = await post(`${gate.url}/api/chat`, secret, {
    model,
    messages: [
      { role: 'user', content: long },
      { role: 'assistant', content: 'abc' },
      { role: 'user', content: 'And then?' },
    ],
    stream: false,
  });
  expect(again.status).toBe(200);
  expect(heard()).toEqual([1, 2]);
  expect((await chat(`Another. ${long}`, 10, false)).status).toBe(200);
  expect(heard()).toEqual([2, 2]);
  // It goes elsewhere once its server is gone.
  await gate.servers.remove(gate.servers.all.find(({ name }) => name === warm.url)!);
  expect((await chat(long, 10, false)).status).toBe(200);
  expect(heard()).toEqual([3, 2]);
});
