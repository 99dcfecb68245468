// A real MCP server (the MCP SDK's server package) on a port: notes that can be searched, read and deleted. It speaks 2026-07-28, and
// 2025-11-25 without sessions.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

export interface RunningMcpServer {
  readonly url: string;
  /** The heads of the requests that it got. */
  readonly asked: { readonly method: string; readonly headers: IncomingHttpHeaders }[];
  close(): Promise<void>;
}

function notesServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  for (const name of ['search', 'read_note', 'delete_note', 'debug'])
    server.registerTool(name, { description: name, inputSchema: z.object({ text: z.string() }) }, ({ text }) => ({
      content: [{ type: 'text', text: `${name}: ${text}` }],
    }));
  return server;
}

export async function startMcpServer(): Promise<RunningMcpServer> {
  const handler = createMcpHandler(notesServer);
  const asked: { method: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    const { method = '', headers, url = '' } = request;
    asked.push({ method, headers });
    const lines = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
    const body = method === 'POST' ? { body: Readable.toWeb(request) as ReadableStream, duplex: 'half' as const } : {};
    const aborting = new AbortController();
    response.once('close', () => aborting.abort());
    const sent = new Request(`http://127.0.0.1${url}`, { method, headers: lines, signal: aborting.signal, ...body });
    const answering = handler.fetch(sent).then(async (answer) => {
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      for await (const piece of answer.body ?? []) response.write(piece);
      response.end();
    });
    // A caller may leave in the middle of it.
    answering.catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    asked,
    close: async () => {
      await handler.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
