// How long a server took to load each of its models, as the gateway has seen it.

interface Seen {
  /** Recent loads count more. */
  usualMs: number;
  longestMs: number;
}

const share = 0.3;
const mostModels = 1_000;
/** A load may take this many times as long as the longest one, and at least so long. */
const patience = 3;
const leastBoundMs = 60_000;

export class LoadTimes {
  readonly #seen = new Map<string, Seen>();
  #longestMs = 0;

  note(model: string, ms: number): void {
    this.#longestMs = Math.max(this.#longestMs, ms);
    const seen = this.#seen.get(model);
    if (seen) {
      seen.usualMs += share * (ms - seen.usualMs);
      seen.longestMs = Math.max(seen.longestMs, ms);
    } else if (this.#seen.size < mostModels) this.#seen.set(model, { usualMs: ms, longestMs: ms });
  }

  /** Undefined as long as it has not loaded the model. */
  usualMs(model: string): number | undefined {
    return this.#seen.get(model)?.usualMs;
  }

  /** How long to wait for a load. */
  boundMs(model: string, mostMs: number): number {
    const longest = this.#seen.get(model)?.longestMs ?? this.#longestMs;
    return longest === 0 ? mostMs : Math.min(mostMs, Math.max(leastBoundMs, patience * longest));
  }
}
