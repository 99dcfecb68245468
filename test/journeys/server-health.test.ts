// Model servers that die, come back, fail, refuse and hang while others are there, or none is.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { begunAnswer, eventually, inTime, openGate, post, sekisho, type TestGate } from '../gate.ts';
import { operatorOf, type Visitor } from '../visitor.ts';

const model = 'gemma3:270m';
const json = { 'content-type': 'application/json' };

/** A server in the test's hands: it lists one model, and answers calls as it is told. */
interface Moody {
  readonly url: string;
  /** Answers a call, or the list if that is not `fine`. */
  call: (request: IncomingMessage, response: ServerResponse) => void;
  list: (request: IncomingMessage, response: ServerResponse) => void;
  calls: number;
  close(): Promise<void>;
}

const says =
  (status: number, headers: Record<string, string> = {}, body = '{"error":"no"}') =>
  (_: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(status, { ...json, ...headers }).end(body);
const fine = says(200, {}, `{"models":[{"name":"${model}"}]}`);
const done = says(200, {}, '{"response":"x","done":true,"prompt_eval_count":1,"eval_count":1}');

async function moody(): Promise<Moody> {
  const server = createServer((request, response) => {
    if (request.url === '/api/generate') {
      moods.calls++;
      moods.call(request, response);
    } else if (request.url === '/api/tags' || request.url === '/v1/models') moods.list(request, response);
    else says(404)(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const moods: Moody = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    call: done,
    list: fine,
    calls: 0,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return moods;
}

let one: FakeOllama;
let gate: TestGate;
let secret: string;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  one = await startFakeOllama();
  closing.push(() => one.close());
});
afterEach(async () => {
  for (const close of closing.toReversed().splice(0)) await close();
  closing.length = 0;
});

async function open(
  servers: readonly { readonly url: string }[],
  environment: Record<string, string> = {},
): Promise<void> {
  gate = await openGate(servers.map(({ url }) => url).join(), { PROBE_SECONDS: '0.1', ...environment });
  closing.push(() => gate.stop());
  ({ secret } = await gate.key());
  await eventually(() => expect(gate.servers.all.every(({ health }) => health.state !== 'unknown')).toBe(true));
}
async function another(): Promise<Moody> {
  const server = await moody();
  closing.push(() => server.close());
  return server;
}

const ask = (stream = false): Promise<Response> =>
  post(`${gate.url}/api/generate`, secret, { model, prompt: 'x', stream });
const generation = ({ url }: FakeRequest): boolean => url === '/api/generate';
const heard = (fake: FakeOllama): number => fake.requests.filter(generation).length;
/** By its place among those that the gate was opened with. */
const healthOf = (at: number) => gate.servers.all[at]!.health;
const codeOf = ({ headers }: Response): string | null => headers.get('x-sekisho-error-code');

interface Shown {
  readonly name: string;
  readonly state: string;
  readonly since: string;
  readonly reason: string | null;
}
async function shown({ url }: { readonly url: string }, operator?: Visitor): Promise<Shown> {
  const { body } = await (operator ?? (await operatorOf(gate))).get('/status');
  return (body as { upstreams: Shown[] }).upstreams.find(({ name }) => name === url)!;
}

test('a server that is killed and brought back under load fails no call that had not begun there', async () => {
  const two = await startFakeOllama();
  closing.push(() => two.close());
  await open([one], { SLOTS: '4' });
  // It is preferred, so that calls run there when it is killed, however late its answers once began on a busy machine.
  await (await operatorOf(gate)).post('/servers', { name: 'two', address: two.url, weight: 100 });
  await eventually(() => expect(healthOf(1).state).toBe('up'));
  const { port, url } = two;
  const over = new AbortController();
  let calls = 0;
  const work = async (stream: boolean): Promise<void> => {
    for (; !over.signal.aborted; calls++) await (await ask(stream)).text().catch(() => 'cut');
  };
  const workers = Array.from({ length: 8 }, (_, at) => work(at % 2 === 0));
  for (let round = 0; round < 3; round++) {
    const before = heard(two);
    // It gets all its calls, now and again.
    await eventually(() => expect([healthOf(1).reason, heard(two) > before + 20]).toEqual([undefined, true]));
    await two.close();
    const { length } = one.requests;
    await eventually(() => expect(healthOf(1).state).toBe('down'));
    await eventually(() => expect(one.requests.length).toBeGreaterThan(length + 20));
    await two.listen(port);
  }
  over.abort();
  await Promise.all(workers);
  const rows = await gate.ledger(calls);
  const failed = rows.filter(({ outcome }) => outcome !== 'completed');
  // A call is repeated elsewhere unless some of it had been sent.
  expect(failed.filter(({ code, upstream }) => code !== 'upstream_failed' || upstream !== url)).toEqual([]);
  expect(failed.length).toBeLessThanOrEqual(3 * workers.length);
  expect(gate.servers.all.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
});

test('a server that comes back gets at most one call, then twice as many each time, while another can take calls', async () => {
  const two = await startFakeOllama();
  closing.push(() => two.close());
  await open([one]);
  // It is preferred whenever it may have a call, so it gets as many as it may.
  await (await operatorOf(gate)).post('/servers', { name: 'two', address: two.url, weight: 100 });
  await eventually(() => expect(healthOf(1).state).toBe('up'));
  const { port } = two;
  await two.close();
  await eventually(() => expect(healthOf(1).state).toBe('down'));
  await two.listen(port);
  await eventually(() => expect(healthOf(1).state).toBe('up'));
  let gone: (() => void)[] = [];
  // Of both, since one whose answers begin later gets fewer calls.
  one.pace = two.pace = (index) =>
    index === 0 ? new Promise((resolve) => gone.push(() => resolve(undefined))) : undefined;
  const running: Promise<unknown>[] = [];
  const call = (): unknown => running.push(ask().then((answer) => answer.text()));
  let before = 0;
  for (const most of [1, 2, 4]) {
    for (let i = 0; i < 10; i++) call();
    await eventually(() => expect(heard(one) + heard(two)).toBe(running.length));
    expect(heard(two) - before).toBe(most);
    before = heard(two);
    for (const answer of gone) answer();
    gone = [];
    await Promise.all(running);
  }
});

describe('a server that is in trouble is shown with its reason, and others are preferred', () => {
  const troubles: readonly [string, string, RegExp, number, string | null, (server: Moody) => unknown][] = [
    [
      'whose last answers were errors',
      'doubtful',
      /^3 of its last 5 answers were errors$/,
      500,
      null,
      (server) => (server.call = says(500)),
    ],
    [
      'that refuses the gateway’s calls',
      'refused',
      /^it answers calls with 401$/,
      502,
      'upstream_refused',
      (server) => (server.call = says(401, { 'www-authenticate': 'Bearer' })),
    ],
    [
      'that is flooded (429)',
      'busy',
      /^it answers 429, and asks to be left alone for 50 s$/,
      429,
      null,
      (server) => (server.call = says(429, { 'retry-after': '50' })),
    ],
    [
      'that is flooded (503), for a day',
      'busy',
      /^it answers 503, and asks to be left alone for 60 s$/,
      503,
      null,
      (server) => (server.call = says(503, { 'retry-after': '86400' })),
    ],
    [
      'that resets connections',
      'doubtful',
      /^a call broke there$/,
      502,
      'upstream_failed',
      (server) => (server.call = ({ socket }) => socket.resetAndDestroy()),
    ],
    [
      'that hangs',
      'doubtful',
      /^an answer did not begin in time$/,
      504,
      'upstream_timeout',
      (server) => (server.call = () => undefined),
    ],
  ];
  test.each(troubles)('%s', async (_, state, reason, status, code, trouble) => {
    const two = await another();
    await open([two], { FIRST_BYTE_SECONDS: '1.1', PROBE_SECONDS: '600' });
    const operator = await operatorOf(gate);
    trouble(two);
    const answers: Response[] = [];
    while (healthOf(0).state === 'up' && answers.length < 20) answers.push(await ask());
    for (const answer of answers) {
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([status, null]);
      if (code !== null) expect(codeOf(answer)).toBe(code);
    }
    expect(answers.length).toBeGreaterThan(0);
    expect(gate.log()).toMatch(new RegExp(`"reason":"${reason.source.slice(1, -1)}"`));
    // That lasts a second at most; health.test.ts has the rest.
    if (state === 'doubtful') return;
    expect([healthOf(0).state, healthOf(0).reason]).toEqual([state, expect.stringMatching(reason)]);
    gate.servers.add(new URL(one.url));
    await eventually(() => expect(healthOf(1).state).toBe('up'));
    const before = two.calls;
    expect((await Promise.all(Array.from({ length: 10 }, () => ask()))).every((answer) => answer.ok)).toBe(true);
    expect(two.calls).toBe(before);
    const now = await shown(two, operator);
    expect(now).toMatchObject({ state, reason: expect.stringMatching(reason) as string });
    expect(Date.now() - Date.parse(now.since)).toBeLessThan(60_000);
  });

  test('a server whose probes are refused, until they no longer are; the change is in the log once', async () => {
    const two = await another();
    two.list = says(403);
    await open([two, one]);
    expect(await shown(two)).toMatchObject({ state: 'refused', reason: 'it refuses the gateway with 403' });
    expect((await Promise.all(Array.from({ length: 6 }, () => ask()))).every((answer) => answer.ok)).toBe(true);
    expect([two.calls, heard(one)]).toEqual([0, 6]);
    expect(gate.log().match(/the model server refuses the gateway/g)).toHaveLength(1);
    two.list = fine;
    await eventually(() => expect(healthOf(0).state).toBe('up'));
  });

  test('a server whose list asks the gateway to wait', async () => {
    const two = await another();
    two.list = says(429, { 'retry-after': '30' });
    await open([two, one]);
    expect(await shown(two)).toMatchObject({
      state: 'busy',
      reason: 'it answers 429, and asks to be left alone for 30 s',
    });
    expect((await ask()).status).toBe(200);
    expect(two.calls).toBe(0);
  });
});

test('the command line shows the states that the running gate knows', async () => {
  const two = await another();
  two.list = says(403);
  await open([two]);
  const environment = { DATA_DIR: gate.dataDir, UPSTREAM: two.url };
  await eventually(async () => {
    const { out } = await sekisho(['server', 'list', '--json'], environment);
    expect(JSON.parse(out)).toMatchObject([
      {
        address: two.url,
        state: 'refused',
        reason: 'it refuses the gateway with 403',
        since: expect.any(String) as string,
      },
    ]);
  });
});

test('an only server in trouble still gets every call', async () => {
  const two = await another();
  await open([two], { PROBE_SECONDS: '600' });
  for (const [call, status, code] of [
    [says(500), 500, null],
    [says(429, { 'retry-after': '9' }), 429, null],
    [says(401), 502, 'upstream_refused'],
  ] as const) {
    two.call = call;
    const before = two.calls;
    for (let i = 0; i < 6; i++) {
      const answer = await ask();
      expect([answer.status, answer.headers.get('x-sekisho-error-code') ?? code]).toEqual([status, code]);
    }
    expect(two.calls).toBe(before + 6);
    two.call = done;
    expect((await ask()).status).toBe(200);
  }
});

test('a call that waits for its turn is not sent to a server that asked for a pause, until the pause is over', async () => {
  const two = await another();
  await open([one, two], { SLOTS: '1' });
  let answer!: () => void;
  one.pace = (index) => (index === 1 ? new Promise((resolve) => (answer = () => resolve(undefined))) : undefined);
  const held = await begunAnswer(await ask(true));
  const waits = await inTime(1_000, async (pauseMs) => {
    const { calls } = two;
    two.call = says(429, { 'retry-after': String(pauseMs / 1_000) });
    expect((await ask()).status).toBe(429);
    expect(healthOf(1).state).toBe('busy');
    two.call = done;
    const call = ask();
    await eventually(() => expect(gate.waiting()).toBe(1));
    expect(two.calls).toBe(calls + 1);
    return { call, calls: calls + 1 };
  });
  await eventually(() => expect(two.calls).toBe(waits.calls + 1));
  expect((await waits.call).status).toBe(200);
  answer();
  expect(await held.rest).toMatchObject({ clean: true });
});

describe('if no server can take a call', () => {
  const families: readonly [string, object, object][] = [
    ['/api/chat', { messages: [{ role: 'user', content: 'x' }] }, { code: 'upstream_unreachable' }],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: 'x' }] },
      { error: { code: 'upstream_unreachable', message: 'The model server cannot be reached.' } },
    ],
    [
      '/v1/messages',
      { max_tokens: 5, messages: [{ role: 'user', content: 'x' }] },
      { type: 'error', error: { code: 'upstream_unreachable' } },
    ],
  ];
  test('because all are down, it is a 503 with Retry-After in the dialect of the caller', async () => {
    await open([one]);
    await one.close();
    await eventually(() => expect(healthOf(0).state).toBe('down'));
    for (const [path, fields, body] of families) {
      const answer = await post(gate.url + path, secret, { model, ...fields });
      expect([answer.status, answer.headers.get('retry-after'), codeOf(answer)]).toEqual([
        503,
        '5',
        'upstream_unreachable',
      ]);
      expect(await answer.json()).toMatchObject(body);
    }
    await one.listen();
  });

  test('because the one with the model is down, another one is not asked for a model that it lacks', async () => {
    const two = await another();
    one.models = [{ name: 'only-here:1b' }];
    await open([one, two], { PROBE_SECONDS: '0.1' });
    await one.close();
    const call = { model: 'only-here:1b', prompt: 'x' };
    for (let i = 0; i < 2; i++) {
      const answer = await post(`${gate.url}/api/generate`, secret, call);
      expect([answer.status, codeOf(answer), two.calls]).toEqual([503, 'upstream_unreachable', 0]);
      await eventually(() => expect(healthOf(0).state).toBe('down'));
    }
    await one.listen();
  });

  test('because it loads its model, it is a 503 with Retry-After', async () => {
    const two = await another();
    const loading = says(503, {}, '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}');
    two.list = two.call = loading;
    const begunMs = performance.now();
    await open([two]);
    expect(await shown(two)).toMatchObject({ state: 'loading', reason: 'it is loading its model' });
    const answer = await ask();
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await answer.json()).toMatchObject({ error: 'Loading model' });
    // From then on it is known how long it takes.
    two.list = fine;
    await eventually(() => expect(healthOf(0).state).toBe('up'));
    const tookMs = performance.now() - begunMs;
    two.list = loading;
    await eventually(() => expect(healthOf(0).state).toBe('loading'));
    const later = Number((await ask()).headers.get('retry-after'));
    const usualMs = Number(gate.servers.all[0]!.loadLeftMs(undefined));
    const mostMs = Math.max(4_000, tookMs);
    expect([later > 0, later <= Math.ceil(mostMs / 1_000), usualMs < mostMs]).toEqual([true, true, true]);
  });
});
