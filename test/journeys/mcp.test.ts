// An MCP server behind the gate (Streamable HTTP of 2026-07-28): which tools a key sees and may call, what a call of a tool costs,
// and messages whose headers and body disagree.
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { bytesOf } from '../services/comfyui.ts';
import { type RunningService, startService } from '../services/web-socket-server.ts';

const version = '2026-07-28';
const page = 'https://app.example.com';
let fake: FakeOllama;
let server: RunningService;
let gate: TestGate;
let reader: { id: string; secret: string };
let writer: { id: string; secret: string };
/** A caller has left a stream that goes on. */
const cancelled = Promise.withResolvers<void>();
/** How the server answers tools/list. */
let asStream = false;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { id, method, params } = JSON.parse((await bytesOf(request)).toString()) as {
    id: number;
    method: string;
    params: { name?: string };
  };
  const names = ['search', 'read_note', 'delete_note', 'debug'];
  const tools = names.map((name) => ({ name, inputSchema: { type: 'object' } }));
  const result =
    method === 'tools/list'
      ? { resultType: 'complete', tools, ttlMs: 60_000, cacheScope: 'public' }
      : { resultType: 'complete', content: [{ type: 'text', text: `ran ${params.name ?? ''}` }] };
  const message = JSON.stringify({ jsonrpc: '2.0', id, result });
  if (params.name === 'read_long') {
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } };
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${JSON.stringify(progress)}\n\n`);
    response.once('close', () => cancelled.resolve());
    return;
  }
  if (method === 'tools/list' && asStream)
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .end(`: hello\n\nevent: message\ndata: ${message}\n\n`);
  else response.writeHead(200, { 'content-type': 'application/json' }).end(message);
}

beforeAll(async () => {
  fake = await startFakeOllama();
  server = await startService({
    onUpgrade: () => undefined,
    onRequest: answer,
  });
  const file = join(temporaryDirectory(), 'routes.json');
  const notes = {
    name: 'notes',
    path: '/notes',
    upstreams: [`${server.url}/mcp`],
    mcp: { tools: ['search', 'read_*', 'delete_*=route:notes-write'] },
    cost: { fixed: 2, unit: 'calls' },
    cors: [page],
  };
  writeFileSync(file, JSON.stringify([notes]));
  gate = await openGate(fake.url, { ROUTES: file });
  reader = await gate.key({ scopes: ['route:notes'] });
  writer = await gate.key({ scopes: ['route:notes', 'route:notes-write'] });
});
afterAll(async () => {
  await gate.stop();
  await server.close();
  await fake.close();
});

interface Answer {
  readonly status: number;
  readonly body: {
    readonly id?: unknown;
    readonly result?: {
      readonly tools?: { readonly name: string }[];
      readonly cacheScope?: string;
      readonly content?: unknown;
    };
    readonly error?: { readonly code: number; readonly message: string };
  };
}

async function send(
  { secret }: { readonly secret: string },
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const name = params['name'];
  const response = await fetch(`${gate.url}/notes`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'x-api-key': secret,
      'mcp-protocol-version': version,
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 7,
      method,
      params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': version } },
    }),
  });
  const text = await response.text();
  const data = /^data: (.*)$/m.exec(text)?.[1] ?? text;
  return { status: response.status, body: JSON.parse(data) as Answer['body'] };
}

test.each([false, true])(
  'a key sees the tools that it may call, also in a stream (%s), and no cache may share the list',
  async (stream) => {
    asStream = stream;
    for (const [key, tools] of [
      [reader, ['search', 'read_note']],
      [writer, ['search', 'read_note', 'delete_note']],
    ] as const) {
      const { body } = await send(key, 'tools/list');
      expect(body.result?.tools?.map(({ name }) => name)).toEqual(tools);
      expect(body.result?.cacheScope).toBe('private');
    }
  },
);

test('a call of a tool reaches the server with its headers and without the key, and costs what the route says', async () => {
  const { body } = await send(
    writer,
    'tools/call',
    { name: 'delete_note', arguments: {} },
    { 'mcp-param-region': 'eu' },
  );
  expect(body.result?.content).toEqual([{ type: 'text', text: 'ran delete_note' }]);
  const { url, headers } = server.asked.at(-1)!;
  expect(url).toBe('/mcp');
  expect(headers).toMatchObject({
    'mcp-protocol-version': version,
    'mcp-method': 'tools/call',
    'mcp-name': 'delete_note',
    'mcp-param-region': 'eu',
  });
  expect(JSON.stringify(headers)).not.toContain(writer.secret);
  await eventually(async () => {
    const costs = (await gate.ledger(0)).filter(({ keyId }) => keyId === writer.id).map(({ cost }) => cost);
    expect(costs).toEqual([undefined, undefined, { unit: 'calls', units: 2 }]);
  });
});

test('a stream comes as it is written, and its end by the client cancels the call at the server', async () => {
  const method = 'tools/call';
  const leaving = new AbortController();
  const response = await fetch(`${gate.url}/notes`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${reader.secret}`,
      'mcp-protocol-version': version,
      'mcp-method': method,
      'mcp-name': 'read_long',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name: 'read_long' } }),
    signal: leaving.signal,
  });
  const { value } = await (response.body as ReadableStream<Uint8Array>).getReader().read();
  expect(Buffer.from(value ?? []).toString()).toContain('notifications/progress');
  leaving.abort();
  await cancelled.promise;
  expect(JSON.stringify(server.asked.at(-1)?.headers)).not.toContain(reader.secret);
});

describe('what does not reach the server', () => {
  test.each([
    ['a tool for another scope', 'tools/call', { name: 'delete_note' }, {}, -32_602],
    ['a tool for nobody', 'tools/call', { name: 'debug' }, {}, -32_602],
    ['a call of no tool', 'tools/call', {}, {}, -32_602],
    ['a hidden tool under the name of another', 'tools/call', { name: 'debug' }, { 'mcp-name': 'search' }, -32_020],
    ['another name in the header', 'tools/call', { name: 'search' }, { 'mcp-name': 'read_note' }, -32_020],
    ['another method in the header', 'tools/call', { name: 'search' }, { 'mcp-method': 'tools/list' }, -32_020],
    ['another version in the header', 'tools/list', {}, { 'mcp-protocol-version': '2025-11-25' }, -32_020],
    ['a name for a method that has none', 'tools/list', {}, { 'mcp-name': 'search' }, -32_020],
    ['a name in false base64', 'tools/call', { name: 'search' }, { 'mcp-name': '=?base64?c2VhcmNo=?=' }, -32_020],
  ] as const)('%s: an error of JSON-RPC with the id of the message', async (_, method, params, headers, code) => {
    const before = server.asked.length;
    const { status, body } = await send(reader, method, params, headers);
    expect([status, body.id, body.error?.code]).toEqual([400, 7, code]);
    expect(server.asked.length).toBe(before);
  });

  test('a page of another site, a message without a key, another method of HTTP, a batch, and one of two readings', async () => {
    const before = server.asked.length;
    expect((await send(reader, 'tools/list', {}, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await send({ secret: 'sekisho_x' }, 'tools/list')).status).toBe(401);
    const headers = { 'x-api-key': reader.secret, 'content-type': 'application/json', 'mcp-protocol-version': version };
    for (const method of ['GET', 'DELETE'])
      expect((await fetch(`${gate.url}/notes`, { method, headers })).status).toBe(405);
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}';
    for (const body of [
      `[${call}]`,
      call.replace('"name":"search"', '"name":"search","name":"debug"'),
      call.replace('"name":"search"', '"name":"search","Name":"debug"'),
    ]) {
      const own = { ...headers, 'mcp-method': 'tools/call', 'mcp-name': 'search' };
      expect((await fetch(`${gate.url}/notes`, { method: 'POST', headers: own, body })).status).toBe(400);
    }
    expect(server.asked.length).toBe(before);
  });

  test('but a listed page does, and a name in base64 that says the same', async () => {
    expect((await send(reader, 'tools/list', {}, { origin: page })).status).toBe(200);
    const coded = { 'mcp-name': `=?base64?${Buffer.from('search').toString('base64')}?=` };
    expect((await send(reader, 'tools/call', { name: 'search' }, coded)).status).toBe(200);
  });
});
