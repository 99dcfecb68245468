// The listener of /metrics, apart from the port that callers use, because monitoring systems are not callers of the gate. It
// asks for no key; by default it listens on loopback only.
import { createServer, type Server } from 'node:http';
import { isIP } from 'node:net';
import { textType } from '../observe/metrics/text.ts';

const timeMs = 10_000;
const mostConnections = 32;

/** `write` gives the text of all metrics; `names`: host names under which it may be asked for, in lower case. */
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
 * A page whose own host name is made to lead here (DNS rebinding) could read the answer, since to its browser it has the
 * page's origin. Addresses cannot be made to lead elsewhere, and only this machine decides where `localhost` leads (RFC 6761
 * §6.3). Without a Host (HTTP/1.0) it is no browser.
 */
function mayAsk(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (host === undefined) return true;
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  return isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || local.test(name) || names.has(name);
}
