// The MCP project's own server of everything, with the sessions of 2025-11-25: streams that can be resumed, and a session's end.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { RunningMcpServer } from './mcp-server.ts';

interface Everything {
  readonly server: McpServer;
  readonly cleanup: (session: string) => void;
}

export interface RunningEverything extends RunningMcpServer {
  /** The sessions that are open. */
  readonly sessions: ReadonlyMap<string, unknown>;
}

export async function startEverything(): Promise<RunningEverything> {
  // The package has no types.
  const name = '@modelcontextprotocol/server-everything/dist/server/index.js';
  const { createServer: createEverything } = (await import(name)) as { createServer: () => Everything };
  const sessions = new Map<string, { readonly transport: StreamableHTTPServerTransport; readonly end: () => void }>();
  const asked: RunningMcpServer['asked'] = [];

  async function open(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { server, cleanup } = createEverything();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: new InMemoryEventStore(),
      onsessioninitialized: (id) => void sessions.set(id, { transport, end: () => cleanup(id) }),
      onsessionclosed: (id) => {
        sessions.get(id)?.end();
        sessions.delete(id);
      },
    });
    await server.connect(transport);
    await transport.handleRequest(request, response);
  }

  const server = createServer((request, response) => {
    const { method = '', headers } = request;
    asked.push({ method, headers });
    const session = headers['mcp-session-id'];
    const found = typeof session === 'string' ? sessions.get(session) : undefined;
    if (found) void found.transport.handleRequest(request, response);
    else if (session === undefined) void open(request, response);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    asked,
    sessions,
    close: async () => {
      for (const { transport, end } of sessions.values()) {
        end();
        await transport.close();
      }
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
