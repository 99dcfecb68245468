// The entry for WebSockets. Node passes the connection of an upgrade in a separate event, so request handlers would never see it
// (teamclaude#314). Here it becomes a request with a response again and is handled like any other; only the answer to the call can
// open the connection.
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Gate } from '../gateway/pipeline.ts';
import { CallerSocket } from '../gateway/websocket/caller-socket.ts';
import { asksForWebSocket } from '../gateway/websocket/handshake.ts';
import type { ConnectionLimiter } from './connection-limiter.ts';

/** Whether Node detaches the connection. If not, the request is a plain one (RFC 9110 §7.8). */
export type MayUpgrade = (request: IncomingMessage) => boolean;

/** Only for WebSockets, and only for addresses of services that support them. */
export const upgradesOf =
  ({ services }: Pick<Gate, 'services'>): MayUpgrade =>
  (request) =>
    asksForWebSocket(request) &&
    (services.table.routeOf(request.url ?? '', request.headers.host)?.route.webSocket ?? null) !== null;

/** `answer` gets each upgrade that Node was told to accept; `reject` a connection that cannot have an answer. */
export function takeUpgrades(
  server: HttpServer,
  connections: Pick<ConnectionLimiter, 'endAfterAnswer'>,
  answer: (request: IncomingMessage, upgrade: CallerSocket) => void,
  reject: (socket: Duplex) => void,
): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Until a body is complete, Node passes a wrapper instead of the connection. Node before 24.9 also passes connections that
    // were not
    // accepted.
    if (!(socket instanceof Socket) || !asksForWebSocket(request)) {
      reject(socket);
      return;
    }
    // A pipelined WebSocket would start while earlier answers are written. No client does that.
    if (connections.endAfterAnswer(socket)) {
      socket.on('error', () => socket.destroy()).resume();
      return;
    }
    answer(request, new CallerSocket(request, socket, head));
  });
}
