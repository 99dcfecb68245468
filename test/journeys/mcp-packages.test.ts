// MCP as people use it: the packages of the MCP SDK, client and server, with the gate between them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as EarlierClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as EarlierTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rotateKey } from '../../src/management/keys/keys.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { documentedRoute } from '../services/documented-route.ts';
import { type RunningEverything, startEverything } from '../services/mcp-everything.ts';
import { type RunningMcpServer, startMcpServer } from '../services/mcp-server.ts';

let fake: FakeOllama;
let server: RunningMcpServer;
let everything: RunningEverything;
let other: RunningEverything;
let gate: TestGate;

let routes: string;
beforeAll(async () => {
  [fake, server, everything, other] = await Promise.all([
    startFakeOllama(),
    startMcpServer(),
    startEverything(),
    startEverything(),
  ]);
  routes = join(temporaryDirectory(), 'routes.json');
  writeFileSync(
    routes,
    JSON.stringify([
      documentedRoute('notes', { upstreams: [server.url] }),
      {
        name: 'everything',
        path: '/everything',
        upstreams: [everything.url, other.url],
        mcp: { tools: ['echo', 'get-sum', 'get-env=route:admin', 'trigger-long-running-operation'] },
        slots: 1,
      },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: routes });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([server.close(), everything.close(), other.close(), fake.close()]);
});

async function connect(secret: string, mode: 'auto' | 'legacy'): Promise<Client> {
  const client = new Client({ name: 'journey', version: '1.0.0' }, { versionNegotiation: { mode } });
  const headers = { authorization: `Bearer ${secret}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gate.url}/notes`), { requestInit: { headers } }));
  return client;
}

const ask = (client: Client, name: string) => client.callTool({ name, arguments: { text: 'tea' } });

test('a client of 2026-07-28 lists, calls and is refused tools; the ledger has what its calls cost', async () => {
  const { id, secret } = await gate.key({ scopes: ['route:notes'] });
  const client = await connect(secret, 'auto');
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['search', 'read_note']);
  await ask(client, 'read_note');
  expect(await ask(client, 'search')).toMatchObject({ content: [{ type: 'text', text: 'search: tea' }] });
  const before = server.asked.length;
  for (const name of ['delete_note', 'debug']) await expect(ask(client, name)).rejects.toMatchObject({ code: -32_602 });
  expect(server.asked.length).toBe(before);
  await client.close();
  expect(JSON.stringify(server.asked)).not.toContain(secret);
  await eventually(async () => {
    const costs = (await gate.ledger(0)).filter((row) => row.keyId === id).flatMap(({ cost }) => cost ?? []);
    expect(costs).toEqual([{ unit: 'calls', units: 5 }]);
  });
});

test('a client of 2025-11-25 is served by a server of both versions', async () => {
  const { secret } = await gate.key({ scopes: ['route:notes'] });
  const client = await connect(secret, 'legacy');
  expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['search', 'read_note']);
  await expect(ask(client, 'debug')).rejects.toThrow('Unknown tool: debug');
  await client.close();
});

/** A session as the SDK 1.x opens it, with what was answered at its opening. */
async function openSession(secret: string): Promise<{ client: EarlierClient; transport: EarlierTransport }> {
  const client = new EarlierClient({ name: 'journey', version: '1.0.0' });
  const headers = { 'x-api-key': secret };
  const transport = new EarlierTransport(new URL(`${gate.url}/everything`), { requestInit: { headers } });
  await client.connect(transport);
  return { client, transport };
}

/** A request of a session by hand. */
const inSession = (method: string, secret: string, session: string, headers = {}, body?: unknown): Promise<Response> =>
  fetch(`${gate.url}/everything`, {
    method,
    headers: {
      'x-api-key': secret,
      'mcp-session-id': session,
      'mcp-protocol-version': '2025-11-25',
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const list = { jsonrpc: '2.0', id: 9, method: 'tools/list' };

test('a session of 2025-11-25 lists, calls and is refused tools, gets news, stays at its server, and ends with its client', async () => {
  const { secret } = await gate.key({ scopes: ['route:everything'] });
  const sessions = await Promise.all([1, 2, 3, 4].map(() => openSession(secret)));
  for (const { client } of sessions) {
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual([
      'echo',
      'get-sum',
      'trigger-long-running-operation',
    ]);
    expect(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })).toMatchObject({
      content: [{ text: 'The sum of 2 and 3 is 5.' }],
    });
    await expect(client.callTool({ name: 'get-env', arguments: {} })).rejects.toThrow('Unknown tool: get-env');
  }
  expect(everything.sessions.size + other.sessions.size).toBe(4);
  expect(JSON.stringify([everything.asked, other.asked])).not.toContain(secret);
  for (const { client, transport } of sessions) {
    await transport.terminateSession();
    await client.close();
  }
  expect(everything.sessions.size + other.sessions.size).toBe(0);
});

test('progress of a long call arrives while it runs', async () => {
  const { secret } = await gate.key({ scopes: ['route:everything'] });
  const { client } = await openSession(secret);
  const steps: number[] = [];
  await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.1, steps: 2 } }, undefined, {
    onprogress: ({ progress }) => steps.push(progress),
  });
  expect(steps).toEqual([1, 2]);
  await client.close();
});

test('a session is of no use to another key, nor with another id, and none of it reaches the server', async () => {
  const { secret } = await gate.key({ scopes: ['route:everything'] });
  const thief = await gate.key({ scopes: ['route:everything', 'route:admin'] });
  const { client, transport } = await openSession(secret);
  const session = transport.sessionId!;
  const own = session.split('.').at(-1)!;
  const asked = () => [...everything.asked, ...other.asked];
  // The client opens its stream by itself.
  await eventually(() =>
    expect(asked().some(({ method, headers }) => method === 'GET' && headers['mcp-session-id'] === own)).toBe(true),
  );
  const before = asked().length;
  for (const [key, id] of [
    [thief.secret, session],
    [secret, own],
    [secret, `${session.slice(0, -1)}${session.endsWith('0') ? '1' : '0'}`],
    [secret, session.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))],
  ] as const)
    for (const [method, body] of [['POST', list], ['GET'], ['DELETE']] as const) {
      const response = await inSession(method, key, id, {}, body);
      expect([response.status, ((await response.json()) as { error: { code: number } }).error.code]).toEqual([
        404, -32_001,
      ]);
    }
  expect(asked().length).toBe(before);
  expect((await client.listTools()).tools.length).toBe(3);
  await client.close();
});

test('a session is kept when its key is rotated and when the gateway starts again', async () => {
  const settings = { ROUTES: routes, DATA_DIR: temporaryDirectory() };
  const before = await openGate(fake.url, settings);
  const { secret, id } = await before.key({ scopes: ['route:everything'] });
  const send = async (url: string, key: string, message: object, session?: string): Promise<Response> =>
    fetch(`${url}/everything`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        ...(session === undefined ? {} : { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  const clientInfo = { name: 'journey', version: '1.0.0' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const opened = await send(before.url, secret, { id: 1, method: 'initialize', params });
  const session = opened.headers.get('mcp-session-id') ?? '';
  await opened.text();
  expect((await send(before.url, secret, { method: 'notifications/initialized' }, session)).status).toBe(202);
  const fresh = await before.manage((store, by) => rotateKey(store, id, 60_000, by));
  const renewed = fresh.secret!.reveal();
  const listOf = async (url: string, key: string): Promise<[number, boolean]> => {
    const answer = await send(url, key, { id: 2, method: 'tools/list' }, session);
    return [answer.status, (await answer.text()).includes('"echo"')];
  };
  for (const key of [secret, renewed]) expect(await listOf(before.url, key)).toEqual([200, true]);
  await before.stop();
  const after = await openGate(fake.url, settings);
  expect(await listOf(after.url, renewed)).toEqual([200, true]);
  await after.stop();
});

test('a stream that is resumed repeats a list of tools as far as its caller may use them', async () => {
  const { secret } = await gate.key({ scopes: ['route:everything'] });
  const { client, transport } = await openSession(secret);
  const session = transport.sessionId!;
  // The server repeats what comes later in the order of its ids, which are random within a millisecond.
  const event = await eventually(async () => {
    const listed = await (await inSession('POST', secret, session, {}, list)).text();
    expect(listed).not.toContain('get-env');
    const [first, second] = Array.from(listed.matchAll(/^id: (.*)$/gm), ([, id]) => id!);
    expect(first!.localeCompare(second!)).toBeLessThan(0);
    return first!;
  });
  const stream = await inSession('GET', secret, session, { 'last-event-id': event });
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
  let repeated = '';
  while (!repeated.includes('"id":9')) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ended with ${repeated}`);
    repeated += Buffer.from(value).toString();
  }
  expect(repeated).toContain('"name":"echo"');
  expect(repeated).not.toContain('get-env');
  await reader.cancel();
  await client.close();
});
