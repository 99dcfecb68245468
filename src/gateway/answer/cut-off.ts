// Ends an incomplete response so that it cannot be taken for a complete one. With chunked coding, the last chunk is
// missing. If the end of the connection ends the body (HTTP/1.0), or a counted body is unfinished, a clean close would
// look like the end of the answer (RFC 9112 §8), so the connection is reset.
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';

export function cutOff(response: ServerResponse): void {
  const { socket } = response;
  // Node knows which framing it chose when it wrote the head.
  if (socket && response.headersSent && !response.chunkedEncoding) reset(socket);
  response.destroy();
}

/** How long to wait for bytes already written to reach the system. */
const flushMs = 2_000;

/** The same, after the bytes already written were passed to the system. */
export function cutOffAfter(response: ServerResponse): void {
  const timer = setTimeout(() => cutOff(response), flushMs);
  response.write('', () => {
    clearTimeout(timer);
    cutOff(response);
  });
}

/** Closes with RST, also under TLS, where only the underlying socket can be reset. */
export function reset(socket: Socket): void {
  const below = (socket as { readonly _parent?: unknown })._parent;
  const plain = below instanceof Socket ? below : socket;
  try {
    plain.resetAndDestroy();
  } catch {
    // Not a TCP socket.
  }
  socket.destroy();
}
