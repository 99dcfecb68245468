// Models that are not in memory: each is loaded once on a server, also if callers come together or leave.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
/** Ends the loads that run, well or with this error. */
let over: (error?: Error) => void;

beforeEach(async () => {
  fake = await startFakeOllama();
  fake.models = ['cold:1b', 'other:1b'].map((name) => ({ name, capabilities: ['completion'], loaded: false }));
  let ends: ((error?: Error) => void)[] = [];
  fake.loading = () =>
    new Promise<void>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
  over = (error) => {
    for (const end of ends) end(error);
    ends = [];
  };
});
afterEach(async () => {
  over();
  await gate.stop();
  await fake.close();
});

async function open(environment: Record<string, string> = {}): Promise<void> {
  gate = await openGate(fake.url, { PROBE_SECONDS: '0.1', ...environment });
  ({ secret } = await gate.key());
  await eventually(() => expect(gate.servers.all[0]?.details.loaded).toBeDefined());
}

const ask = (fields: object = {}, signal?: AbortSignal): Promise<Response> =>
  fetch(`${gate.url}/api/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': secret },
    body: JSON.stringify({ model: 'cold:1b', prompt: 'x', stream: false, ...fields }),
    ...(signal ? { signal } : {}),
  });
const generation = ({ url }: FakeRequest): boolean => url === '/api/generate';
const bodies = async (): Promise<Record<string, unknown>[]> =>
  Promise.all(
    fake.requests
      .filter(generation)
      .map(async ({ body }) => JSON.parse((await body).toString()) as Record<string, unknown>),
  );
/** The number of calls that wait for each load. */
const waiting = (): number[] => gate.loads().map(({ load }) => load.waiting);

test('callers who want a model at the same time have it loaded once, by a request of the gateway, and then get their answers', async () => {
  await open();
  const calls = Array.from({ length: 5 }, () => ask({ options: { num_ctx: 8192, temperature: 1 } }));
  await eventually(() => expect([waiting(), fake.loads.length]).toEqual([[5], 1]));
  // No call has reached the server yet.
  expect(await bodies()).toEqual([{ model: 'cold:1b', stream: false, keep_alive: '5m', options: { num_ctx: 8192 } }]);
  const operator = await operatorOf(gate);
  const shown = async (): Promise<unknown> => ((await operator.get('/status')).body as { loads: unknown }).loads;
  const since: unknown = expect.any(String);
  expect(await shown()).toEqual([{ server: fake.url, model: 'cold:1b', since, leftMs: null, waiting: 5 }]);
  over();
  const answers = await Promise.all(calls);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  const positions = answers.map(({ headers }) => Number(headers.get('x-sekisho-load-position')));
  expect(positions.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  expect(Number(answers[0]?.headers.get('x-sekisho-load-wait-ms'))).toBeGreaterThan(0);
  expect(fake.loads).toEqual([{ model: 'cold:1b', state: 'done' }]);
  expect((await bodies()).filter(({ prompt }) => prompt === 'x')).toHaveLength(5);
  // It is in memory now.
  const later = await ask();
  expect([later.status, later.headers.get('x-sekisho-load-position')]).toEqual([200, null]);
  expect([fake.loads.length, await shown()]).toEqual([1, []]);
});

test('a caller who leaves takes the load from nobody, and if all leave, the next one finds the model in memory', async () => {
  await open();
  const leaving = [new AbortController(), new AbortController()];
  const left = leaving.map(({ signal }) => ask({}, signal).catch(() => 'left'));
  await eventually(() => expect([waiting(), fake.loads.length]).toEqual([[2], 1]));
  leaving[0]!.abort();
  await eventually(() => expect(waiting()).toEqual([1]));
  leaving[1]!.abort();
  expect(await Promise.all(left)).toEqual(['left', 'left']);
  await eventually(() => expect(waiting()).toEqual([0]));
  expect(fake.loads).toEqual([{ model: 'cold:1b', state: 'runs' }]);
  over();
  expect((await ask()).status).toBe(200);
  expect(fake.loads).toEqual([{ model: 'cold:1b', state: 'done' }]);
  expect((await gate.ledger(3)).map(({ outcome }) => outcome)).toEqual(['client_closed', 'client_closed', 'completed']);
});

test('a caller who waits is told the position, and the time that is left where it is known', async () => {
  await open({ SSE_COMMENT_SECONDS: '0.1' });
  const first = ask();
  await eventually(() => expect(fake.loads).toHaveLength(1));
  over();
  expect((await first).headers.get('x-sekisho-load-estimate-ms')).toBeNull();
  fake.inMemory.clear();
  await eventually(() => expect(gate.servers.all[0]?.details.loaded?.size).toBe(0));
  fake.models = [...fake.models];
  // Another model was loaded meanwhile, so the first one no longer counts as loaded.
  const other = ask({ model: 'other:1b' });
  await eventually(() => expect(fake.loads).toHaveLength(2));
  over();
  await (await other).text();
  const whole = ask();
  const stream = post(`${gate.url}/v1/chat/completions`, secret, {
    model: 'cold:1b',
    stream: true,
    messages: [{ role: 'user', content: 'x' }],
  });
  const answer = await stream;
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  const read = async (): Promise<boolean> => {
    const { value, done } = await reader.read();
    text += Buffer.from(value ?? []).toString();
    return !done;
  };
  while (!/: the model is loading, position \d/.test(text)) await read();
  expect(text).toMatch(/^: the model is loading, position [12](?:, about \d+ s left)?\n: keep-alive\n\n/);
  expect(answer.headers.get('x-sekisho-load-position')).toMatch(/^[12]$/);
  over();
  while (await read());
  expect(text).toContain('data: [DONE]');
  expect(Number((await whole).headers.get('x-sekisho-load-estimate-ms'))).toBeGreaterThanOrEqual(0);
  expect(fake.loads.map(({ model }) => model)).toEqual(['cold:1b', 'other:1b', 'cold:1b']);
});

describe('a load that fails', () => {
  test('ends the calls that wait for it in their dialects, also those without a turn, and is not repeated for each', async () => {
    await open({ SLOTS: '2' });
    const chat = { model: 'cold:1b', messages: [{ role: 'user', content: 'x' }] };
    const calls = [
      ask(),
      post(`${gate.url}/v1/chat/completions`, secret, chat),
      ask(),
      post(`${gate.url}/v1/chat/completions`, secret, chat),
    ];
    await eventually(() => expect([waiting(), gate.waiting(), fake.loads.length]).toEqual([[2], 2, 1]));
    over(new Error('model requires more system memory (9.1 GiB) than is available (2.0 GiB)'));
    const sentence =
      'The model could not be loaded. model requires more system memory (9.1 GiB) than is available (2.0 GiB)';
    for (const [at, call] of calls.entries()) {
      const answer = await call;
      expect([answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([502, 'upstream_failed']);
      expect(await answer.json()).toMatchObject({ error: at % 2 === 0 ? sentence : { message: sentence } });
    }
    expect(fake.loads).toEqual([{ model: 'cold:1b', state: 'failed' }]);
    expect(fake.requests.filter(generation)).toHaveLength(1);
    expect((await ask({ model: 'unknown:1b' })).status).toBe(404);
  });

  test('with the options of one call takes the model from no other call, neither while it runs nor afterwards', async () => {
    await open();
    const greedy = ask({ options: { num_ctx: 9_000_000 } });
    await eventually(() => expect([waiting(), fake.loads.length]).toEqual([[1], 1]));
    const modest = [ask(), ask()];
    await eventually(() => expect(waiting()).toEqual([3]));
    over(new Error('model requires more system memory'));
    expect((await greedy).status).toBe(502);
    // They have it loaded as they want it themselves.
    await eventually(() => expect([waiting(), fake.loads.length]).toEqual([[2], 2]));
    over();
    for (const answer of await Promise.all(modest)) {
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-sekisho-load-position')).toMatch(/^[12]$/);
    }
    expect(fake.loads.map(({ state }) => state)).toEqual(['failed', 'done']);
  });

  test('because the server broke off gets a 502, and one that takes too long a 504', async () => {
    await open({ FIRST_BYTE_SECONDS: '1.1' });
    const late = ask();
    await eventually(() => expect(fake.loads).toHaveLength(1));
    expect([(await late).status, fake.loads.length]).toEqual([504, 1]);
    fake.next((_, answer) => answer.reset(), generation);
    fake.next((_, answer) => answer.reset(), generation);
    const broken = await ask({ model: 'other:1b' });
    expect([broken.status, broken.headers.get('x-sekisho-error-code')]).toEqual([502, 'upstream_failed']);
  });
});

test('a server loads one model at a time', async () => {
  await open();
  const calls = [ask(), ask({ model: 'other:1b' }), ask(), ask({ model: 'other:1b' })];
  await eventually(() => expect(waiting()).toEqual([2, 2]));
  await eventually(() => expect(fake.loads.map(({ state }) => state)).toEqual(['runs']));
  over();
  await eventually(() => expect(fake.loads.map(({ state }) => state)).toEqual(['done', 'runs']));
  over();
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(fake.loads.map(({ state }) => state)).toEqual(['done', 'done']);
});

test('a call that unloads a model has it loaded by nobody', async () => {
  await open();
  const answer = await ask({ prompt: '', keep_alive: 0 });
  expect(await answer.json()).toMatchObject({ done_reason: 'unload' });
  expect(fake.loads).toEqual([]);
});

test('a server that is removed while it loads leaves the calls to another one', async () => {
  const second = await startFakeOllama();
  second.models = [{ name: 'cold:1b' }];
  await open();
  const call = ask();
  await eventually(() => expect(fake.loads).toHaveLength(1));
  gate.servers.add(new URL(second.url));
  await eventually(() => expect(gate.servers.all[1]?.health.up).toBe(true));
  await gate.servers.remove(gate.servers.all[0]!);
  expect((await call).status).toBe(200);
  expect(second.requests.filter(generation)).toHaveLength(1);
  await second.close();
});

describe('a router of llama-server', () => {
  test.each([
    ['loads a model once for all who want it', 'loaded', 200],
    ['that cannot load it fails their calls', 'unloaded', 502],
  ])('%s', async (_, end, status) => {
    let value = 'unloaded';
    const heard: string[] = [];
    const server = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`);
      if (request.url === '/models/load') value = 'loading';
      const now = { value, exit_code: 1 };
      const said = {
        '/v1/models': {
          object: 'list',
          data: [{ id: 'org/one:Q4', object: 'model', owned_by: 'llamacpp', status: now }],
        },
        '/models/load': { success: true },
        '/v1/chat/completions': { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } },
        '/props': { role: 'router' },
      }[request.url ?? ''];
      response.writeHead(said ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(said ?? {}));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    gate = await openGate(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { PROBE_SECONDS: '0.1' });
    ({ secret } = await gate.key());
    await eventually(() => expect(gate.servers.all[0]?.details.loaded?.size).toBe(0));
    const call = { model: 'org/one:Q4', messages: [{ role: 'user', content: 'x' }] };
    const calls = [1, 2, 3].map(() => post(`${gate.url}/v1/chat/completions`, secret, call));
    await eventually(() => expect(waiting()).toEqual([3]));
    await eventually(() => expect(heard).toContain('POST /models/load'));
    expect(heard).not.toContain('POST /v1/chat/completions');
    value = end;
    expect((await Promise.all(calls)).map((answer) => answer.status)).toEqual([status, status, status]);
    expect(heard.filter((line) => line === 'POST /models/load')).toHaveLength(1);
    server.closeAllConnections();
    server.close();
  });
});
