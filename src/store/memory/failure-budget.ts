// Counts failures by address in the memory of this process, so that guessing keys is slow for the guesser and costs the store
// nothing. Bounded to one minute and a number of addresses; beyond it, unknown addresses are over budget.
import { networkOf } from '../../domain/address.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { FailureBudget } from '../ports/failure-budget.ts';

const windowMs = 60_000;
const maxAddresses = 100_000;

export class MemoryFailures implements FailureBudget {
  readonly #perMinute: () => number;
  readonly #nowMs: () => MonotonicMs;
  #failures = new Map<string, number>();
  #endsMs = 0;

  /** `perMinute`: as it is now; it may change. */
  constructor(perMinute: () => number, nowMs: () => MonotonicMs) {
    this.#perMinute = perMinute;
    this.#nowMs = nowMs;
  }

  waitSeconds(address: string): number {
    if (this.#failures.size === 0) return 0;
    const nowMs = this.#roll();
    return this.#wait(this.#failures.get(networkOf(address)), nowMs);
  }

  note(address: string): number {
    const nowMs = this.#roll();
    const network = networkOf(address);
    const failures = this.#failures.get(network);
    const wait = this.#wait(failures, nowMs);
    if (failures !== undefined || this.#failures.size < maxAddresses) this.#failures.set(network, (failures ?? 0) + 1);
    return wait;
  }

  #wait(counted: number | undefined, nowMs: number): number {
    const failures = counted ?? (this.#failures.size < maxAddresses ? 0 : Infinity);
    return failures < this.#perMinute() ? 0 : Math.max(1, Math.ceil((this.#endsMs - nowMs) / 1000));
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
