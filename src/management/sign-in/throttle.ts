// Throttles guesses of passwords and codes: by address and mailbox together, by mailbox from all addresses, and by address for all
// mailboxes. Waits double and expire, so an attacker cannot lock a person out for long, and a correct password from an address
// without failures is accepted unless very many addresses are guessing at that mailbox.
import { networkOf } from '../../domain/address.ts';
import type { MonotonicMs } from '../../domain/time.ts';

interface Count {
  failures: number;
  lastMs: MonotonicMs;
}

const free = { pair: 5, mailbox: 30, address: 60 } as const;
/** Many people can share an address; if one of them guesses, the others only wait for seconds. */
const longestMs = { pair: 15 * 60_000, mailbox: 30_000, address: 10_000 } as const;
/** After this time without a failure, everything is forgotten. */
const forgetMs = 60 * 60_000;
const maxCounts = 20_000;

export class SignInThrottle {
  readonly #nowMs: () => MonotonicMs;
  readonly #counts = new Map<string, Count>();

  constructor(nowMs: () => MonotonicMs) {
    this.#nowMs = nowMs;
  }

  /** Seconds until an attempt is allowed; 0: now. Without a mailbox, only the address counts. */
  waitSeconds(address: string, mailbox: string): number {
    const waits = countsOf(address, mailbox).map(([kind, key]) => this.#waitMs(key, kind));
    return Math.ceil(Math.max(...waits) / 1000);
  }

  failed(address: string, mailbox: string): void {
    for (const [, key] of countsOf(address, mailbox)) {
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

  /** Records a failure. The wait starts now, after the check. */
  answered(address: string, mailbox: string): void {
    for (const [, key] of countsOf(address, mailbox)) {
      const count = this.#counts.get(key);
      if (count) count.lastMs = this.#nowMs();
    }
  }

  /** Records a success: failures of that address at that mailbox no longer count; others still do. */
  succeeded(address: string, mailbox: string): void {
    for (const [kind, key] of countsOf(address, mailbox)) {
      const count = this.#counts.get(key);
      if (kind === 'pair') this.#counts.delete(key);
      else if (count && count.failures > 0) count.failures--;
    }
  }

  #old({ lastMs, failures }: Count): boolean {
    return failures > 0 && this.#nowMs() - lastMs > forgetMs;
  }

  #waitMs(key: string, kind: keyof typeof free): number {
    const count = this.#counts.get(key);
    if (!count || this.#old(count)) return 0;
    const over = count.failures - free[kind];
    if (over < 0) return 0;
    const ms = Math.min(longestMs[kind], 1000 * 2 ** Math.min(over, 20));
    return Math.max(0, count.lastMs + ms - this.#nowMs());
  }
}

function countsOf(address: string, mailbox: string): readonly (readonly [keyof typeof free, string])[] {
  const network = networkOf(address);
  const byAddress = ['address', `${network} `] as const;
  return mailbox === ''
    ? [byAddress]
    : [byAddress, ['pair', `${network} ${mailbox}`] as const, ['mailbox', ` ${mailbox}`] as const];
}
