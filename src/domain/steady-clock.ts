// The two clocks that give Unix milliseconds. The wall clock is asked anew each time: what has a date follows it, also when
// it was wrong at the start and is put right. The steady clock takes the wall clock once, at the start, and then counts the
// time that really passed, sleep of the machine included: the windows of limits and rules go by it, and no jump of the wall
// clock refills or closes one. Where the two have parted, the gate says so in its log; a restart brings them together.
import type { Clocks, SteadyMs, WallMs } from './time.ts';

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

export class SteadyClock implements Clocks {
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

  readonly wall = (): WallMs => this.#sources.wallMs();

  /** Whole milliseconds. */
  readonly steady = (): SteadyMs => Math.floor(this.#offsetMs + this.#sources.monotonicMs());

  readonly toSteady = (at: WallMs): SteadyMs => at - this.#jumpMs();

  readonly toWall = (at: SteadyMs): WallMs => at + this.#jumpMs();

  get wasSet(): boolean {
    return this.#jumpMs() !== 0;
  }

  /**
   * To be called every so often: adds time that was slept, and gives how far the wall clock has moved away where that
   * is worth saying, once for each jump.
   */
  look(): number | undefined {
    this.#addSleep();
    const jumpMs = this.#sources.wallMs() - this.steady();
    if (Math.abs(jumpMs - this.#toldJumpMs) < noticeableJumpMs) return undefined;
    this.#toldJumpMs = jumpMs;
    return jumpMs;
  }

  /** 0 for what clocks do in ordinary life: minutes of the one are then minutes of the other. */
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
