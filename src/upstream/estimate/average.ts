// A moving average of a figure that a model server reports. A server may lie or have a bad moment: a figure outside the
// plausible range is ignored, and one far from the average counts only as far as a bound.

export interface Plausible {
  readonly least: number;
  readonly most: number;
}

/** The weight of the newest value, once there are enough of them. */
const newest = 0.2;
/** From this many values on, outliers are cut. */
const settled = 4;
/** A value further from the average than this factor is an outlier. */
const outlier = 4;

export class Average {
  value = 0;
  count = 0;
  /** When the last value came. */
  atMs = -Infinity;
  readonly #plausible: Plausible;

  constructor(plausible: Plausible) {
    this.#plausible = plausible;
  }

  note(figure: number, nowMs: number): void {
    // False for NaN too.
    if (!(figure >= this.#plausible.least && figure <= this.#plausible.most)) return;
    const { value, count } = this;
    const cut = count < settled ? figure : Math.min(Math.max(figure, value / outlier), value * outlier);
    this.count++;
    this.value = value + Math.max(newest, 1 / this.count) * (cut - value);
    this.atMs = nowMs;
  }
}
