// Whether a model server answers. It is probed every few seconds, soon after a call broke there, and more often while it is
// down; each change is reported once. Calls still try a server that is down, since it may have returned after the last probe.

export interface HealthTools {
  /** Probes once: undefined, or why the server does not answer. Never rejects. */
  readonly probe: () => Promise<string | undefined>;
  /** Runs after each probe of a server that is up, before `watch` resolves. Never rejects. */
  readonly afterwards: () => Promise<void>;
  readonly intervalMs: number;
  readonly onTurn: (up: boolean, reason: string) => void;
}

/** A server that broke a call off gets a moment to recover before it is probed. */
const doubtMs = 100;
/** The longest pause between probes of a server that is down. */
const awayMs = 1_000;

/** What a look and the calls since then have shown. */
export type HealthState = 'unknown' | 'up' | 'doubtful' | 'down';

export class Health {
  /** Undefined before the first probe. */
  up: boolean | undefined;
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
    const reason = await probe();
    this.lookMs = performance.now() - from;
    if (this.#stopped) return;
    const up = reason === undefined;
    const before = this.state;
    this.doubtful = false;
    this.reason = reason;
    if (this.up !== up) {
      this.up = up;
      onTurn(up, reason ?? 'it answers');
    }
    if (this.state !== before) this.sinceMs = performance.now();
    // A server that is down is probed more often, so that its return is noticed soon.
    this.#lookIn(up ? intervalMs : Math.min(awayMs, intervalMs));
    if (up) await afterwards();
  }

  get state(): HealthState {
    if (this.up === undefined) return 'unknown';
    if (!this.up) return 'down';
    return this.doubtful ? 'doubtful' : 'up';
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
