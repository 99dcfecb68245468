// The two clocks that give Unix milliseconds. The wall clock is read on every call: dates follow it, also when it is
// corrected. The steady clock reads the wall clock once, at the start, and then counts elapsed time, including sleep of
// the machine: the windows of limits and rules use it, so setting the wall clock neither resets nor closes one. When
// the two diverge, the gateway logs it; a restart aligns them.
import type { Clocks, SteadyMs, WallMs } from './time.ts';

export interface TimeSources {
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  /** Milliseconds that never decrease and do not count sleep. */
  readonly monotonicMs: () => number;
  /** Milliseconds since the machine started, including sleep. */
  readonly uptimeMs: () => number;
}

/** Both clocks are read in turn to detect sleep, and one has a resolution of hundredths of a second. */
const noticeableSleepMs = 2_000;
const noticeableJumpMs = 60_000;

export class SteadyClock implements Clocks {
  readonly #sources: TimeSources;
  #offsetMs: number;
  #awakeToUptimeMs: number;
  #reportedJumpMs = 0;

  constructor(sources: TimeSources) {
    this.#sources = sources;
    const monotonic = sources.monotonicMs();
    this.#offsetMs = sources.wallMs() - monotonic;
    this.#awakeToUptimeMs = sources.uptimeMs() - monotonic;
  }

  /** Begins again at the wall clock. Only before anything has counted by this clock. */
  align(): void {
    const monotonic = this.#sources.monotonicMs();
    this.#offsetMs = this.#sources.wallMs() - monotonic;
    this.#awakeToUptimeMs = this.#sources.uptimeMs() - monotonic;
  }

  readonly wall = (): WallMs => this.#sources.wallMs();

  /** Whole milliseconds. */
  readonly steady = (): SteadyMs => Math.floor(this.#offsetMs + this.#sources.monotonicMs());

  readonly toSteady = (at: WallMs): SteadyMs => at - this.#jumpMs();

  readonly toWall = (at: SteadyMs): WallMs => at + this.#jumpMs();

  get wasSet(): boolean {
    return this.#jumpMs() !== 0;
  }

  /**
   * Call this periodically. Adds time spent asleep, and returns how far the wall clock has moved if that should be
   * reported: once per jump.
   */
  look(): number | undefined {
    this.#addSleep();
    const jumpMs = this.#sources.wallMs() - this.steady();
    if (Math.abs(jumpMs - this.#reportedJumpMs) < noticeableJumpMs) return undefined;
    this.#reportedJumpMs = jumpMs;
    return jumpMs;
  }

  /** 0 for ordinary drift, so that minutes of both clocks coincide. */
  #jumpMs(): number {
    if (Math.abs(this.#sources.wallMs() - this.steady()) < noticeableJumpMs) return 0;
    this.#addSleep();
    const jumpMs = Math.round(this.#sources.wallMs() - this.steady());
    return Math.abs(jumpMs) < noticeableJumpMs ? 0 : jumpMs;
  }

  #addSleep(): void {
    const sleptMs = this.#sources.uptimeMs() - this.#sources.monotonicMs() - this.#awakeToUptimeMs;
    if (sleptMs <= noticeableSleepMs) return;
    this.#offsetMs += sleptMs;
    this.#awakeToUptimeMs += sleptMs;
  }
}
