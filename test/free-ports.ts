// Loopback ports that were free just now, for servers that begin to listen later, or again. The system gives ports from 32768 on to
// those who name none, so nobody is given one of these meanwhile.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const first = 10_000;
const end = 32_768;

export async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = first + Math.floor(Math.random() * (end - first));
    const server = createServer().listen(port, '127.0.0.1');
    // Somebody else has it.
    if (await once(server, 'listening').catch(() => undefined)) servers.set(port, server);
  }
  await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  return [...servers.keys()];
}

export const freePort = async (): Promise<number> => (await freePorts(1))[0] as number;
