// What is done now and then beside the calls: raw rows of the ledger that are past their time are removed, a little at a
// time so that no call waits for it, usage that nobody needs is closed, and the clocks are looked at.
import type { Logger } from 'pino';
import type { SteadyClock } from '../domain/steady-clock.ts';
import type { AccountUsages } from '../gateway/limits/account-usages.ts';
import type { Store } from '../store/ports/store.ts';

export interface UpkeepTools {
  readonly store: Pick<Store, 'pruneUsage'>;
  readonly accountUsages: AccountUsages;
  readonly clock: SteadyClock;
  /** Are there rows that the store has not taken yet? */
  readonly isBehind: () => boolean;
  readonly retentionMs: number;
  readonly logger: Logger;
}

/** Rows removed in one go: a few milliseconds of the store. */
const pruneRows = 500;
const pauseMs = 100;
const restMs = 10 * 60_000;
const lookMs = 5_000;

export class Upkeep {
  readonly #tools: UpkeepTools;
  readonly #look: NodeJS.Timeout;
  #prune: NodeJS.Timeout | undefined;
  #pruning: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(tools: UpkeepTools) {
    this.#tools = tools;
    this.#look = setInterval(() => this.#lookAround(), lookMs).unref();
    this.#pruneIn(pauseMs);
  }

  /** Resolves when nothing of it touches the store any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#look);
    clearTimeout(this.#prune);
    await this.#pruning;
  }

  #lookAround(): void {
    const { accountUsages, clock, isBehind, logger } = this.#tools;
    // Usage that is opened again knows what the store knows, and no more.
    if (!isBehind()) accountUsages.sweep();
    const jumpMs = clock.look();
    if (jumpMs !== undefined)
      logger.warn(
        { jumpSeconds: Math.round(jumpMs / 1000) },
        'the clock of this machine was set; what has a date follows it, limits and rules count on in the windows they were in',
      );
  }

  #pruneIn(ms: number): void {
    if (this.#stopped) return;
    this.#prune = setTimeout(() => {
      this.#pruning = this.#pruneOnce();
    }, ms).unref();
  }

  async #pruneOnce(): Promise<void> {
    const { store, clock, retentionMs, logger } = this.#tools;
    try {
      // What is removed is old by both clocks: one that was set wrong a moment ago must not empty the ledger.
      const removed = await store.pruneUsage(Math.min(clock.wall(), clock.steady()) - retentionMs, pruneRows);
      this.#pruneIn(removed < pruneRows ? restMs : pauseMs);
    } catch (error) {
      logger.error({ cause: error instanceof Error ? error.message : String(error) }, 'old rows could not be removed');
      this.#pruneIn(restMs);
    }
  }
}
