// The counters of one subject of limits: a figure for each measure in each window, of ended and reserved use together, and the
// number of running calls. Resets a window when a new one begins. Decides nothing.
import { type Calendar, windowNames } from '../../domain/calendar.ts';
import { measureNames, measures, type Use } from '../../domain/limit.ts';
import type { SteadyMs } from '../../domain/time.ts';

const windowCount = windowNames.length;
const measureCount = measureNames.length;
const amountsOf = measureNames.map((name) => measures[name].of);
/** Every window begins with a minute, in every time zone, so no window changes while the minute stays the same. */
const minuteAt = windowNames.indexOf('minute');

export class UsageCounters {
  /** Calls that wait for their turn at a model or are being answered. */
  running = 0;
  /** By window. */
  readonly #startsAt = new Float64Array(windowCount).fill(-1);
  readonly #endsAt = new Float64Array(windowCount).fill(-1);
  /** By window, and within each window by measure. */
  readonly #figures = new Float64Array(windowCount * measureCount);

  roll(calendar: Calendar, now: SteadyMs): void {
    if (now >= (this.#startsAt[minuteAt] as number) && now < (this.#endsAt[minuteAt] as number)) return;
    for (let at = 0; at < windowCount; at++) {
      const { startsAt, endsAt } = calendar[windowNames[at] as (typeof windowNames)[number]](now);
      if (this.#startsAt[at] === startsAt) continue;
      this.#startsAt[at] = startsAt;
      this.#endsAt[at] = endsAt;
      this.#figures.fill(0, at * measureCount, (at + 1) * measureCount);
    }
  }

  /** Adds to the windows that contain `at`; windows that have passed since keep nothing. */
  add(at: SteadyMs, measureAt: number, amount: number): void {
    for (let window = 0; window < windowCount; window++) {
      if (at < (this.#startsAt[window] as number) || at >= (this.#endsAt[window] as number)) continue;
      const place = window * measureCount + measureAt;
      this.#figures[place] = (this.#figures[place] as number) + amount;
    }
  }

  used(windowAt: number, measureAt: number): number {
    return this.#figures[windowAt * measureCount + measureAt] as number;
  }

  endsAt(windowAt: number): SteadyMs {
    return this.#endsAt[windowAt] as number;
  }
}

/** Replaces `before` by `use` in the counters of several subjects; undefined is no use. */
export function count(
  subjects: readonly UsageCounters[],
  at: SteadyMs,
  use: Use | undefined,
  before: Use | undefined,
): void {
  for (let measure = 0; measure < measureCount; measure++) {
    const amountOf = amountsOf[measure] as (typeof amountsOf)[number];
    const amount = (use ? amountOf(use) : 0) - (before ? amountOf(before) : 0);
    if (amount !== 0) for (const counters of subjects) counters.add(at, measure, amount);
  }
}
