// What is known of a caller's account before anything of the call is read: its book, and whether its limits have any
// room at all. A caller who has used everything up never makes us read a body.
import type { Calendar } from '../domain/calendar.ts';
import { GatewayError } from '../domain/error.ts';
import { unlimited } from '../domain/plan.ts';
import type { Principal } from '../domain/principal.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { Clocks } from '../domain/time.ts';
import type { Book, Books } from './book.ts';
import type { Exchange } from './exchange.ts';
import { addLimitLines } from './limit-headers.ts';
import { refuseExhausted, refuseIdle, standingOf } from './limits.ts';
import type { Permitted } from './permit.ts';

export interface LimitRules {
  readonly books: Books;
  readonly calendar: Calendar;
  /** Windows go by the steady clock, suspensions by the wall clock. */
  readonly clocks: Clocks;
}

/**
 * The account's book; undefined for callers without limits, of whom nothing is counted.
 * @throws GatewayError `limits_unavailable` where the ledger cannot be read: what was used is not known to be nothing.
 */
export function openBook(principal: Principal, { books, clocks }: LimitRules): Book | Promise<Book> | undefined {
  if (principal.plan === unlimited) return undefined;
  const found = books.of(principal.accountId);
  if (found instanceof Promise)
    return found.catch((cause: unknown) => {
      throw new GatewayError('limits_unavailable', { cause });
    });
  found.lastSeenAt = clocks.steady();
  return found;
}

/** @throws GatewayError `rate_limited`, `quota_exceeded`, `beyond_plan` where no call at all would be let through now. */
export function refuseSpent({ principal, operation }: Permitted, exchange: Exchange, rules: LimitRules): void {
  const { book } = exchange;
  if (!book || operation.body === 'none') return;
  if (operation.time !== 'metadata') refuseIdle(principal);
  const now = rules.clocks.steady();
  const { slowed } = restrictionsOf(principal.suspensions, rules.clocks.wall());
  const standing = standingOf(principal, book, slowed, rules.calendar, now);
  try {
    const kind =
      operation.time !== 'inference' ? 'nothing' : operation.scope === 'inference:chat' ? 'generation' : 'embedding';
    refuseExhausted(principal, standing, kind, now);
  } catch (error) {
    addLimitLines(exchange.lines, principal, standing, operation.dialect, rules.clocks, true);
    throw error;
  }
}
