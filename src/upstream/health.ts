// Whether a model server answers. It is probed every few seconds, soon after a call broke there, and more often while it is
// away; each turn is told once. A server that was away is still tried, since the probe may be older than its return.

export interface HealthTools {
  /** One look: undefined, or why the server does not answer. Never rejects. */
  readonly probe: () => Promise<string | undefined>;
  /** After a look at a server that answers, and before `watch` resolves. Never rejects. */
  readonly afterwards: () => Promise<void>;
  readonly intervalMs: number;
  readonly onTurn: (up: boolean, reason: string) => void;
}

/** A server that broke off has a moment to come back before it is looked at. */
const doubtMs = 100;
/** The longest pause between looks at a server that is away. */
const awayMs = 1_000;

export class Health {
  /** Undefined before the first look. */
  up: boolean | undefined;
  /** A call has just broken there: nobody who waits for a turn is sent there until it has been looked at again. */
  doubtful = false;
  /** How long its last look took. */
  lookMs = 0;
  readonly #tools: HealthTools;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(tools: HealthTools) {
    this.#tools = tools;
  }

  /** Looks once, and from then on by itself. Resolves after the first look. */
  async watch(): Promise<void> {
    const { probe, afterwards, intervalMs, onTurn } = this.#tools;
    const from = performance.now();
    const reason = await probe();
    this.lookMs = performance.now() - from;
    if (this.#stopped) return;
    const up = reason === undefined;
    this.doubtful = false;
    if (this.up !== up) {
      this.up = up;
      onTurn(up, reason ?? 'it answers');
    }
    // A server that is away is looked for more often, so that its return is seen soon.
    this.#lookIn(up ? intervalMs : Math.min(awayMs, intervalMs));
    if (up) await afterwards();
  }

  /** The connection failed, or broke before an answer began. */
  doubt(): void {
    if (this.doubtful) return;
    this.doubtful = true;
    if (!this.#stopped) this.#lookIn(doubtMs);
  }

  /** There is no further look. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.watch(), ms).unref();
  }
}
