// Rate limits of endpoints, per person or key and per address, and how many calls may run at once. Every endpoint has a pace. The
// limiter is GCRA (ITU-T I.371), so a caller cannot use the quota of two minutes around the turn of a minute.

import { networkOf } from '../../domain/address.ts';
import { say } from '../../domain/sentences.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import { Problem } from './problem.ts';

export interface Pace {
  /** Per minute, for one person or key; endpoints with the same pace share it. */
  readonly each: number;
  /** Per minute, from one address, for all its callers together. */
  readonly source: number;
  /** At the same time, for one person or key, and for all together. */
  readonly atOnce?: { readonly each: number; readonly all: number };
}

export const paces = {
  /** Opening a page makes a few of these calls. */
  look: { each: 600, source: 3_000 },
  change: { each: 240, source: 1_200 },
  /** Changes up to a hundred things. */
  bulk: { each: 30, source: 120, atOnce: { each: 1, all: 4 } },
  /** Sums over the ledger. */
  sum: { each: 120, source: 600, atOnce: { each: 6, all: 12 } },
  /** Reads large parts of the ledger. */
  read: { each: 20, source: 60, atOnce: { each: 1, all: 3 } },
  /** Stays open. */
  watch: { each: 60, source: 240, atOnce: { each: 8, all: 64 } },
  /**
   * For everyone; only limited by address. Codes and claims cannot be guessed; calls that cost an email or a hash have further
   * limits.
   */
  door: { each: 120, source: 120 },
} as const satisfies Record<string, Pace>;

export type PaceName = keyof typeof paces;

/**
 * Bytes of public documents and files per minute and address: about 350 first visits to the portal. The operating system buffers a
 * whole answer even for a reader that reads nothing, so such a reader costs as much as any other.
 */
const sharedBytesPerMinute = 128 * 1024 * 1024;

const minuteMs = 60_000;
/** Callers who are remembered; those whose bucket is full again are forgotten first. */
const most = 20_000;

export class Paces {
  readonly #nowMs: () => MonotonicMs;
  /** When each bucket will be full again. */
  readonly #fullAt = new Map<string, number>();
  readonly #running = new Map<string, number>();

  constructor(nowMs: () => MonotonicMs) {
    this.#nowMs = nowMs;
  }

  /**
   * Counts one call from an address, or from an IPv6 network, which has too many addresses. @throws Problem
   * `too_many_requests`.
   */
  fromSource(pace: PaceName, address: string): void {
    this.#take(`${pace} from ${networkOf(address)}`, paces[pace].source);
  }

  /** Counts bytes that are sent to an address. @throws Problem `too_many_requests`. */
  bytesTo(address: string, bytes: number): void {
    this.#take(`bytes to ${networkOf(address)}`, sharedBytesPerMinute, bytes);
  }

  /**
   * Counts one call of a person or key, and takes a place if concurrent calls are limited; returns a function that releases it.
   * @throws Problem `too_many_requests`.
   */
  enter(name: PaceName, who: string): () => void {
    const pace: Pace = paces[name];
    this.#take(`${name} by ${who}`, pace.each);
    if (!pace.atOnce) return () => undefined;
    const [own, all] = [`${name} by ${who}`, name];
    if (this.#count(own) >= pace.atOnce.each || this.#count(all) >= pace.atOnce.all)
      throw new Problem('too_many_requests', { retryAfterSeconds: 1, said: say('runs_too_many', {}) });
    for (const place of [own, all]) this.#running.set(place, this.#count(place) + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      for (const place of [own, all]) {
        const left = this.#count(place) - 1;
        if (left > 0) this.#running.set(place, left);
        else this.#running.delete(place);
      }
    };
  }

  #count(place: string): number {
    return this.#running.get(place) ?? 0;
  }

  #take(who: string, perMinute: number, amount = 1): void {
    const now = this.#nowMs();
    const next = Math.max(this.#fullAt.get(who) ?? 0, now) + (minuteMs * amount) / perMinute;
    const waitMs = next - now - minuteMs;
    if (waitMs > 0) throw new Problem('too_many_requests', { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
    // Moved to the end, so that the first entries are the least recently used.
    this.#fullAt.delete(who);
    this.#fullAt.set(who, next);
    if (this.#fullAt.size > most) this.#forget(now);
  }

  #forget(now: number): void {
    for (const [who, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(who);
    for (const who of this.#fullAt.keys()) {
      if (this.#fullAt.size <= most) return;
      this.#fullAt.delete(who);
    }
  }
}
