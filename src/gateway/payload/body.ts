// What is held of a request's body: its bounds, what takes its place, and how it is given back. It is read in read-body.ts.
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
