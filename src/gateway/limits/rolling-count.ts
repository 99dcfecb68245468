// Counts over a rolling window: a ring of equal time slices. Amounts older than the window by less than one slice may
// still be counted; younger ones are never dropped.

const slices = 30;

export class RollingCount {
  readonly #sliceMs: number;
  readonly #counts = new Float64Array(slices + 1);
  #newest = -Infinity;
  #total = 0;

  constructor(windowMs: number) {
    this.#sliceMs = windowMs / slices;
  }

  /** Adds at a time (milliseconds), which may be in the past; amounts before the window are ignored. */
  add(atMs: number, amount: number): void {
    const slice = Math.floor(atMs / this.#sliceMs);
    this.#advance(slice);
    if (slice <= this.#newest - this.#counts.length) return;
    const place = slice % this.#counts.length;
    this.#counts[place] = (this.#counts[place] as number) + amount;
    this.#total += amount;
  }

  total(atMs: number): number {
    this.#advance(Math.floor(atMs / this.#sliceMs));
    return this.#total;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  #advance(slice: number): void {
    if (slice <= this.#newest) return;
    const first = Math.max(this.#newest + 1, slice - this.#counts.length + 1);
    for (let each = first; each <= slice; each++) {
      const place = each % this.#counts.length;
      this.#total -= this.#counts[place] as number;
      this.#counts[place] = 0;
    }
    this.#newest = slice;
  }
}
