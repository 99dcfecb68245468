// Removes ledger rows that are older than the retention period, and sums of short steps that no page shows any more; a few at a
// time, so that calls do not wait.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { keptMs, type Step } from '../domain/latency.ts';
import type { SteadyClock } from '../domain/steady-clock.ts';
import type { UpkeepJob } from './upkeep.ts';

/** Rows per batch, which take the store a few milliseconds. */
const pruneRows = 500;
/** The pause between two batches, and after the last one or a failure. */
const pauseMs = 100;
const restMs = 10 * 60_000;

export function retention(clock: Pick<SteadyClock, 'wall' | 'steady'>, retentionMs: number): UpkeepJob {
  return {
    failure: 'old rows could not be removed',
    restMs,
    run: async (change) => {
      // A row is removed only if it is old by both clocks, so that a wrongly set clock cannot empty the ledger.
      const now = Math.min(clock.wall(), clock.steady());
      let removed = await change((store) => store.pruneUsage(now - retentionMs, pruneRows));
      for (const [step, ms] of Object.entries(keptMs) as [Step, number][]) {
        // Calls come in between.
        await nextTurn();
        // These sums are needed to find rows.
        const kept = step === 'quarterHour' ? Math.max(ms, retentionMs) : ms;
        removed = Math.max(removed, await change((store) => store.pruneSteps(step, now - kept, pruneRows)));
      }
      return removed < pruneRows ? restMs : pauseMs;
    },
  };
}
