// Reads the whole body of a request into memory, bounded in size and time, and in what all callers together may hold.
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import type { BodyBudget } from './body-budget.ts';
import type { Exchange } from './exchange.ts';
import { Pieces } from './pieces.ts';

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
        if (pieces.length + chunk.length > limits.bodyBytes) fail(new GatewayError('body_too_large'));
        else if (!limits.budget.take(chunk.length, exchange.book)) fail(new GatewayError('bodies_too_many'));
        else {
          exchange.heldBytes += chunk.length;
          pieces.add(chunk);
        }
      })
      .on('end', () => {
        if (finish()) resolve(pieces.bytes());
      })
      .on('close', onClose)
      .on('error', onClose);
  });
}

/**
 * What takes the place of the body: its room is taken before it is made, and that of the body is given back after.
 * @throws GatewayError `bodies_too_many`, and what `make` throws.
 */
export function replaceBody<T>(exchange: Exchange, budget: BodyBudget, bytes: number, make: () => T): T {
  const before = exchange.heldBytes;
  if (!budget.take(bytes, exchange.book)) throw new GatewayError('bodies_too_many');
  exchange.heldBytes += bytes;
  const made = make();
  budget.give(before, exchange.book);
  exchange.heldBytes -= before;
  return made;
}

export function continueIfAsked({ request }: Pick<Exchange, 'request'>, response: ServerResponse): void {
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
}
