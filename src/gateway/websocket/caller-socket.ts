// The connection of a caller who asks for a WebSocket. Until the gateway says 101 it is an HTTP connection with one request, whose
// answer closes it: Node's parser no longer reads it, so nothing that follows the request is read as another. A client must not send
// anything before the 101 (RFC 6455 §4.1); what does come is thrown away, and there will be no 101.
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { GatewayError } from '../../domain/error.ts';

/** How long a refused client may take to close its connection, which is then certain to have read the refusal. */
const lingerMs = 2_000;
const mostEarlyBytes = 64 * 1024;

export class CallerSocket {
  /** For a refusal, or for the head of the 101. */
  readonly response: ServerResponse;
  readonly #socket: Socket;
  #earlyBytes: number;

  /** `head`: what Node has read beyond the request. */
  constructor(request: IncomingMessage, socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#earlyBytes = head.length;
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => {
      socket.end();
      setTimeout(() => socket.destroy(), lingerMs).unref();
    });
    this.response = response;
    socket.on('error', destroy).on('data', this.#onEarly).on('end', destroy);
  }

  /** From now on the connection carries frames. `lines`: header lines beside Connection and Upgrade. @throws GatewayError. */
  open(lines: readonly string[]): Socket {
    if (this.#earlyBytes > 0)
      throw new GatewayError('bad_web_socket', {
        message: 'A WebSocket client must not send anything before the handshake is answered.',
      });
    const { response } = this;
    response.writeHead(101, ['connection', 'Upgrade', 'upgrade', 'websocket', ...lines]);
    response.flushHeaders();
    this.#socket.off('data', this.#onEarly).off('end', destroy);
    this.#socket.pause();
    return this.#socket;
  }

  readonly #onEarly = (bytes: Buffer): void => {
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > mostEarlyBytes) this.#socket.destroy();
  };
}

/** A hang-up. */
function destroy(this: Socket): void {
  this.destroy();
}
