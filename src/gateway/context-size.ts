// Chooses the context that a model runs with. Ollama reloads a model, for all its users, on every call with another
// `num_ctx` (server/sched.go needsReload). So a caller whose plan strips reload options gets the context that the model
// is loaded with; only if it is not loaded does the call decide, in a few steps. Other callers get what they ask for, unless the
// model is loaded with as much or more: that serves them as well, and nobody waits for a reload. Takes the requested context
// and the plan's bound; returns the one to send. Loads nothing itself.

/** Not below Ollama's default: the first caller must not impose a small context on later ones. */
const leastStep = 4096;
const mostStep = 2 ** 30;
/** How long a context that was sent counts as loaded before a server confirms it. */
const expectedMs = 60_000;
const mostExpected = 1000;

interface Expected {
  readonly tokens: number;
  until: number;
}

export class ContextSizes {
  readonly #loaded: (model: string) => number | undefined;
  readonly #nowMs: () => number;
  /** The contexts sent recently, by model. */
  readonly #expected = new Map<string, Expected>();

  /** For one server. `loaded` returns the context the model is loaded with, if reported; `nowMs` is monotonic. */
  constructor(loaded: (model: string) => number | undefined, nowMs: () => number) {
    this.#loaded = loaded;
    this.#nowMs = nowMs;
  }

  /** The `num_ctx` to send for a caller who may have the model reloaded. `most` null is no bound. */
  within(model: string, asked: number, most: number | null): number {
    const bounded = Math.min(asked, most ?? Infinity);
    const loaded = this.#loaded(model);
    const serves = loaded !== undefined && bounded > 0 && loaded >= bounded && (most === null || loaded <= most);
    return serves ? loaded : bounded;
  }

  /** The `num_ctx` to send for others; undefined to remove it. `most` null is no bound. */
  settle(model: string, asked: number, most: number | null): number | undefined {
    const now = this.#nowMs();
    const loaded = this.#loaded(model);
    const expected = this.#expected.get(model);
    const current = loaded ?? (expected && now < expected.until ? expected.tokens : undefined);
    if (current !== undefined) {
      if (loaded === undefined && expected) expected.until = now + expectedMs;
      // Beyond the plan: the model's default, as for calls without `num_ctx`.
      return most !== null && current > most ? undefined : current;
    }
    const tokens = Math.min(stepOf(asked), most ?? mostStep);
    if (this.#expected.size >= mostExpected) this.#expected.delete(this.#expected.keys().next().value as string);
    this.#expected.set(model, { tokens, until: now + expectedMs });
    return tokens;
  }
}

/** The next power of two. */
function stepOf(asked: number): number {
  return asked <= leastStep ? leastStep : 2 ** Math.ceil(Math.log2(Math.min(asked, mostStep)));
}
