// Model servers that are added, drained and removed while the gate serves.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type Begun, begunAnswer, eventually, openGate, post, type TestGate } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

let one: FakeOllama;
let two: FakeOllama;
let gate: TestGate;
let secret: string;
/** Lets every held stream end. */
let release: () => void;

const model = 'gemma3:270m';
const generation = ({ url }: FakeRequest): boolean => url === '/api/generate';
const ask = (stream = true): Promise<Response> =>
  post(`${gate.url}/api/generate`, secret, { model, prompt: 'x', stream });
const heard = (fake: FakeOllama): number => fake.requests.filter(generation).length;

beforeEach(async () => {
  [one, two] = await Promise.all([startFakeOllama(), startFakeOllama()]);
  const { promise, resolve } = Promise.withResolvers<void>();
  release = resolve;
  for (const fake of [one, two]) fake.pieces = ['a', 'b', 'c'];
  for (const fake of [one, two]) fake.pace = (index) => (index === 1 ? promise : undefined);
});
afterEach(async () => {
  release();
  await gate.stop();
  await Promise.all([one.close(), two.close()]);
});

async function open(upstream: string, environment: Record<string, string> = {}): Promise<void> {
  gate = await openGate(upstream, environment);
  ({ secret } = await gate.key());
  await eventually(async () => expect((await fetch(`${gate.url}/readyz`)).status).toBe(200));
}

/** The gate's server with the address of this fake. */
const known = (fake: FakeOllama) => gate.servers.all.find(({ name }) => name === fake.url)!;

/** A stream whose first piece has arrived. */
const begun = async (): Promise<Begun> => begunAnswer(await ask());

describe('an added server', () => {
  test('takes a call that waits for its turn at the others, before another call ends', async () => {
    await open(one.url, { SLOTS: '1' });
    const first = await begun();
    const second = begun();
    await eventually(() => expect(gate.waiting()).toBe(1));
    gate.servers.add(new URL(two.url));
    await eventually(() => expect(heard(two)).toBe(1));
    release();
    const ended = [await first.rest, await (await second).rest];
    expect(ended).toMatchObject([{ clean: true }, { clean: true }]);
    expect([heard(one), heard(two)]).toEqual([1, 1]);
  });

  test('takes its share of the calls under load, and its models appear in the lists', async () => {
    two.models = [...two.models, { name: 'only-here:1b' }];
    await open(one.url);
    const early = await Promise.all(Array.from({ length: 4 }, begun));
    gate.servers.add(new URL(two.url));
    await eventually(async () => {
      const tags = await fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret } });
      expect(await tags.text()).toContain('only-here');
    });
    await eventually(() => expect(known(two).health.up).toBe(true));
    const late = await Promise.all(Array.from({ length: 4 }, begun));
    expect([heard(one), heard(two)]).toEqual([4, 4]);
    release();
    for (const { rest } of [...early, ...late]) expect(await rest).toMatchObject({ clean: true });
  });
});

test('a call that waits while a server is added follows that server’s facts about the model', async () => {
  one.models = [{ name: 'wide:1b', contextLength: 16_384, capabilities: ['completion'] }];
  two.models = [{ name: 'wide:1b', contextLength: 8192, capabilities: ['completion'] }];
  await open(one.url, { SLOTS: '1', PROBE_SECONDS: '0.05' });
  const { secret: member } = await gate.member({ reloadOptions: 'strip', waitingRequests: 10 });
  const call = { model: 'wide:1b', prompt: 'x', options: { num_ctx: 5000 } };
  await eventually(() => expect(known(one).details.contextOf('wide:1b')).toBe(16_384));
  const generate = (body: object): Promise<Response> => post(`${gate.url}/api/generate`, member, body);
  const first = await generate(call);
  const { promise: held, resolve: letTwoGo } = Promise.withResolvers<void>();
  two.pace = (index) => (index === 1 ? held : undefined);
  // One call has the slot of the new server until the gate knows its models; the other waits for that slot.
  const second = generate({ model: 'wide:1b', prompt: 'x' });
  await eventually(() => expect(gate.waiting()).toBe(1));
  const third = generate(call);
  await eventually(() => expect(gate.waiting()).toBe(2));
  gate.servers.add(new URL(two.url));
  await eventually(() => expect(heard(two)).toBe(1));
  await eventually(() => expect(known(two).details.contextOf('wide:1b')).toBe(8192));
  const arrival = two.arrival(generation);
  letTwoGo();
  const sent = JSON.parse((await (await arrival).body).toString()) as { options: { num_ctx?: number } };
  expect(sent.options.num_ctx).toBe(8192);
  expect((await third).headers.get('x-sekisho-changed')).toBe('options.num_ctx=16384, options.num_ctx=8192');
  release();
  for (const answer of [first, await second, await third]) expect((await answer.text()).split('\n')).toHaveLength(5);
});

describe('a drained server', () => {
  test('loses no stream and gets no call under load, and is done with its last call', async () => {
    await open(`${one.url},${two.url}`);
    await eventually(() => expect(known(two).health.up).toBe(true));
    const early = await Promise.all(Array.from({ length: 6 }, begun));
    const before = heard(two);
    expect(before).toBeGreaterThan(0);
    let isDrained = false;
    const drained = gate.servers.drain(known(two), 60_000).then(() => (isDrained = true));
    const late = await Promise.all(Array.from({ length: 6 }, begun));
    expect([heard(two), isDrained]).toEqual([before, false]);
    release();
    await drained;
    await gate.servers.remove(known(two));
    for (const { rest } of [...early, ...late]) {
      const { text, clean } = await rest;
      expect([clean, text.trim().split('\n').length]).toEqual([true, 4]);
    }
    expect((await gate.ledger(12)).map(({ outcome }) => outcome)).toEqual(
      Array.from({ length: 12 }, () => 'completed'),
    );
  });

  test('ends its calls with the last frame of their dialect when the time is over, and no call of another server', async () => {
    await open(`${one.url},${two.url}`);
    await eventually(() => expect(known(two).health.up).toBe(true));
    const streams = [await begun(), await begun()];
    expect([heard(one), heard(two)]).toEqual([1, 1]);
    await gate.servers.drain(known(two), 1);
    expect(known(two).inFlight).toBe(0);
    const cut = await Promise.race(streams.map(({ rest }) => rest));
    expect(cut.clean).toBe(false);
    expect(JSON.parse(cut.text.trim().split('\n').at(-1)!)).toMatchObject({ code: 'draining' });
    release();
    const ended = await Promise.all(streams.map(({ rest }) => rest));
    expect(new Set(ended.map(({ clean }) => clean))).toEqual(new Set([false, true]));
    const rows = await gate.ledger(2);
    expect(new Map(rows.map(({ upstream, outcome }) => [upstream, outcome]))).toEqual(
      new Map([
        [one.url, 'completed'],
        [two.url, 'ended'],
      ]),
    );
  });

  test('gets no call, even when the only other server cannot take it', async () => {
    await open(`${one.url},${two.url}`);
    await eventually(() => expect(known(two).health.up).toBe(true));
    await one.close();
    const drained = gate.servers.drain(known(two), 1);
    const answer = await ask(false);
    expect([answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([503, 'upstream_unreachable']);
    expect(heard(two)).toBe(0);
    await drained;
  });

  test('that was the last one leaves no server for calls, until another is added', async () => {
    await open(one.url);
    const running = await begun();
    const drained = gate.servers.drain(known(one), 60_000);
    for (const [method, path] of [
      ['POST', '/api/generate'],
      ['GET', '/api/tags'],
      ['GET', '/api/version'],
    ] as const) {
      const body = method === 'POST' ? JSON.stringify({ model, prompt: 'x' }) : null;
      const answer = await fetch(gate.url + path, { method, headers: { 'x-api-key': secret }, body });
      expect([answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([503, 'upstream_unreachable']);
    }
    expect((await fetch(`${gate.url}/readyz`)).status).toBe(503);
    release();
    await drained;
    expect(await running.rest).toMatchObject({ clean: true });
    gate.servers.add(new URL(two.url));
    expect((await ask(false)).status).toBe(200);
    expect(gate.log()).not.toContain('"internal"');
  });

  test('leaves its waiting calls their places at servers added later', async () => {
    await open(one.url, { SLOTS: '1' });
    const first = await begun();
    const second = begun();
    await eventually(() => expect(gate.waiting()).toBe(1));
    const drained = gate.servers.drain(known(one), 60_000);
    release();
    expect(await first.rest).toMatchObject({ clean: true });
    await drained;
    expect(gate.waiting()).toBe(1);
    gate.servers.add(new URL(two.url));
    expect(await (await second).rest).toMatchObject({ clean: true });
    expect([heard(one), heard(two)]).toEqual([1, 1]);
  });
});

/** A server that lists one model, with its open connections. */
async function counted(): Promise<{ url: string; open: Set<Socket>; connections: () => number; close: () => void }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"models":[{"name":"own:1b"}],"data":[]}');
  }).on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, open: sockets, connections: () => connections, close: () => server.close() };
}

describe('a removed server', () => {
  test('leaves a list being read with the models of the others', async () => {
    two.models = [{ name: 'only-here:1b' }];
    await open(`${one.url},${two.url}`, { PROBE_SECONDS: '60' });
    await eventually(() => expect(known(two).health.up).toBe(true));
    const forCaller = ({ url, headers }: FakeRequest): boolean => url === '/api/tags' && headers['via'] !== undefined;
    two.next(() => undefined, forCaller);
    const arrival = two.arrival(forCaller);
    const list = fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret } });
    await arrival;
    await gate.servers.remove(known(two));
    const { models } = (await (await list).json()) as { models: { name: string }[] };
    expect(models.map(({ name }) => name)).toEqual([model, 'llama3:latest']);
  });

  test('is probed no more, has no connection, and its models are in no list', async () => {
    const leaving = await counted();
    await open(`${one.url},${leaving.url}`, { PROBE_SECONDS: '0.05' });
    const list = async (): Promise<string> =>
      await (await fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret } })).text();
    await eventually(async () => expect(await list()).toContain('own:1b'));
    expect(leaving.open.size).toBeGreaterThan(0);
    await gate.servers.remove(gate.servers.all.at(-1)!);
    await eventually(() => expect(leaving.open.size).toBe(0));
    const before = leaving.connections();
    const probes = one.requests.length;
    // The other one is probed at the same pace.
    await eventually(() => expect(one.requests.length).toBeGreaterThan(probes + 10));
    expect(leaving.connections()).toBe(before);
    expect(await list()).not.toContain('own:1b');
    expect(gate.servers.all.map(({ name }) => name)).toEqual([one.url]);
    leaving.close();
  });

  test('ends its running calls with an error that callers can read, and no call of another server', async () => {
    await open(one.url);
    const running = await begun();
    gate.servers.add(new URL(two.url));
    await gate.servers.remove(known(one));
    const { text, clean } = await running.rest;
    expect([clean, text]).toEqual([false, expect.stringContaining('"draining"')]);
    release();
    expect((await ask(false)).status).toBe(200);
    expect(heard(two)).toBe(1);
  });

  test('that alone had a model itself leaves only a remote one, which needs the scope', async () => {
    one.models = [{ name: 'far:1b', remoteHost: 'https://elsewhere.example' }];
    two.models = [{ name: 'far:1b' }];
    await open(`${one.url},${two.url}`);
    await eventually(() => expect([one, two].every((fake) => known(fake).health.up)).toBe(true));
    const { secret: member } = await gate.member({});
    const call = { model: 'far:1b', prompt: 'x', stream: false };
    release();
    expect((await post(`${gate.url}/api/generate`, member, call)).status).toBe(200);
    await gate.servers.remove(known(two));
    expect((await post(`${gate.url}/api/generate`, member, call)).status).toBe(403);
    two.models = [{ name: 'far:1b' }];
    gate.servers.add(new URL(two.url));
    await eventually(async () => expect((await post(`${gate.url}/api/generate`, member, call)).status).toBe(200));
    expect(heard(one)).toBe(0);
  });
});

test('servers that come and go under constant load lose no call', async () => {
  release();
  await open(one.url, { SLOTS: '2', PROBE_SECONDS: '0.05' });
  const over = new AbortController();
  let calls = 0;
  const work = async (stream: boolean): Promise<void> => {
    while (!over.signal.aborted) {
      const answer = await ask(stream);
      const lines = (await answer.text()).trim().split('\n');
      expect([answer.status, JSON.parse(lines.at(-1)!)]).toMatchObject([200, { done: true }]);
      calls++;
    }
  };
  const workers = Array.from({ length: 8 }, (_, at) => work(at % 2 === 0));
  for (let round = 0; round < 3; round++) {
    const before = heard(two);
    const server = gate.servers.add(new URL(two.url));
    await eventually(() => expect(heard(two)).toBeGreaterThan(before + 5));
    await gate.servers.drain(server, 60_000);
    const drained = heard(two);
    await gate.servers.remove(server);
    const { length } = one.requests;
    await eventually(() => expect(one.requests.length).toBeGreaterThan(length + 5));
    expect(heard(two)).toBe(drained);
  }
  over.abort();
  await Promise.all(workers);
  const rows = await gate.ledger(calls);
  expect(new Set(rows.map(({ outcome, source }) => `${outcome} ${source}`))).toEqual(new Set(['completed exact']));
  expect(known(one).inFlight).toBe(0);
});

test('the status reports the kind of a server, and follows when another kind starts at its address', async () => {
  const said: { path: string; body: string }[] = [];
  const server = createServer((request, response) => {
    const found = said.find(({ path }) => path === request.url);
    response.setHeader('content-type', 'application/json');
    response.writeHead(found ? 200 : 404).end(found?.body ?? '{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  release();
  await open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { PROBE_SECONDS: '0.05' });
  const operator = await operatorOf(gate);
  const seen = async (): Promise<unknown> => {
    const { upstreams } = (await operator.get('/status')).body as { upstreams: { up: boolean; kind: string | null }[] };
    return [upstreams[0]?.up, upstreams[0]?.kind, gate.servers.all[0]?.models.listed.map(({ name }) => name)];
  };
  await eventually(async () => expect(await seen()).toEqual([true, null, []]));
  const v1 = { path: '/v1/models', body: '{"object":"list","data":[{"id":"plain"}]}' };
  const tags = { path: '/api/tags', body: '{"models":[{"name":"native"}]}' };
  said.push(v1);
  await eventually(async () => expect(await seen()).toEqual([true, 'openai', ['plain']]));
  // It answered as the previous kind; a server is asked for more only when it no longer does.
  said.splice(0, 1, tags);
  await eventually(async () => expect(await seen()).toEqual([true, 'ollama', ['native']]));
  said.splice(0, 1, v1);
  await eventually(async () => expect(await seen()).toEqual([true, 'openai', ['plain']]));
  server.close();
});
