// What a call takes from the limits of its account and key: at once where there is room, or, where as many calls run as may, in
// the account's line when one of them ends. The lease stands in the exchange, which settles it when it ends (record.ts). The
// response says what is left.
import { GatewayError, toGatewayError } from '../../domain/error.ts';
import type { Principal } from '../../domain/principal.ts';
import { restrictionsOf } from '../../domain/suspension.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { ActiveRequests } from '../active-requests.ts';
import type { Shaped } from '../apply-plan.ts';
import type { Exchange } from '../exchange.ts';
import type { LimitRules } from '../precheck.ts';
import type { AccountLines, InLine } from './account-line.ts';
import type { AccountUsage } from './account-usage.ts';
import { addLimitLines, asciiOf } from './limit-headers.ts';
import { type Ask, hasRoom, mayRunNone, refuseBeyond, reserve, standingOf } from './limiter.ts';
import { isGone, Waiting, whileThere } from './waiting.ts';

export interface LimitTools {
  readonly rules: LimitRules;
  readonly lines: AccountLines;
  readonly running: ActiveRequests;
  readonly recorder: { readonly nowMs: () => MonotonicMs };
}

/**
 * Undefined where the call holds what it takes, or nothing counts it; else a promise for it. @throws GatewayError
 * `rate_limited`, `quota_exceeded`, `beyond_plan`, `too_many_concurrent`; the promise rejects with them too, or with
 * `queue_timeout`, `client_closed`, or what ends the running calls.
 */
export function takeLimits(
  call: Shaped,
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: LimitTools,
): Promise<void> | undefined {
  const { operation, metering } = call;
  const { principal } = call.caller;
  if (metering.kind === 'unmetered') return undefined;
  const { usage } = metering;
  const { rules } = tools;
  if (!waitsInLine(principal, usage, ask)) {
    takeLease(call, exchange, usage, ask, rules);
    return undefined;
  }
  // A limit that the end of another call does not widen is said at once.
  const at = rules.clocks.steady();
  const { slowed } = restrictionsOf(principal.suspensions, rules.clocks.wall());
  const standing = standingOf(principal, usage, slowed, rules.calendar, at);
  try {
    refuseBeyond(principal, standing, ask, at);
  } catch (error) {
    addLimitLines(exchange.lines, principal, standing, operation.dialect, rules.clocks, true);
    throw error;
  }
  return waitInLine(new LineWait(call, exchange, usage, ask, enteredMs, rules), usage, tools);
}

/** The account, or the key, runs as many calls as it may; where it may run none there is nothing to wait for. */
const mustWait = (principal: Principal, usage: AccountUsage, ask: Ask): boolean =>
  !hasRoom(principal, usage, ask) && !mayRunNone(principal);

/** It must, and there is a place to wait. */
export const waitsInLine = (principal: Principal, usage: AccountUsage, ask: Ask): boolean =>
  mustWait(principal, usage, ask) && usage.line.length < (principal.bounds?.waitingRequests ?? Infinity);

/** In one go, so that nothing comes between the look and the taking; and says what is left. @throws as `reserve`. */
function takeLease(
  { caller: { principal }, operation }: Shaped,
  exchange: Exchange,
  usage: AccountUsage,
  ask: Ask,
  { calendar, clocks }: LimitRules,
): void {
  const { slowed, warned } = restrictionsOf(principal.suspensions, clocks.wall());
  const at = clocks.steady();
  const standing = standingOf(principal, usage, slowed, calendar, at);
  try {
    exchange.lease = reserve(principal, standing, ask, at);
    exchange.countedAt = clocks.toWall(at);
  } finally {
    addLimitLines(exchange.lines, principal, standing, operation.dialect, clocks, exchange.lease === undefined);
  }
  if (warned) exchange.lines.push('x-sekisho-warning', `${warned.id} ${asciiOf(warned.reason.slice(0, 200))}`);
}

async function waitInLine(
  waiting: LineWait,
  { line }: AccountUsage,
  { lines, running, recorder: { nowMs } }: LimitTools,
): Promise<void> {
  const { exchange, enteredMs } = waiting;
  lines.enter(line, waiting);
  exchange.queuePosition = line.length;
  try {
    await whileThere(waiting, running);
  } finally {
    line.leave(waiting);
    exchange.queuedMs = Math.round(nowMs() - enteredMs);
  }
  // What was taken in this very moment is given back when the exchange is settled.
  if (isGone(exchange)) throw new GatewayError('client_closed');
}

/** A call in the line of its account. */
class LineWait extends Waiting<void> implements InLine {
  readonly enteredMs: MonotonicMs;
  readonly #usage: AccountUsage;
  readonly #ask: Ask;
  readonly #rules: LimitRules;

  constructor(call: Shaped, exchange: Exchange, usage: AccountUsage, ask: Ask, atMs: MonotonicMs, rules: LimitRules) {
    super(call, exchange);
    this.enteredMs = atMs;
    this.#usage = usage;
    this.#ask = ask;
    this.#rules = rules;
  }

  fits(): boolean {
    return !mustWait(this.call.caller.principal, this.#usage, this.#ask);
  }

  take(): void {
    try {
      takeLease(this.call, this.exchange, this.#usage, this.#ask, this.#rules);
      this.goOn();
    } catch (error) {
      this.end(toGatewayError(error));
    }
  }
}
