// The time that limits, suspensions and the ledger go by: Unix milliseconds that a jump of the wall clock cannot move.
// It takes the wall clock once, at the start, and then counts the time that really passed, the time that the machine
// slept included. A wall clock that was wrong at the start and is put right later is taken over by a restart; until then
// the gate says so in its log.

export interface TimeSources {
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  /** Milliseconds that never go back and do not count sleep. */
  readonly monotonicMs: () => number;
  /** Milliseconds since the machine started, sleep counted. */
  readonly uptimeMs: () => number;
}

/** The two clocks of sleep are read one after the other, and one has hundredths of a second. */
const noticeableSleepMs = 2_000;
const noticeableJumpMs = 60_000;

export class SteadyClock {
  readonly #sources: TimeSources;
  #offsetMs: number;
  #awakeToUptimeMs: number;
  #toldJumpMs = 0;

  constructor(sources: TimeSources) {
    this.#sources = sources;
    const monotonic = sources.monotonicMs();
    this.#offsetMs = sources.wallMs() - monotonic;
    this.#awakeToUptimeMs = sources.uptimeMs() - monotonic;
  }

  /** Unix milliseconds, whole. */
  readonly now = (): number => Math.floor(this.#offsetMs + this.#sources.monotonicMs());

  /**
   * To be called every so often: adds time that was slept, and gives how far the wall clock has moved away where that
   * is worth saying, once for each jump.
   */
  look(): number | undefined {
    const monotonic = this.#sources.monotonicMs();
    const sleptMs = this.#sources.uptimeMs() - monotonic - this.#awakeToUptimeMs;
    if (sleptMs > noticeableSleepMs) {
      this.#offsetMs += sleptMs;
      this.#awakeToUptimeMs += sleptMs;
    }
    const jumpMs = this.#sources.wallMs() - this.now();
    if (Math.abs(jumpMs - this.#toldJumpMs) < noticeableJumpMs) return undefined;
    this.#toldJumpMs = jumpMs;
    return jumpMs;
  }
}
