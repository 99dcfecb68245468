// Reserves what a call needs from the limits of its account and key: at once if there is room, or, if too many calls run, after
// waiting in the account's line. Response headers tell the caller what is left. record.ts settles the lease when the exchange ends.
import { GatewayError, toGatewayError } from '../../domain/error.ts';
import { type Ask, firstFull } from '../../domain/limit.ts';
import type { Principal } from '../../domain/principal.ts';
import { isLater, type Soon } from '../../domain/soon.ts';
import { restrictionsOf } from '../../domain/suspension.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { Crowded, Full, Lease, Reserved } from '../../store/ports/limit-store.ts';
import type { JointEntry } from '../../store/ports/turn-queue.ts';
import type { ActiveRequests } from '../active-requests.ts';
import type { Shaped } from '../apply-plan.ts';
import type { Exchange } from '../exchange.ts';
import type { LimitRules } from '../metering.ts';
import type { AccountLines, Attempt, InLine } from './account-line.ts';
import type { AccountUsage } from './account-usage.ts';
import { addLimitLines, asciiOf } from './limit-headers.ts';
import { crowdedError, fullError, idleError } from './limit-refusals.ts';
import { notePosition, waitComment } from './wait-signs.ts';
import { isGone, Waiting, waitWhileConnected } from './waiting.ts';

export interface LimitTools {
  readonly rules: LimitRules;
  readonly lines: AccountLines;
  readonly running: ActiveRequests;
  readonly recorder: { readonly nowMs: () => MonotonicMs };
}

/** A metered call and what it asks for. */
interface Asking {
  readonly call: Shaped;
  readonly exchange: Exchange;
  readonly usage: AccountUsage;
  readonly ask: Ask;
}

type Joint = JointEntry<unknown> | undefined;

/**
 * Returns undefined if the call has its lease or is not metered, else a promise for the lease. `joint`: its turn, which is asked for
 * together with the limits unless the call waits in its account's line. @throws GatewayError
 * `rate_limited`, `quota_exceeded`, `beyond_plan`, `too_many_concurrent`; the promise rejects with them too, or with
 * `queue_timeout`, `client_closed`, or what ends the running calls.
 */
export function takeLimits(
  call: Shaped,
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: LimitTools,
  joint?: Joint,
): Promise<void> | undefined {
  const { metering } = call;
  if (metering.kind === 'unmetered') return undefined;
  const { usage } = metering;
  const asking: Asking = { call, exchange, usage, ask };
  // While an earlier call is being tried, a later one must not overtake it.
  if (usage.line.isTrying && mayWait(call.caller.principal, usage, ask)) return waitInLine(asking, enteredMs, tools);
  const { fills } = usage.line;
  const reserving = reserve(asking, tools.rules, joint);
  if (!isLater(reserving))
    return holds(reserving, asking, tools.rules) ? undefined : waitInLine(asking, enteredMs, tools);
  return reserving.then((reserved) => {
    if (holds(reserved, asking, tools.rules)) return refuseGone(exchange);
    const waits = waitInLine(asking, enteredMs, tools);
    // If a call ended since the store was asked, it did not find this one in the line.
    if (usage.line.fills !== fills) usage.line.fill();
    return waits;
  });
}

/** May the call wait in the account's line? If no call may run at all, there is nothing to wait for. */
export const mayWait = (principal: Principal, { line }: AccountUsage, { spends }: Ask): boolean =>
  spends && idleError(principal) === undefined && line.length < (principal.bounds?.waitingRequests ?? Infinity);

/** A lease that was taken just before the hang-up is cancelled when the exchange is settled. @throws GatewayError `client_closed`. */
function refuseGone(exchange: Exchange): void {
  if (isGone(exchange)) throw new GatewayError('client_closed');
}

function reserve({ call, exchange, usage, ask }: Asking, { clocks }: LimitRules, joint?: Joint): Soon<Reserved> {
  const { principal } = call.caller;
  const { slowed } = restrictionsOf(principal.suspensions, clocks.wall());
  return usage.key(principal.lineage).limits.reserve(exchange.id, ask, principal, clocks.steady(), slowed, joint);
}

/** True if the call has its lease, false if it may wait for one. @throws GatewayError if waiting would not help, or is not allowed. */
function holds(reserved: Reserved, asking: Asking, rules: LimitRules): boolean {
  if (reserved.kind === 'lease') {
    hold(reserved, asking, rules);
    return true;
  }
  const { call, usage, ask } = asking;
  const { principal } = call.caller;
  const helps = reserved.kind === 'crowded' && !firstFull(principal.limits, ask, reserved.standing);
  if (helps && mayWait(principal, usage, ask)) return false;
  throw refusalOf(reserved, asking, rules);
}

function hold(lease: Lease, asking: Asking, rules: LimitRules): void {
  const { exchange, call } = asking;
  if (exchange.recorded) {
    // The call ended while the store was asked.
    lease.cancel();
    return;
  }
  const { clocks } = rules;
  exchange.notes.noteLease(lease, clocks.toWall(lease.at));
  addHeaders(lease, asking, rules);
  const { warned } = restrictionsOf(call.caller.principal.suspensions, clocks.wall());
  if (warned) exchange.lines.push('x-sekisho-warning', `${warned.id} ${asciiOf(warned.reason.slice(0, 200))}`);
}

/** Names a full window first: the end of another call would not make room in it. */
function refusalOf(refused: Full | Crowded, asking: Asking, rules: LimitRules): GatewayError {
  addHeaders(refused, asking, rules);
  const { principal } = asking.call.caller;
  const { standing } = refused;
  const now = rules.clocks.steady();
  if (refused.kind === 'full') return fullError(refused.limit, standing, asking.ask, now);
  const limit = firstFull(principal.limits, asking.ask, standing);
  if (limit) return fullError(limit, standing, asking.ask, now);
  return idleError(principal) ?? crowdedError(refused.on, principal, standing);
}

function addHeaders({ kind, standing }: Reserved, { call, exchange }: Asking, { clocks }: LimitRules): void {
  const { operation, caller } = call;
  addLimitLines(exchange.lines, caller.principal, standing, operation.dialect, clocks, kind !== 'lease');
}

async function waitInLine(
  asking: Asking,
  enteredMs: MonotonicMs,
  { lines, running, rules, recorder: { nowMs } }: LimitTools,
): Promise<void> {
  const { exchange, usage } = asking;
  const wait = new LineWait(asking, enteredMs, rules);
  lines.enter(usage.line, wait);
  notePosition(exchange, usage.line.length, undefined);
  exchange.waitComment = () =>
    waitComment('waiting for another call of the account', usage.line.positionOf(wait), undefined);
  try {
    await waitWhileConnected(wait, running);
  } finally {
    exchange.waitComment = undefined;
    usage.line.leave(wait);
    exchange.queuedMs = Math.round(nowMs() - enteredMs);
  }
  refuseGone(exchange);
}

/** A call in the line of its account. */
class LineWait extends Waiting<void> implements InLine {
  readonly enteredMs: MonotonicMs;
  readonly #asking: Asking;
  readonly #rules: LimitRules;

  constructor(asking: Asking, enteredMs: MonotonicMs, rules: LimitRules) {
    super(asking.call, asking.exchange);
    this.enteredMs = enteredMs;
    this.#asking = asking;
    this.#rules = rules;
  }

  attempt(): Soon<Attempt> {
    try {
      const reserving = reserve(this.#asking, this.#rules);
      if (!isLater(reserving)) return this.#handle(reserving);
      return reserving.then(
        (reserved) => this.#handle(reserved),
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      return this.#fail(error);
    }
  }

  #handle(reserved: Reserved): Attempt {
    if (reserved.kind === 'lease') {
      hold(reserved, this.#asking, this.#rules);
      this.proceed();
      return 'left';
    }
    // If no call may run any more, waiting is useless.
    if (reserved.kind === 'crowded' && idleError(this.call.caller.principal) === undefined)
      return reserved.on === 'key' ? 'waits' : 'none';
    return this.#fail(refusalOf(reserved, this.#asking, this.#rules));
  }

  #fail(error: unknown): 'left' {
    this.end(toGatewayError(error));
    return 'left';
  }
}
