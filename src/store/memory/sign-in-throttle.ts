// Throttles guesses of passwords and codes in the memory of this process. There is room for a bounded number of counts.
import {
  forgetFailuresMs,
  freeFailures,
  longestWaitMs,
  type SignInCount,
  signInCountsOf,
} from '../../domain/sign-in-waits.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { SignInThrottle } from '../ports/sign-in-throttle.ts';

interface Count {
  failures: number;
  lastMs: MonotonicMs;
}

const maxCounts = 20_000;

export class MemorySignIns implements SignInThrottle {
  readonly #nowMs: () => MonotonicMs;
  readonly #gates: () => number;
  readonly #counts = new Map<string, Count>();

  /**
   * `gates`: how many share what is allowed without knowing of each other. Each allows its share of the failures, at least one, and
   * waits as many times as long, so that all together allow no more than one.
   */
  constructor(nowMs: () => MonotonicMs, gates: () => number = () => 1) {
    this.#nowMs = nowMs;
    this.#gates = gates;
  }

  attempt(address: string, mailbox: string): number {
    const seconds = this.waitSeconds(address, mailbox);
    if (seconds === 0) this.failed(address, mailbox);
    return seconds;
  }

  /** Seconds until an attempt is allowed; 0: now. */
  waitSeconds(address: string, mailbox: string): number {
    const waits = signInCountsOf(address, mailbox).map(([kind, key]) => this.#waitMs(key, kind));
    return Math.ceil(Math.max(...waits) / 1000);
  }

  failed(address: string, mailbox: string): void {
    for (const [, key] of signInCountsOf(address, mailbox)) {
      const count = this.#counts.get(key) ?? { failures: 0, lastMs: 0 };
      // The newest are last; the oldest is removed when there are too many.
      this.#counts.delete(key);
      this.#counts.set(key, { failures: this.#old(count) ? 1 : count.failures + 1, lastMs: this.#nowMs() });
    }
    for (const key of this.#counts.keys()) {
      if (this.#counts.size <= maxCounts) break;
      this.#counts.delete(key);
    }
  }

  answered(address: string, mailbox: string): void {
    for (const [, key] of signInCountsOf(address, mailbox)) {
      const count = this.#counts.get(key);
      if (count) count.lastMs = this.#nowMs();
    }
  }

  succeeded(address: string, mailbox: string): void {
    for (const [kind, key] of signInCountsOf(address, mailbox)) {
      const count = this.#counts.get(key);
      if (kind === 'pair') this.#counts.delete(key);
      else if (count && count.failures > 0) count.failures--;
    }
  }

  #old({ lastMs, failures }: Count): boolean {
    return failures > 0 && this.#nowMs() - lastMs > forgetFailuresMs;
  }

  #waitMs(key: string, kind: SignInCount): number {
    const count = this.#counts.get(key);
    if (!count || this.#old(count)) return 0;
    const gates = Math.max(1, this.#gates());
    const over = count.failures - Math.max(1, Math.floor(freeFailures[kind] / gates));
    if (over < 0) return 0;
    const ms = gates * Math.min(longestWaitMs[kind], 1000 * 2 ** Math.min(over, 20));
    return Math.max(0, count.lastMs + ms - this.#nowMs());
  }
}
