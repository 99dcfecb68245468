// How often a row may be asked, by one person or key and from one source, and how many may run at once. Every row names its
// pace. A bucket that fills evenly (GCRA, ITU-T I.371), so that a caller cannot use two minutes' worth around the turn of a minute.

import { networkOf } from '../../domain/address.ts';
import { say } from '../../domain/sentences.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import { Problem } from './problem.ts';

export interface Pace {
  /** In a minute, by one person or key; rows of one pace share it. */
  readonly each: number;
  /** In a minute, from one address, by all its callers together. */
  readonly source: number;
  /** At the same time, by one person or key and by all together. */
  readonly atOnce?: { readonly each: number; readonly all: number };
}

export const paces = {
  /** A page that opens asks a few of these. */
  look: { each: 600, source: 3_000 },
  change: { each: 240, source: 1_200 },
  /** Sums over the ledger. */
  sum: { each: 120, source: 600, atOnce: { each: 6, all: 12 } },
  /** Reads much of the ledger, or all of it. */
  read: { each: 20, source: 60, atOnce: { each: 1, all: 3 } },
  /** Stays open. */
  watch: { each: 60, source: 240, atOnce: { each: 8, all: 64 } },
  /** Anybody may ask: by address alone. Codes and claims cannot be guessed; the ones that cost an email or a hash are counted again. */
  door: { each: 120, source: 120 },
} as const satisfies Record<string, Pace>;

export type PaceName = keyof typeof paces;

/**
 * What one source may be sent of documents and files that anybody may read, in a minute: some 350 first visits to the portal.
 * The system takes a whole answer for a reader that takes nothing, so that the bytes cost their sender the same.
 */
const sharedBytesPerMinute = 128 * 1024 * 1024;

const minuteMs = 60_000;
/** Callers who are remembered; those who may ask again at full pace are forgotten first. */
const most = 20_000;

export class Paces {
  readonly #nowMs: () => MonotonicMs;
  /** When each would be back at a full pace. */
  readonly #fullAt = new Map<string, number>();
  readonly #running = new Map<string, number>();

  constructor(nowMs: () => MonotonicMs) {
    this.#nowMs = nowMs;
  }

  /** Counts one call from an address; one IPv6 network has more addresses than anybody could count. @throws Problem `too_many_requests`. */
  fromSource(pace: PaceName, address: string): void {
    this.#take(`${pace} from ${networkOf(address)}`, paces[pace].source);
  }

  /** Counts bytes that are sent to an address. @throws Problem `too_many_requests`. */
  bytesTo(address: string, bytes: number): void {
    this.#take(`bytes to ${networkOf(address)}`, sharedBytesPerMinute, bytes);
  }

  /**
   * Counts one call of a person or key, and takes a place where those are bounded; gives the way to give it back.
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
    // Set anew at the end, so that the first are those who asked the longest ago.
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
