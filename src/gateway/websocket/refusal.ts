// The answer of a service that does not open a WebSocket. It is held whole, and may not be long.
import type { IncomingHttpHeaders } from 'node:http';

const mostBytes = 64 * 1024;

export class Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(status: number, headers: IncomingHttpHeaders) {
    this.status = status;
    this.headers = headers;
  }

  /** False if it is too long. */
  add(piece: Buffer): boolean {
    this.#bytes += piece.length;
    if (this.#bytes > mostBytes) return false;
    this.#pieces.push(piece);
    return true;
  }

  get body(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
