// Failed identifications by address, so that guessing keys costs the guesser and not the store. It counts failures only:
// a key that is in memory goes on working from an address that is over its budget, since a whole office may share it.
// Bounded: a minute's failures and so many addresses; when those are used up, addresses we do not know are over budget.
import { networkOf } from '../../domain/address.ts';
import type { MonotonicMs } from '../../domain/time.ts';

const windowMs = 60_000;
const maxAddresses = 100_000;

export class AuthThrottle {
  readonly #perMinute: number;
  readonly #nowMs: () => MonotonicMs;
  #failures = new Map<string, number>();
  #endsMs = 0;

  constructor(perMinute: number, nowMs: () => MonotonicMs) {
    this.#perMinute = perMinute;
    this.#nowMs = nowMs;
  }

  /** Seconds until this address may try unknown keys again; 0 where it may now. */
  waitSeconds(address: string): number {
    if (this.#failures.size === 0) return 0;
    const nowMs = this.#roll();
    const failures = this.#failures.get(networkOf(address)) ?? (this.#failures.size < maxAddresses ? 0 : Infinity);
    return failures < this.#perMinute ? 0 : Math.max(1, Math.ceil((this.#endsMs - nowMs) / 1000));
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
