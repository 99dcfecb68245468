// Periodic work that changes the store, which one gate at a time does: the one that holds a lease. A job gets no store, but a function
// that runs a change while the lease is held, so a gate that was frozen and has lost its lease writes nothing more. When its gate ends or
// is frozen, another one goes on as soon as the lease is over.
import { type HeldLease, LeaseLost } from '../store/ports/leases.ts';
import type { Store } from '../store/ports/store.ts';

/** Runs a decision (see `Store.atomically`) while the lease is held. @throws LeaseLost */
export type Change = <T>(work: (store: Store) => Promise<T>) => Promise<T>;

export interface UpkeepJob {
  /** What failed, for the log. */
  readonly failure: string;
  /** The pause after a failure. */
  readonly restMs: number;
  /** Does a part of the work; resolves to the pause before the next part. */
  readonly run: (change: Change) => Promise<number>;
}

export interface UpkeepTools {
  readonly store: Pick<Store, 'takeLease' | 'renewLease' | 'giveLease' | 'whileHeld'>;
  /** Identifies this gate; the same at its next start. */
  readonly owner: string;
  readonly onError: (what: string, error: unknown) => void;
  /** How long the lease lasts without renewal, and how often it is renewed; the usual ones if they are not given. */
  readonly lives?: { readonly lifeMs: number; readonly renewMs: number } | undefined;
}

const lease = 'upkeep';
const usualLives = { lifeMs: 30_000, renewMs: 10_000 };

export class Upkeep {
  readonly #tools: UpkeepTools;
  readonly #lives: { readonly lifeMs: number; readonly renewMs: number };
  readonly #jobs: readonly UpkeepJob[];
  readonly #timers = new Map<UpkeepJob, NodeJS.Timeout>();
  readonly #running = new Map<UpkeepJob, Promise<void>>();
  #held: HeldLease | undefined;
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(jobs: readonly UpkeepJob[], tools: UpkeepTools) {
    this.#jobs = jobs;
    this.#tools = tools;
    this.#lives = tools.lives ?? usualLives;
    this.#looking = this.#look();
  }

  /** Resolves when none of it touches the store any more, and another gate can go on at once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#looking;
    await Promise.all(this.#running.values());
    if (this.#held) await this.#tools.store.giveLease(this.#held).catch(() => undefined);
  }

  /** Renews the lease, or takes it when nobody has it. */
  async #look(): Promise<void> {
    const { store, owner, onError } = this.#tools;
    try {
      if (this.#held && !(await store.renewLease(this.#held, this.#lives.lifeMs))) this.#held = undefined;
      if (!this.#held) {
        this.#held = await store.takeLease(lease, owner, this.#lives.lifeMs);
        if (this.#held) for (const job of this.#jobs) this.#runIn(job, 0);
      }
    } catch (error) {
      onError('the lease of the periodic work could not be renewed', error);
    }
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look();
    }, this.#lives.renewMs).unref();
  }

  #runIn(job: UpkeepJob, ms: number): void {
    clearTimeout(this.#timers.get(job));
    // A part that is still running decides when the next one is.
    if (this.#stopped || this.#running.has(job)) return;
    this.#timers.set(job, setTimeout(() => this.#begin(job), ms).unref());
  }

  /** Without the lease, nothing: the job begins again when the lease is taken. */
  #begin(job: UpkeepJob): void {
    const held = this.#held;
    if (!held) return;
    const over = this.#run(job, held).then((pauseMs) => {
      this.#running.delete(job);
      if (pauseMs !== undefined) this.#runIn(job, pauseMs);
      else if (this.#held && this.#held !== held) this.#runIn(job, 0);
    });
    this.#running.set(job, over);
  }

  /** @returns the pause before the next part; undefined if the lease is lost. */
  async #run(job: UpkeepJob, held: HeldLease): Promise<number | undefined> {
    const { store, onError } = this.#tools;
    try {
      return await job.run((work) => store.whileHeld(held, work));
    } catch (error) {
      if (!(error instanceof LeaseLost)) {
        onError(job.failure, error);
        return job.restMs;
      }
      // The next look takes the lease again, if nobody has it.
      if (this.#held === held) this.#held = undefined;
      return undefined;
    }
  }
}
