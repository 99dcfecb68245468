// Reads the whole body of a request into memory, bounded in size and time, and in what all callers together may hold.
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { whenGone } from '../answer/unread.ts';
import type { Exchange } from '../exchange.ts';
import type { BodyBudget, Holder } from './body-budget.ts';
import { Pieces } from './chunk-buffer.ts';
import { type Coding, freelyUnfolded, mostUnfolding } from './content-coding.ts';

export interface BodyLimits {
  readonly bodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly budget: BodyBudget;
}

/**
 * `holder` is whose share of the budget it takes. A caller that waits for `100 Continue` gets it here and not before: until now everything could still be refused
 * without reading a byte. What comes in a coding is unfolded as it comes, within the same limits.
 * @throws GatewayError `body_too_large`, `bodies_too_many`, `request_timeout`, `client_closed`, `invalid_request`.
 */
export function readBody(
  exchange: Exchange,
  holder: Holder | undefined,
  limits: BodyLimits,
  coding?: Coding,
): Promise<Buffer> {
  const { request, response } = exchange;
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limits.bodyBytes) return Promise.reject(new GatewayError('body_too_large'));
  const room = coding?.roomBytes ?? 0;
  if (room > 0 && !limits.budget.take(room, holder, exchange.network))
    return Promise.reject(new GatewayError('bodies_too_many'));
  continueIfAsked(exchange, response);
  return new Promise((resolve, reject) => {
    // Let go of when it is over: the listeners live as long as the request does.
    let pieces: Pieces | undefined = new Pieces();
    const decoder = coding?.open();
    let came = 0;
    let over = false;
    const timer = setTimeout(() => fail(new GatewayError('request_timeout')), limits.bodyTimeoutMs);
    const finish = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      exchange.bytesIn = came;
      pieces = undefined;
      if (decoder) {
        request.unpipe(decoder);
        decoder.destroy();
        limits.budget.give(room, holder, exchange.network);
      }
      return true;
    };
    const fail = (error: GatewayError): void => {
      if (!finish()) return;
      // The pieces are gone. Kept until the refusal is read, their room would have the account's other bodies refused too.
      limits.budget.give(exchange.heldBytes, holder, exchange.network);
      exchange.heldBytes = 0;
      request.pause();
      reject(error);
    };
    // Comes after every request; an error object with its stack for each would cost more than the whole reading.
    const onClose = (): void => {
      // What is all here may still be unfolding.
      if (!over && !(decoder && request.readableEnded)) fail(new GatewayError('client_closed'));
    };
    const hold = (chunk: Buffer): void => {
      if (!pieces) return;
      if (pieces.length + chunk.length > limits.bodyBytes) fail(new GatewayError('body_too_large'));
      else if (!limits.budget.take(chunk.length, holder, exchange.network)) fail(new GatewayError('bodies_too_many'));
      else {
        exchange.heldBytes += chunk.length;
        exchange.heldBy = holder;
        pieces.add(chunk);
      }
    };
    const end = (): void => {
      const read = pieces;
      if (finish() && read) resolve(read.bytes());
    };
    request.on('close', onClose).on('error', onClose);
    if (!decoder)
      request
        .on('data', (chunk: Buffer) => {
          came += chunk.length;
          hold(chunk);
        })
        .on('end', end);
    else {
      decoder
        .on('data', (chunk: Buffer) => {
          if (!pieces) return;
          if (pieces.length + chunk.length > Math.max(freelyUnfolded, mostUnfolding * came)) fail(unfolds());
          else hold(chunk);
        })
        .on('end', end)
        .on('error', () => fail(miscoded()));
      request.on('data', (chunk: Buffer) => {
        came += chunk.length;
      });
      request.pipe(decoder);
    }
  });
}

const unfolds = (): GatewayError =>
  new GatewayError('body_too_large', { message: `The body is more than ${mostUnfolding} times what was sent.` });

const miscoded = (): GatewayError =>
  new GatewayError('invalid_request', { message: 'The body is not exactly one piece of what Content-Encoding says.' });

/**
 * What takes the place of the body: its room is taken before it is made, and that of the body is given back after.
 * @throws GatewayError `bodies_too_many`, and what `make` throws.
 */
export function replaceBody<T>(
  exchange: Exchange,
  holder: Holder | undefined,
  budget: BodyBudget,
  bytes: number,
  make: () => T,
): T {
  const before = exchange.heldBytes;
  if (!budget.take(bytes, holder, exchange.network)) throw new GatewayError('bodies_too_many');
  exchange.heldBytes += bytes;
  exchange.heldBy = holder;
  const made = make();
  budget.give(before, holder, exchange.network);
  exchange.heldBytes -= before;
  return made;
}

declare class Mark {
  protected readonly released: true;
}
/** An exchange that holds no body any more, once its answer is gone. */
export interface Released extends Exchange, Mark {}

/** Gives back what is held of the body. As long as an answer waits for its reader, so does what was read of the call. */
export function releaseBody(exchange: Exchange, budget: BodyBudget): Released {
  if (exchange.heldBytes > 0)
    whenGone(exchange, () => budget.give(exchange.heldBytes, exchange.heldBy, exchange.network));
  return exchange as Released;
}

export function continueIfAsked({ request }: Pick<Exchange, 'request'>, response: ServerResponse): void {
  // A caller of HTTP/1.0 would take it for the answer (RFC 9110, section 10.1.1).
  if (request.headers.expect?.toLowerCase() === '100-continue' && request.httpVersion !== '1.0')
    response.writeContinue();
}
