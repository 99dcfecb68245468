// Which of several model servers gets a call, on real sockets: by what is in memory, what runs, and where a conversation is.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
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

test.each([
  [
    '/api/chat',
    (system: string, content: string) => ({
      messages: [
        { role: 'system', content: system },
        { role: 'user', content },
      ],
    }),
  ],
  [
    '/v1/messages',
    (system: string, content: string) => ({ max_tokens: 9, system, messages: [{ role: 'user', content }] }),
  ],
  ['/api/generate', (system: string, prompt: string) => ({ system, prompt })],
])('a new conversation with a known system prompt goes to the server that has read it (%s)', async (path, bodyOf) => {
  cold.models = warm.models;
  await open(4);
  const system = 'You write tests. '.repeat(200);
  const ask = async (text: string, content: string): Promise<void> =>
    void (await (await post(gate.url + path, secret, { model, stream: false, ...bodyOf(text, content) })).text());
  const calls = (): number[] => [cold, warm].map(({ requests }) => requests.filter(({ url }) => url === path).length);
  release();
  // While one server reads a long prompt, the first conversation begins at the other.
  const { promise, resolve } = Promise.withResolvers<void>();
  cold.pace = () => promise;
  const other = chat('x', 10);
  await eventually(() => expect(heard()).toEqual([1, 0]));
  const before = calls()[0]!;
  await ask(system, 'one');
  expect(calls()).toEqual([before, 1]);
  resolve();
  await (await other).text();
  await ask(system, 'two');
  expect(calls()).toEqual([before, 2]);
  await ask(`Another. ${system}`, 'three');
  expect(calls()).toEqual([before + 1, 2]);
});

/** A server of OpenAI's routes that says of its queue what it is told to say. */
async function queueing(owner: 'vllm' | 'sglang' | 'llamacpp') {
  const state = {
    metrics: undefined as string | undefined,
    busy: 0,
    calls: 0,
    asked: 0,
    hold: undefined as Promise<void> | undefined,
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const json = (status: number, value: unknown): unknown =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const entry = { id: 'm', object: 'model', owned_by: owner, meta: { n_ctx: 4096 } };
    if (request.url === '/v1/models') json(200, { object: 'list', data: [entry] });
    else if (request.url === '/health') json(200, {});
    else if (request.url === '/props' && owner === 'llamacpp')
      json(200, { total_slots: 4, endpoint_metrics: state.metrics !== undefined });
    else if (request.url === '/metrics' && state.metrics !== undefined) response.end(state.metrics);
    else if (request.url === '/slots' && owner === 'llamacpp') {
      state.asked++;
      json(
        200,
        Array.from({ length: 4 }, (_, id) => ({ id, is_processing: id < state.busy })),
      );
    } else if (request.url === '/v1/chat/completions') {
      state.calls++;
      await state.hold;
      const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
      json(200, {
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
        usage,
      });
    } else json(404, {});
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, state, close: () => (server.closeAllConnections(), server.close()) };
}

const gauges = (prefix: string, running: number | string, waiting: number | string): string =>
  prefix.startsWith('vllm')
    ? `vllm:num_requests_running{engine="0"} ${running}\nvllm:num_requests_waiting{engine="0"} ${waiting}\n`
    : prefix === 'sglang'
      ? `sglang:num_running_reqs ${running}\nsglang:num_queue_reqs ${waiting}\n`
      : `llamacpp:requests_processing ${running}\nllamacpp:requests_deferred ${waiting}\n`;

test.each(['vllm', 'sglang', 'llamacpp'] as const)(
  'the calls of other clients that %s publishes count there, and one that lies about them harms only itself',
  async (owner) => {
    const [busy, idle] = [await queueing(owner), await queueing(owner)];
    idle.state.metrics = gauges(owner, 0, 0);
    busy.state.metrics = gauges(owner, 4, 30);
    gate = await openGate(`${busy.url},${idle.url}`, { PROBE_SECONDS: '0.1', SLOTS: '8' });
    ({ secret } = await gate.key());
    const at = (url: string) => gate.servers.all.find(({ name }) => name === url)!;
    const ask = async (): Promise<number> =>
      (
        await post(`${gate.url}/v1/chat/completions`, secret, {
          model: 'm',
          messages: [{ role: 'user', content: 'x' }],
        })
      ).status;
    await eventually(() => expect(at(busy.url).others).toEqual({ running: 4, waiting: 30 }));
    await eventually(() => expect(at(idle.url).lookedMs).toBeGreaterThan(0));
    expect([await ask(), busy.state.calls, idle.state.calls]).toEqual([200, 0, 1]);
    // The gateway's own calls are in the figures of the server, and count once.
    const { promise, resolve } = Promise.withResolvers<void>();
    idle.state.hold = promise;
    const running = [ask(), ask()];
    await eventually(() => expect(idle.state.calls).toBe(3));
    idle.state.metrics = gauges(owner, 2, 0);
    const looked = at(idle.url).lookedMs;
    await eventually(() => expect(at(idle.url).lookedMs).toBeGreaterThan(looked));
    expect(at(idle.url).others).toEqual({ running: 0, waiting: 0 });
    resolve();
    expect(await Promise.all(running)).toEqual([200, 200]);
    // Figures that cannot be are none.
    for (const lie of ['NaN', '-5', '1e300', 'many']) busy.state.metrics += gauges(owner, lie, lie);
    busy.state.metrics += gauges(owner, 999_999, 999_999);
    await eventually(() => expect(at(busy.url).others.waiting).toBeGreaterThan(900_000));
    expect([await ask(), busy.state.calls]).toEqual([200, 0]);
    await gate.servers.drain(at(idle.url), 1_000);
    expect([await ask(), busy.state.calls]).toEqual([200, 1]);
    for (const server of [busy, idle]) server.close();
  },
);

test('without metrics, llama-server is asked for its slots only while a call of the gateway runs there', async () => {
  const [one, two] = [await queueing('llamacpp'), await queueing('llamacpp')];
  const { promise, resolve } = Promise.withResolvers<void>();
  one.state.hold = two.state.hold = promise;
  one.state.busy = two.state.busy = 3;
  gate = await openGate(`${one.url},${two.url}`, { PROBE_SECONDS: '0.1', SLOTS: '8' });
  ({ secret } = await gate.key());
  await eventually(() => expect(gate.servers.all.every(({ lookedMs }) => lookedMs > 0)).toBe(true));
  expect([one.state.asked, two.state.asked]).toEqual([0, 0]);
  const call = post(`${gate.url}/v1/chat/completions`, secret, {
    model: 'm',
    messages: [{ role: 'user', content: 'x' }],
  });
  await eventually(() => expect(gate.servers.all.map(({ others }) => others.running)).toEqual([2, 0]));
  expect(two.state.asked).toBe(0);
  resolve();
  expect((await call).status).toBe(200);
  await eventually(() => expect(gate.servers.all.map(({ others }) => others.running)).toEqual([0, 0]));
  for (const server of [one, two]) server.close();
});
