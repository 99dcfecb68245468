// May this account, with this key, spend this now? Looks at every windowed limit and at what runs, and takes from all of
// them at once or from none: nothing here waits, so two calls can never both see the last one free (litellm#34732).
// What is taken is a lease: tokens are reserved by an estimate and settled to the real figure when the exchange ends,
// and a call that is refused later gives everything back. A call counts in the windows in which it began, which is how
// the ledger counts it too.
// Windows begin with the minute of the clock, and with the hour, day and month of a time zone; docs/plans.md says what
// follows from that.
import { type Calendar, windows } from '../../domain/calendar.ts';
import { GatewayError } from '../../domain/error.ts';
import type { Limit } from '../../domain/plan.ts';
import type { Principal } from '../../domain/principal.ts';
import { slowFactor } from '../../domain/suspension.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { AccountUsage, UsageCounters, WindowCount } from './account-usage.ts';

/** What a call will spend, as far as can be known. */
export interface Ask {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Does it occupy a model server for longer than a look at a list? */
  readonly spends: boolean;
}

const boundlessAnswerTokens = 8_192;

/** Completion tokens that an answer can have at most. */
export function mostAnswer(asked: number | undefined, most: number | null, choices = 1): number {
  const bound = most ?? Math.max(boundlessAnswerTokens * choices, asked ?? 0);
  return Math.min(asked ?? bound, bound);
}

/**
 * Completion tokens to reserve: what was asked for, else the longest of the key's last answers for each choice, else as
 * much as the plan lets an answer have.
 */
export function answerEstimate(
  asked: number | undefined,
  key: UsageCounters,
  most: number | null,
  choices = 1,
): number {
  const bound = mostAnswer(asked, most, choices);
  const { longestAnswer } = key;
  if (asked !== undefined || longestAnswer === undefined) return bound;
  return Math.min(Math.max(longestAnswer, 16) * choices, bound);
}

/** How an account and one of its keys stand now: the counts that a principal's limits look at, rolled on to now. */
export interface Standing {
  readonly account: UsageCounters;
  readonly key: UsageCounters;
  readonly slowed: boolean;
}

export function standingOf(
  { lineage }: Principal,
  usage: AccountUsage,
  slowed: boolean,
  calendar: Calendar,
  now: SteadyMs,
): Standing {
  const { account } = usage;
  const key = usage.key(lineage);
  account.roll(calendar, now);
  key.roll(calendar, now);
  return { account, key, slowed };
}

export function countOf({ on, window }: Limit, standing: Standing): WindowCount {
  return (on === 'account' ? standing.account : standing.key).windows[window];
}

/** The figure that holds now: whoever is slowed down has a part of each minute. */
export function mostOf({ most, window }: Limit, { slowed }: Standing): number {
  // Slowed down is not stopped.
  return slowed && window === 'minute' ? Math.min(most, Math.max(1, Math.floor(most * slowFactor))) : most;
}

/**
 * Takes what the call asks for. @throws GatewayError `rate_limited`, `quota_exceeded`, `too_many_concurrent`; then
 * nothing was taken.
 */
export function reserve(principal: Principal, standing: Standing, ask: Ask, now: SteadyMs): Lease {
  refuseBeyond(principal, standing, ask, now);
  const { account, key } = standing;
  if (ask.spends) {
    refuseIdle(principal);
    refuseCrowd(account, principal.bounds?.concurrentRequests ?? null, 'this account');
    refuseCrowd(key, principal.narrowing.concurrentRequests ?? null, 'this key');
  }
  return new Lease(account, key, ask);
}

/** Does the plan, or the key, let no call run at all? Then there is nothing to wait for. */
export const mayRunNone = ({ bounds, narrowing }: Principal): boolean =>
  bounds?.concurrentRequests === 0 || narrowing.concurrentRequests === 0;

/** @throws GatewayError `beyond_plan`. */
export function refuseIdle(principal: Principal): void {
  if (!mayRunNone(principal)) return;
  const whose = principal.bounds?.concurrentRequests === 0 ? 'plan of this account' : 'limit of this API key';
  throw new GatewayError('beyond_plan', {
    message: `The ${whose} lets no call of this kind run: its concurrentRequests is 0.`,
  });
}

/** May one call more run at once, in the account and in the key? */
export function hasRoom({ bounds, narrowing, lineage }: Principal, usage: AccountUsage, ask: Ask): boolean {
  if (!ask.spends) return true;
  const inAccount = bounds?.concurrentRequests ?? null;
  if (inAccount !== null && usage.account.running >= inAccount) return false;
  const inKey = narrowing.concurrentRequests;
  return inKey === undefined || usage.key(lineage).running < inKey;
}

/** The least that a call of a kind can ask for. */
const leastAsks = {
  nothing: { promptTokens: 0, completionTokens: 0, spends: false },
  embedding: { promptTokens: 1, completionTokens: 0, spends: true },
  generation: { promptTokens: 1, completionTokens: 1, spends: true },
} as const satisfies Record<string, Ask>;

/** Could the smallest call of that kind be let through? Asked before its body is read; takes nothing. @throws as `reserve`. */
export function refuseExhausted(
  principal: Principal,
  standing: Standing,
  kind: keyof typeof leastAsks,
  now: SteadyMs,
): void {
  refuseBeyond(principal, standing, leastAsks[kind], now);
}

/** @throws GatewayError `rate_limited`, `quota_exceeded` where a window has no room for the call. Takes nothing. */
export function refuseBeyond({ limits }: Principal, standing: Standing, ask: Ask, now: SteadyMs): void {
  for (const limit of limits) {
    const need = needOf(limit, ask);
    if (need === 0) continue;
    const most = mostOf(limit, standing);
    const used = countOf(limit, standing).used(limit.measure);
    // A call that is larger than the whole limit is let through once nothing else is in the window; else it never could.
    if (used >= most || used + Math.min(need, most) > most) throw beyond(limit, standing, need, now);
  }
}

/** What a call takes from a limit. */
export function needOf({ measure }: Limit, { promptTokens, completionTokens }: Ask): number {
  if (measure === 'requests') return 1;
  if (measure === 'tokens') return promptTokens + completionTokens;
  return measure === 'promptTokens' ? promptTokens : completionTokens;
}

const units = {
  requests: 'calls',
  tokens: 'tokens',
  promptTokens: 'prompt tokens',
  completionTokens: 'completion tokens',
} as const;

function beyond(limit: Limit, standing: Standing, need: number, now: SteadyMs): GatewayError {
  const { on, measure, window } = limit;
  const count = countOf(limit, standing);
  const used = count.used(measure);
  const most = mostOf(limit, standing);
  const waitSeconds = Math.max(1, Math.ceil((count.endsAt - now) / 1000));
  const whom = on === 'account' ? 'This account' : 'This API key';
  const needs = measure === 'requests' ? '' : ` and this call needs about ${figure(need)}`;
  return new GatewayError(window === 'minute' ? 'rate_limited' : 'quota_exceeded', {
    message:
      `${whom} may use ${figure(most)} ${units[measure]} ${windows[window].each}; ${figure(used)} are used${needs}. ` +
      `The next ${window} begins in ${durationWords(waitSeconds)}.`,
    // Everybody's window ends at once; spread a little, not everybody comes back at once.
    retryAfterSeconds: waitSeconds + Math.floor(Math.random() * Math.min(30, 1 + waitSeconds / 10)),
  });
}

function refuseCrowd(counters: UsageCounters, most: number | null, whose: string): void {
  if (most === null || counters.running < most) return;
  throw new GatewayError('too_many_concurrent', {
    message: `${figure(counters.running)} calls of ${whose} are running and ${figure(most)} may at once; no more may wait.`,
  });
}

const figure = (value: number): string => value.toLocaleString('en-US');

function durationWords(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** What one exchange holds: its request, its reservation, its place among those that run. */
export class Lease {
  readonly #account: UsageCounters;
  readonly #key: UsageCounters;
  readonly #ask: Ask;
  /** The minute in which it began, which names every window in which it counts. */
  readonly #at: number;
  #open = true;

  constructor(account: UsageCounters, key: UsageCounters, ask: Ask) {
    this.#account = account;
    this.#key = key;
    this.#ask = ask;
    this.#at = account.windows.minute.startsAt;
    this.#add(1, ask.promptTokens, ask.completionTokens);
    this.#run(1);
  }

  /** The exchange is over and cost this. Once; afterwards nothing is held. */
  settle(promptTokens: number, completionTokens: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.#run(-1);
    this.#add(0, promptTokens - this.#ask.promptTokens, completionTokens - this.#ask.completionTokens);
    if (completionTokens > 0) this.#key.noteAnswer(completionTokens);
    this.#account.onEnd?.();
  }

  /** The call did not leave: it costs nothing, not even a request. */
  cancel(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#run(-1);
    this.#add(-1, -this.#ask.promptTokens, -this.#ask.completionTokens);
    this.#account.onEnd?.();
  }

  #run(step: 1 | -1): void {
    if (!this.#ask.spends) return;
    this.#account.running += step;
    this.#key.running += step;
  }

  #add(requests: number, promptTokens: number, completionTokens: number): void {
    this.#account.add(this.#at, requests, promptTokens, completionTokens);
    this.#key.add(this.#at, requests, promptTokens, completionTokens);
  }
}
