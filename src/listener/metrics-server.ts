// The listener of /metrics, separate from the port for callers, because monitoring systems are not callers. It requires no key; by
// default it only listens on loopback.
import { createServer, type Server } from 'node:http';
import { isIP } from 'node:net';
import { textType } from '../observe/metrics/text.ts';

const timeMs = 10_000;
const mostConnections = 32;

/** `write` returns the text of all metrics; `names`: the accepted host names, in lower case. */
export function openMetricsServer(write: () => string, names: ReadonlySet<string>): Server {
  const server = createServer(
    { headersTimeout: timeMs, requestTimeout: timeMs, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      response.setHeader('x-content-type-options', 'nosniff').setHeader('cache-control', 'no-store');
      if (!mayAsk(request.headers.host, names))
        response
          .writeHead(421, { 'content-type': 'text/plain; charset=utf-8' })
          .end('This host name is not in metrics_names.\n');
      else if (request.url !== '/metrics') response.writeHead(404).end();
      else if (request.method !== 'GET' && request.method !== 'HEAD')
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
      else response.writeHead(200, { 'content-type': textType }).end(request.method === 'HEAD' ? undefined : write());
    },
  );
  server.maxConnections = mostConnections;
  return server;
}

const local = /^(?:.+\.)?localhost$/;

/**
 * A page whose own host name resolves to this address (DNS rebinding) could read the answer, because for the browser it has the
 * page's origin. Addresses cannot be rebound, and only this machine resolves `localhost` (RFC 6761 §6.3). A request without
 * Host (HTTP/1.0) is not from a browser.
 */
function mayAsk(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (host === undefined) return true;
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  return isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || local.test(name) || names.has(name);
}
