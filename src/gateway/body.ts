// Reads the whole body of a request into memory, bounded in size and time, and in what all callers together may hold.
// What is held costs no more than its bytes: pieces of a few bytes each, which a caller can send by the million in one
// chunk a byte, are copied together, because an object for each would be a hundred times what it holds.
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import type { BodyBudget } from './body-budget.ts';
import type { Exchange } from './exchange.ts';

export interface BodyLimits {
  readonly bodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly budget: BodyBudget;
}

/**
 * A caller that waits for `100 Continue` gets it here and not before: until now everything could still be refused
 * without reading a byte. @throws GatewayError `body_too_large`, `bodies_too_many`, `request_timeout`, `client_closed`.
 */
export function readBody(exchange: Exchange, limits: BodyLimits): Promise<Buffer> {
  const { request, response } = exchange;
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limits.bodyBytes) return Promise.reject(new GatewayError('body_too_large'));
  continueIfAsked(exchange, response);
  return new Promise((resolve, reject) => {
    const pieces = new Pieces();
    let over = false;
    const timer = setTimeout(() => fail(new GatewayError('request_timeout')), limits.bodyTimeoutMs);
    const finish = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      exchange.bytesIn = pieces.length;
      return true;
    };
    const fail = (error: GatewayError): void => {
      if (!finish()) return;
      request.pause();
      reject(error);
    };
    // Comes after every request; an error object with its stack for each would cost more than the whole reading.
    const onClose = (): void => {
      if (!over) fail(new GatewayError('client_closed'));
    };
    request
      .on('data', (chunk: Buffer) => {
        if (over) return;
        pieces.add(chunk);
        if (pieces.length > limits.bodyBytes) fail(new GatewayError('body_too_large'));
        else if (!limits.budget.take(chunk.length, exchange.book)) fail(new GatewayError('bodies_too_many'));
        else exchange.heldBytes += chunk.length;
      })
      .on('end', () => {
        if (finish()) resolve(pieces.join());
      })
      .on('close', onClose)
      .on('error', onClose);
  });
}

export function continueIfAsked(exchange: Exchange, response: ServerResponse): void {
  if (exchange.request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
}

const smallBytes = 4 * 1024;
const pageBytes = 64 * 1024;

class Pieces {
  length = 0;
  readonly #whole: Buffer[] = [];
  /** Where small pieces are copied to; from `#from` on they are not among the whole ones yet. */
  #page: Buffer | undefined;
  #from = 0;
  #to = 0;

  add(piece: Buffer): void {
    this.length += piece.length;
    // Nearly every body comes in one piece, which is taken as it is.
    if (piece.length >= smallBytes || this.length === piece.length) {
      this.#turn();
      this.#whole.push(piece);
      return;
    }
    if (!this.#page || this.#to + piece.length > pageBytes) {
      this.#turn();
      this.#page = Buffer.allocUnsafeSlow(pageBytes);
      this.#from = this.#to = 0;
    }
    this.#to += piece.copy(this.#page, this.#to);
  }

  join(): Buffer {
    this.#turn();
    return this.#whole.length === 1 ? (this.#whole[0] as Buffer) : Buffer.concat(this.#whole, this.length);
  }

  #turn(): void {
    if (this.#page && this.#to > this.#from) this.#whole.push(this.#page.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
