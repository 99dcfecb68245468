// The memory of a request's body: its bounds, its replacement, and its release. read-body.ts reads it.
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { whenGone } from '../answer/unread.ts';
import type { Exchange } from '../exchange.ts';
import type { BodyBudget, Holder } from './body-budget.ts';

export interface BodyLimits {
  readonly bodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly budget: BodyBudget;
}

/**
 * Replaces the body: reserves room for the new one before it is made, then returns the room of the old one.
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
/** An exchange whose body is released once its answer is sent. */
export interface Released extends Exchange, Mark {}

/** Returns the room of the body. While an answer waits for its reader, the request stays in memory, and is counted. */
export function releaseBody(exchange: Exchange, budget: BodyBudget): Released {
  if (exchange.heldBytes > 0)
    whenGone(exchange, () => budget.give(exchange.heldBytes, exchange.heldBy, exchange.network));
  return exchange as Released;
}

export function continueIfAsked({ request }: Pick<Exchange, 'request'>, response: ServerResponse): void {
  // An HTTP/1.0 client would take the interim response for the final one (RFC 9110 §10.1.1).
  if (request.headers.expect?.toLowerCase() === '100-continue' && request.httpVersion !== '1.0')
    response.writeContinue();
}
