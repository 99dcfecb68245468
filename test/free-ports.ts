// Loopback ports that were free just now, for servers that begin to listen later, or again. The system gives ports from 32768 on to
// those who name none, and every worker of a test run has a range of its own that it goes through in turn, so nobody else is given one
// of these meanwhile.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import process from 'node:process';

const first = 10_000;
const end = 32_768;
const workers = 16;

const size = Math.floor((end - first) / workers);
const own = first + (Number(process.env['VITEST_POOL_ID'] ?? 0) % workers) * size;
let next = Math.floor(Math.random() * size);

export async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = own + (next++ % size);
    const server = createServer().listen(port, '127.0.0.1');
    // Somebody else has it.
    if (await once(server, 'listening').catch(() => undefined)) servers.set(port, server);
  }
  await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  return [...servers.keys()];
}

export const freePort = async (): Promise<number> => (await freePorts(1))[0] as number;
