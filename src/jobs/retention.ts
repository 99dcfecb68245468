// Removes ledger rows that are older than the retention period, and sums of short steps that no page shows any more; a few at a
// time, so that calls do not wait.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { keptMs, type Step } from '../domain/latency.ts';
import type { SteadyClock } from '../domain/steady-clock.ts';
import type { Store } from '../store/ports/store.ts';

export interface RetentionTools {
  readonly store: Pick<Store, 'pruneUsage' | 'pruneSteps'>;
  readonly clock: SteadyClock;
  readonly retentionMs: number;
  readonly logger: Logger;
}

/** Rows per batch, which take the store a few milliseconds. */
const pruneRows = 500;
/** The pause between two batches, and after the last one or a failure. */
const pauseMs = 100;
const restMs = 10 * 60_000;

export class Retention {
  readonly #tools: RetentionTools;
  #timer: NodeJS.Timeout | undefined;
  #pruning: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(tools: RetentionTools) {
    this.#tools = tools;
    this.#pruneIn(pauseMs);
  }

  /** Resolves when it no longer uses the store. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#pruning;
  }

  #pruneIn(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#pruning = this.#prune();
    }, ms).unref();
  }

  async #prune(): Promise<void> {
    const { store, clock, retentionMs, logger } = this.#tools;
    try {
      // A row is removed only if it is old by both clocks, so that a wrongly set clock cannot empty the ledger.
      const now = Math.min(clock.wall(), clock.steady());
      let removed = await store.pruneUsage(now - retentionMs, pruneRows);
      for (const [step, ms] of Object.entries(keptMs) as [Step, number][]) {
        // Calls come in between.
        await nextTurn();
        // These sums are needed to find rows.
        const kept = step === 'quarterHour' ? Math.max(ms, retentionMs) : ms;
        removed = Math.max(removed, await store.pruneSteps(step, now - kept, pruneRows));
      }
      this.#pruneIn(removed < pruneRows ? restMs : pauseMs);
    } catch (error) {
      logger.error({ cause: error instanceof Error ? error.message : String(error) }, 'old rows could not be removed');
      this.#pruneIn(restMs);
    }
  }
}
