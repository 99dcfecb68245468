// Several model servers look like one to a caller: their lists are merged, whatever dialect each of them speaks.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient } from '../gate.ts';

let one: FakeOllama;
let two: FakeOllama;
/** A server of the OpenAI family: it knows only /v1. */
let plain: Server;
let asked: string[] = [];
let lists = 0;
beforeAll(async () => {
  one = await startFakeOllama();
  two = await startFakeOllama();
  one.models = [{ name: 'gemma3:270m', sizeBytes: 7 }, { name: 'secret:1b' }];
  two.models = [
    { name: 'gemma3:270m', sizeBytes: 9 },
    { name: 'llama3:latest', loaded: false },
  ];
  plain = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('content-type', 'application/json');
    if (request.url === '/v1/models')
      response.end(
        '{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","created":1700000000,"owned_by":"somebody"}]}',
      );
    else if (request.url === '/v1/chat/completions')
      response.end('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}');
    else response.writeHead(404).end('{"detail":"Not Found"}');
  }).listen(0, '127.0.0.1');
  await once(plain, 'listening');
});
afterAll(async () => {
  await one.close();
  await two.close();
  plain.close();
});

const plainUrl = (): string => `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
const get = async (url: string, key: string, method = 'GET'): Promise<Response> =>
  fetch(url, { method, headers: { 'x-api-key': key } });
interface Lists {
  readonly models: { name: string; size: number; modified_at: string }[];
  readonly data: { id: string; created: number; object: string }[];
}

test('lists each model of every server once, in the caller’s dialect, and only what the key may see', async () => {
  const gate = await openGate(`${one.url},${two.url},${plainUrl()}`);
  const { secret } = await gate.key();
  const { secret: narrow } = await gate.key({ models: ['gemma3:*', 'qwen/*'] });
  const tags = (await (await get(`${gate.url}/api/tags`, secret)).json()) as Lists;
  expect(tags.models.map(({ name }) => name)).toEqual(['gemma3:270m', 'secret:1b', 'llama3:latest', 'Qwen/Qwen3-8B']);
  expect(tags.models[0]?.size).toBe(7);
  expect(tags.models[3]?.modified_at).toBe('2023-11-14T22:13:20.000Z');
  const models = (await (await get(`${gate.url}/v1/models`, secret)).json()) as Lists;
  expect(models.data.map(({ id }) => id)).toEqual(['gemma3:270m', 'secret:1b', 'llama3:latest', 'Qwen/Qwen3-8B']);
  expect(models.data[3]).toMatchObject({ object: 'model', created: 1_700_000_000, owned_by: 'somebody' });
  const ps = (await (await get(`${gate.url}/api/ps`, secret)).json()) as Lists;
  expect(ps.models.map(({ name }) => name)).toEqual(['gemma3:270m', 'secret:1b']);
  for (const path of ['/api/tags', '/v1/models']) {
    const text = await (await get(gate.url + path, narrow)).text();
    expect(text).toContain('Qwen3');
    expect(text).not.toMatch(/secret|llama3/);
  }
  const head = await get(`${gate.url}/api/tags`, narrow, 'HEAD');
  expect([head.status, head.headers.get('content-length')]).toEqual([200, null]);
  expect(head.headers.get('content-security-policy')).toContain('sandbox');
  expect((await gate.ledger(6)).map(({ outcome }) => outcome)).toEqual(Array.from({ length: 6 }, () => 'completed'));
  await gate.stop();
});

test('leaves out the models of an unreachable server, and reports an error when all are unreachable', async () => {
  const gate = await openGate(`${one.url},http://127.0.0.1:9`, { PROBE_SECONDS: '60', METADATA_SECONDS: '1' });
  const { secret } = await gate.key();
  const answer = await get(`${gate.url}/v1/models`, secret);
  expect(((await answer.json()) as Lists).data.map(({ id }) => id)).toEqual(['gemma3:270m', 'secret:1b']);
  await gate.stop();
  const none = await openGate('http://127.0.0.1:9,http://127.0.0.1:10');
  const { secret: key } = await none.key();
  const refused = await get(`${none.url}/v1/models`, key);
  expect([refused.status, refused.headers.get('x-sekisho-error-code')]).toEqual([503, 'upstream_unreachable']);
  expect(await none.ledger(1)).toMatchObject([{ outcome: 'failed', code: 'upstream_unreachable' }]);
  await none.stop();
});

test('a caller that hangs up stops the search, and a silent server delays no one for long', async () => {
  const gate = await openGate(`${one.url},${two.url}`, { PROBE_SECONDS: '60', METADATA_SECONDS: '1' });
  const { secret } = await gate.key();
  await eventually(async () => expect((await fetch(`${gate.url}/readyz`)).status).toBe(200));
  const silent = (url: string) => url === '/api/tags';
  two.next(
    () => undefined,
    ({ url, headers }) => silent(url) && headers['via'] !== undefined,
  );
  const client = new RawClient(gate.port);
  const arrival = two.arrival(({ url, headers }) => silent(url) && headers['via'] !== undefined);
  client.write(`GET /api/tags HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\n\r\n`);
  const request = await arrival;
  client.socket.resetAndDestroy();
  await request.aborted;
  expect(await gate.ledger(1)).toMatchObject([{ outcome: 'client_closed' }]);
  two.next(
    () => undefined,
    ({ url, headers }) => silent(url) && headers['via'] !== undefined,
  );
  const late = await get(`${gate.url}/api/tags`, secret);
  expect(((await late.json()) as Lists).models.map(({ name }) => name)).toEqual(['gemma3:270m', 'secret:1b']);
  for (const each of [one, two])
    each.next(
      () => undefined,
      ({ url, headers }) => silent(url) && headers['via'] !== undefined,
    );
  const nobody = await get(`${gate.url}/api/tags`, secret);
  expect([nobody.status, nobody.headers.get('x-sekisho-error-code')]).toEqual([504, 'upstream_timeout']);
  await gate.stop();
});

test('an OpenAI-compatible server configured with its /v1 is probed, listed and called', async () => {
  asked = [];
  const gate = await openGate(`${plainUrl()}/v1`);
  const { secret } = await gate.key();
  await eventually(async () => expect((await fetch(`${gate.url}/readyz`)).status).toBe(200));
  expect(asked).toContain('/v1/models');
  const tags = (await (await get(`${gate.url}/api/tags`, secret)).json()) as Lists;
  expect(tags.models.map(({ name }) => name)).toEqual(['Qwen/Qwen3-8B']);
  expect(((await (await get(`${gate.url}/api/ps`, secret)).json()) as Lists).models).toEqual([]);
  expect(((await (await get(`${gate.url}/v1/models`, secret)).json()) as Lists).data).toHaveLength(1);
  const chat = await post(`${gate.url}/v1/chat/completions`, secret, { model: 'Qwen/Qwen3-8B', messages: [] });
  expect(chat.status).toBe(200);
  expect(asked.filter((url) => url.startsWith('/v1/v1'))).toEqual([]);
  expect((await fetch(`${gate.url}/readyz`)).status).toBe(200);
  await gate.stop();
});

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
test.each([
  ['is nested without end', `{"models":[{"name":"b","details":${nested(100_000)}}]}`, []],
  [
    'has a thousand fields',
    `{"models":[{"name":"b"${',"x":1'.repeat(1500).replace(/x/g, () => `x${lists++}`)}}]}`,
    ['b'],
  ],
  ['names a model twice', '{"models":[{"name":"b","NAME":"secret:1b"}]}', []],
  ['names two models', '{"models":[{"name":"b","model":"secret:1b"}]}', []],
  [
    'is not an entry',
    '{"models":[null,5,"b",[],{"name":{"toString":1}},{"name":"b","modified_at":{"toString":1}}]}',
    [],
  ],
  ['stands beside a hundred thousand others', `{"models":[${'{"name":"b"},'.repeat(100_000)}{"name":"b"}]}`, []],
] as const)(
  'a server whose list holds an entry that %s does not spoil the lists of the others',
  async (_, list, more) => {
    let looks = 0;
    const liar = createServer((_request, response) => {
      looks++;
      response.setHeader('content-type', 'application/json').end(list);
    }).listen(0, '127.0.0.1');
    await once(liar, 'listening');
    const gate = await openGate(`${one.url},http://127.0.0.1:${(liar.address() as AddressInfo).port}`, {
      PROBE_SECONDS: '3600',
    });
    const { secret } = await gate.key({ models: ['gemma3:*', 'b'], scopes: ['metadata', 'cloud'] });
    await eventually(() => expect(looks).toBeGreaterThan(0));
    const answer = await get(`${gate.url}/api/tags`, secret);
    expect(((await answer.json()) as Lists).models.map(({ name }) => name)).toEqual(['gemma3:270m', ...more]);
    await gate.stop();
    liar.close();
  },
);

test('the title of a model beside its id is not read as its name', async () => {
  const titled = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/v1/models')
      response.end('{"data":[{"id":"org/model","name":"Org: the Model"},{"id":"org/other"}]}');
    else response.writeHead(404).end('{}');
  }).listen(0, '127.0.0.1');
  await once(titled, 'listening');
  const gate = await openGate(`http://127.0.0.1:${(titled.address() as AddressInfo).port}`);
  const { secret } = await gate.key({ models: ['org/model'] });
  const answer = (await (await get(`${gate.url}/v1/models`, secret)).json()) as Lists;
  expect(answer.data.map(({ id }) => id)).toEqual(['org/model']);
  await gate.stop();
  titled.close();
});
