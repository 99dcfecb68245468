// Which context a model is run with. Ollama loads a model again for every call with another `num_ctx`, for everybody who
// uses it (server/sched.go needsReload). So a caller whose plan strips reload options gets the context that the model is
// loaded with; only where it is not loaded does the call say, in a few steps. Takes what is asked for and the plan's
// bound; gives what goes on. Loads nothing itself.

/** Not below Ollama's own default: the first caller must not leave a small context to those who follow. */
const leastStep = 4096;
const mostStep = 2 ** 30;
/** How long a context that was sent counts as loaded, where no server has said so yet. */
const expectedMs = 60_000;
const mostExpected = 1000;

interface Expected {
  readonly tokens: number;
  until: number;
}

export class ContextSizes {
  readonly #loaded: (model: string) => number | undefined;
  readonly #nowMs: () => number;
  /** What calls have just been sent with, by model. */
  readonly #expected = new Map<string, Expected>();

  /** Of one server: `loaded` gives the context that it has the model loaded with, if it says so; `nowMs` is monotonic. */
  constructor(loaded: (model: string) => number | undefined, nowMs: () => number) {
    this.#loaded = loaded;
    this.#nowMs = nowMs;
  }

  /** What `num_ctx` becomes; undefined where it is to be taken away. `most` null is no bound. */
  settle(model: string, asked: number, most: number | null): number | undefined {
    const now = this.#nowMs();
    const loaded = this.#loaded(model);
    const expected = this.#expected.get(model);
    const current = loaded ?? (expected && now < expected.until ? expected.tokens : undefined);
    if (current !== undefined) {
      if (loaded === undefined && expected) expected.until = now + expectedMs;
      // Beyond the plan, the model's default, as for every call that says nothing.
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
