// MCP as people use it: the packages of the MCP SDK, client and server, with the gate between them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { type RunningMcpServer, startMcpServer } from '../services/mcp-server.ts';

let fake: FakeOllama;
let server: RunningMcpServer;
let gate: TestGate;

beforeAll(async () => {
  [fake, server] = await Promise.all([startFakeOllama(), startMcpServer()]);
  const routes = join(temporaryDirectory(), 'routes.json');
  writeFileSync(
    routes,
    JSON.stringify([
      {
        name: 'notes',
        path: '/notes',
        upstreams: [server.url],
        mcp: { tools: ['search', 'read_*', 'delete_*=route:notes-write'] },
        cost: { fixed: 1, unit: 'calls' },
      },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: routes });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([server.close(), fake.close()]);
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
  expect(await ask(client, 'search')).toMatchObject({ content: [{ type: 'text', text: 'search: tea' }] });
  const before = server.asked.length;
  for (const name of ['delete_note', 'debug']) await expect(ask(client, name)).rejects.toMatchObject({ code: -32_602 });
  expect(server.asked.length).toBe(before);
  await client.close();
  expect(JSON.stringify(server.asked)).not.toContain(secret);
  await eventually(async () => {
    const costs = (await gate.ledger(0)).filter((row) => row.keyId === id).flatMap(({ cost }) => cost ?? []);
    expect(costs).toEqual([{ unit: 'calls', units: 1 }]);
  });
});
