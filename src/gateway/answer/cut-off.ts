// Ends a response that is not complete so that nobody can take it for one. Under chunked coding the missing last chunk
// says so. Where the close of the connection is the only end there is (HTTP/1.0), or a counted body is still on its way, a
// clean close would look like the end of the answer (RFC 9112, section 8): there the connection is reset.
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';

export function cutOff(response: ServerResponse): void {
  const { socket } = response;
  // Node remembers the framing that it chose when it wrote the head.
  if (socket && response.headersSent && !response.chunkedEncoding) reset(socket);
  response.destroy();
}

/** How long what was said last may take to reach its reader. */
const lastWordMs = 2_000;

/** The same, once what was said before is with the system. */
export function cutOffAfter(response: ServerResponse): void {
  const timer = setTimeout(() => cutOff(response), lastWordMs);
  response.write('', () => {
    clearTimeout(timer);
    cutOff(response);
  });
}

/** Closes with RST, also under TLS: whose own socket cannot, but the one below it can. */
export function reset(socket: Socket): void {
  const below = (socket as { readonly _parent?: unknown })._parent;
  const plain = below instanceof Socket ? below : socket;
  try {
    plain.resetAndDestroy();
  } catch {
    // Nothing that speaks TCP.
  }
  socket.destroy();
}
