// Whether a model server answers. It is probed every few seconds, soon after a call broke there, and more often while it is
// down; each change is reported once. Calls still try a server that is down, since it may have returned after the last probe.

/** What came of a probe, and in words why. A server that is loading answers, but not yet calls. */
export interface Probed {
  readonly state: 'up' | 'loading' | 'down';
  readonly reason: string;
}

export interface HealthTools {
  /** Probes once. Never rejects. */
  readonly probe: () => Promise<Probed>;
  /** Runs after each probe of a server that is up, before `watch` resolves. Never rejects. */
  readonly afterwards: () => Promise<void>;
  readonly intervalMs: number;
  readonly onTurn: (state: Probed['state'], reason: string) => void;
}

/** A server that broke a call off gets a moment to recover before it is probed. */
const doubtMs = 100;
/** The longest pause between probes of a server that is down. */
const awayMs = 1_000;

/** What a look and the calls since then have shown. */
export type HealthState = 'unknown' | 'up' | 'doubtful' | 'loading' | 'down';

export class Health {
  #probed: Probed['state'] | undefined;
  /** A call has just broken there. Waiting calls are not sent to it until it has been probed again. */
  doubtful = false;
  /** How long the last probe took. */
  lookMs = 0;
  /** Why it does not answer; undefined while it does. */
  reason: string | undefined;
  /** Since when its state is what it is, by `performance.now()`. */
  sinceMs = performance.now();
  readonly #tools: HealthTools;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(tools: HealthTools) {
    this.#tools = tools;
  }

  /** Probes once, and from then on regularly. Resolves after the first probe. */
  async watch(): Promise<void> {
    const { probe, afterwards, intervalMs, onTurn } = this.#tools;
    const from = performance.now();
    const { state, reason } = await probe();
    this.lookMs = performance.now() - from;
    if (this.#stopped) return;
    const up = state === 'up';
    const before = this.state;
    this.doubtful = false;
    this.reason = up ? undefined : reason;
    if (this.#probed !== state) {
      this.#probed = state;
      onTurn(state, reason);
    }
    if (this.state !== before) this.sinceMs = performance.now();
    // A server that is down or loading is probed more often, so that its return is noticed soon.
    this.#lookIn(up ? intervalMs : Math.min(awayMs, intervalMs));
    if (up) await afterwards();
  }

  /** Undefined before the first probe. */
  get up(): boolean | undefined {
    return this.#probed === undefined ? undefined : this.#probed === 'up';
  }

  get state(): HealthState {
    if (this.#probed === undefined) return 'unknown';
    return this.#probed === 'up' && this.doubtful ? 'doubtful' : this.#probed;
  }

  /** Call when the connection failed, or broke before an answer began. */
  doubt(): void {
    if (this.doubtful) return;
    this.doubtful = true;
    if (this.up === true) this.sinceMs = performance.now();
    if (!this.#stopped) this.#lookIn(doubtMs);
  }

  /** Stops probing. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.watch(), ms).unref();
  }
}
