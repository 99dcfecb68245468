// The listener of /metrics, apart from the port that callers use, because monitoring systems are not callers of the gate. It
// asks for no key; by default it listens on loopback only.
import { createServer, type Server } from 'node:http';
import { textType } from '../observe/metrics/text.ts';

const timeMs = 10_000;
const mostConnections = 32;

/** `write` gives the text of all metrics. */
export function openMetricsServer(write: () => string): Server {
  const server = createServer(
    { headersTimeout: timeMs, requestTimeout: timeMs, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      response.setHeader('x-content-type-options', 'nosniff').setHeader('cache-control', 'no-store');
      if (request.url !== '/metrics') response.writeHead(404).end();
      else if (request.method !== 'GET' && request.method !== 'HEAD')
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
      else response.writeHead(200, { 'content-type': textType }).end(request.method === 'HEAD' ? undefined : write());
    },
  );
  server.maxConnections = mostConnections;
  return server;
}
