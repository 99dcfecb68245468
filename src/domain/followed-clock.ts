// The time of another machine: that of the database, whose clock the dates of all its gateways follow. It is this machine's own time
// until the first reading, and as long as the two clocks agree.
import type { WallMs } from './time.ts';

/** A smaller difference is left alone, so that the time does not jump with each reading. */
const noticeableMs = 1_000;

export class FollowedClock {
  readonly #own: () => WallMs;
  #aheadMs = 0;

  constructor(own: () => WallMs) {
    this.#own = own;
  }

  readonly now = (): WallMs => this.#own() + this.#aheadMs;

  /** How much more the other clock shows than this machine's; 0 if they agree. */
  get aheadMs(): number {
    return this.#aheadMs;
  }

  /**
   * `theirs`: what the other clock showed at some moment between these two of this machine's. True if the time of this clock
   * changes by it. A difference counts only if it is larger than what is unknown about that moment.
   */
  read(theirs: WallMs, askedAt: WallMs, answeredAt: WallMs): boolean {
    const aheadMs = theirs - (askedAt + answeredAt) / 2;
    const leastMs = noticeableMs + Math.abs(answeredAt - askedAt) / 2;
    if (Math.abs(aheadMs - this.#aheadMs) <= leastMs) return false;
    this.#aheadMs = Math.abs(aheadMs) <= leastMs ? 0 : Math.round(aheadMs);
    return true;
  }
}
