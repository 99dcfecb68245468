// Sends bytes that all readers share, in small pieces, each when the one before has left, so that a reader that takes
// nothing costs hardly more than its connection, encrypted or not.
import type { IncomingMessage, ServerResponse } from 'node:http';

const pieceBytes = 16 * 1024;

/** A whole answer of bytes that belong to all. */
export function sendShared(bytes: Buffer, type: string, request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('content-type', type).setHeader('content-length', bytes.length);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  let at = 0;
  const more = (): void => {
    while (at < bytes.length && !response.destroyed) {
      const piece = bytes.subarray(at, at + pieceBytes);
      at += piece.length;
      if (!response.write(piece)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}
