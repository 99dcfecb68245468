// Counts failed authentications by address, so that guessing keys is slow for the guesser and costs the store nothing.
// Only failures count: a cached key keeps working from an address over its budget, since a whole office may share the
// address. Bounded to one minute and a number of addresses; beyond it, unknown addresses are over budget.
import { networkOf } from '../../domain/address.ts';
import type { MonotonicMs } from '../../domain/time.ts';

const windowMs = 60_000;
const maxAddresses = 100_000;

export class AuthThrottle {
  readonly #perMinute: () => number;
  readonly #nowMs: () => MonotonicMs;
  #failures = new Map<string, number>();
  #endsMs = 0;

  /** `perMinute`: as it is now; it may change. */
  constructor(perMinute: () => number, nowMs: () => MonotonicMs) {
    this.#perMinute = perMinute;
    this.#nowMs = nowMs;
  }

  /** Seconds until this address may try unknown keys again; 0 if it may now. */
  waitSeconds(address: string): number {
    if (this.#failures.size === 0) return 0;
    const nowMs = this.#roll();
    const failures = this.#failures.get(networkOf(address)) ?? (this.#failures.size < maxAddresses ? 0 : Infinity);
    return failures < this.#perMinute() ? 0 : Math.max(1, Math.ceil((this.#endsMs - nowMs) / 1000));
  }

  note(address: string): void {
    this.#roll();
    const network = networkOf(address);
    const failures = this.#failures.get(network);
    if (failures !== undefined || this.#failures.size < maxAddresses) this.#failures.set(network, (failures ?? 0) + 1);
  }

  #roll(): number {
    const nowMs = this.#nowMs();
    if (nowMs >= this.#endsMs) {
      if (this.#failures.size > 0) this.#failures = new Map();
      this.#endsMs = nowMs + windowMs;
    }
    return nowMs;
  }
}
