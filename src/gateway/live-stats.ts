// Live statistics for people: tokens per second by account, refusals by reason in the last hour, exchanges in the last
// minute. Counted when exchanges end and, for running ones, once a second. Bounded in time and in names; decides
// nothing.
import type { AccountId } from '../domain/id.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { UsageRecord } from '../domain/usage.ts';
import type { Exchange } from './exchange.ts';
import type { Ending, EndObserver } from './observers.ts';
import { recordFactsOf } from './record-facts.ts';

/** Seconds over which a speed is averaged. */
const span = 10;
const minutes = 60;

interface Second {
  second: number;
  readonly tokens: Map<AccountId, number>;
}

interface Minute {
  minute: number;
  readonly refusals: Map<string, number>;
  ended: number;
}

export class LiveStats implements EndObserver {
  readonly name = 'the live statistics';
  readonly #nowMs: () => MonotonicMs;
  /** Completion tokens by account, one map per second. */
  readonly #seconds: Second[] = Array.from({ length: span }, () => ({ second: -1, tokens: new Map() }));
  /** Refusals by code, and all exchanges, per minute. */
  readonly #minutes: Minute[] = Array.from({ length: minutes }, () => ({
    minute: -Infinity,
    refusals: new Map(),
    ended: 0,
  }));

  /** Refusals by code that are in no row of the ledger, since they were last taken. */
  #strangers = new Map<string, number>();

  constructor(nowMs: () => MonotonicMs) {
    this.#nowMs = nowMs;
  }

  /** Counts refusals of before this start, each with how long ago it was. */
  remember(refusals: Iterable<{ readonly agoMs: number; readonly code: string; readonly count: number }>): void {
    for (const { agoMs, code, count } of refusals) {
      const minute = Math.floor((this.#nowMs() - agoMs) / 60_000);
      if (minute <= Math.floor(this.#nowMs() / 60_000) - minutes) continue;
      const place = this.#place(minute);
      if (place) place.refusals.set(code, (place.refusals.get(code) ?? 0) + count);
    }
  }

  /** Counts the progress of running exchanges. Call about once a second. */
  sample(running: readonly Exchange[]): void {
    for (const exchange of running) {
      const { meter, begun } = exchange;
      const { caller } = recordFactsOf(exchange);
      if (caller && meter && begun) this.#add(exchange, caller.principal.accountId, meter.read().completionTokens);
    }
  }

  ended(exchange: Exchange, row: UsageRecord | undefined, { outcome, error }: Ending): void {
    const minute = this.#place(Math.floor(this.#nowMs() / 60_000)) as Minute;
    minute.ended++;
    if (outcome === 'refused' && error) {
      addOne(minute.refusals, error.code);
      if (!row) addOne(this.#strangers, error.code);
    }
    if (row) this.#add(exchange, row.accountId, row.completionTokens);
  }

  /** Completion tokens per second, by account, over the last seconds. */
  speeds(): ReadonlyMap<AccountId, number> {
    const now = Math.floor(this.#nowMs() / 1000);
    const sums = new Map<AccountId, number>();
    for (const { second, tokens } of this.#seconds) {
      // The current second is incomplete.
      if (second < now - span + 1) continue;
      for (const [account, count] of tokens) sums.set(account, (sums.get(account) ?? 0) + count);
    }
    for (const [account, count] of sums) sums.set(account, Math.round((count / span) * 10) / 10);
    return sums;
  }

  refusals(): { readonly code: string; readonly count: number }[] {
    const now = Math.floor(this.#nowMs() / 60_000);
    const sums = new Map<string, number>();
    for (const { minute, refusals } of this.#minutes)
      if (minute > now - minutes) for (const [code, count] of refusals) sums.set(code, (sums.get(code) ?? 0) + count);
    return [...sums].map(([code, count]) => ({ code, count })).toSorted((a, b) => b.count - a.count);
  }

  /** What was refused to callers without an account since the last call of this. */
  takeStrangers(): ReadonlyMap<string, number> {
    const taken = this.#strangers;
    if (taken.size > 0) this.#strangers = new Map();
    return taken;
  }

  /** Exchanges that ended in this minute and the one before. */
  recent(): number {
    const now = Math.floor(this.#nowMs() / 60_000);
    return this.#minutes.reduce((sum, { minute, ended }) => sum + (minute >= now - 1 ? ended : 0), 0);
  }

  #add(exchange: Exchange, account: AccountId, tokens: number): void {
    const fresh = tokens - exchange.countedTokens;
    if (fresh <= 0) return;
    exchange.countedTokens = tokens;
    const second = Math.floor(this.#nowMs() / 1000);
    const place = this.#seconds[second % span] as Second;
    if (place.second !== second) {
      place.second = second;
      place.tokens.clear();
    }
    place.tokens.set(account, (place.tokens.get(account) ?? 0) + fresh);
  }

  /** The place of a minute, cleared if an earlier one had it; undefined if a later one has. */
  #place(minute: number): Minute | undefined {
    // Minutes before this process began are negative.
    const place = this.#minutes[((minute % minutes) + minutes) % minutes] as Minute;
    if (place.minute > minute) return undefined;
    if (place.minute !== minute) {
      place.minute = minute;
      place.refusals.clear();
      place.ended = 0;
    }
    return place;
  }
}

function addOne(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}
