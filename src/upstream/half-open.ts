// How many calls a server may have at once while it comes back: one, then twice as many each time that all of a round went
// well, until it may have any number. It decides only between servers: an only server gets all calls.

/** Once so many calls have gone well at once, there is no bound any more. */
const fullAt = 16;

export class HalfOpen {
  /** Infinity: any number. */
  #most = Infinity;
  /** Identifies the round of holds since the last `begin`; 0 is the hold of a call that is not counted. */
  #epoch = 0;
  #held = 0;
  #went = 0;

  /** The server comes back: it may have one call. */
  begin(): void {
    this.#epoch++;
    this.#most = 1;
    this.#held = this.#went = 0;
  }

  /** It is not coming back: it is away, or it may have any number of calls. */
  end(): void {
    this.#most = Infinity;
  }

  get isOpen(): boolean {
    return this.#most === Infinity;
  }

  get most(): number {
    return this.#most;
  }

  /** It may have one more call. */
  get hasRoom(): boolean {
    return this.#held < this.#most || this.isOpen;
  }

  /** Counts a call; give the result to `giveBack` when the call is over. */
  take(): number {
    if (this.isOpen) return 0;
    this.#held++;
    return this.#epoch;
  }

  giveBack(hold: number): void {
    if (hold !== 0 && hold === this.#epoch) this.#held--;
  }

  /** A call went well. True if the server may have any number from now on. */
  wentWell(): boolean {
    if (this.isOpen || ++this.#went < this.#most) return false;
    this.#went = 0;
    this.#most *= 2;
    if (this.#most < fullAt) return false;
    this.#most = Infinity;
    return true;
  }
}
