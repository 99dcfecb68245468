// Adds quarters of an hour that are over to the sums over longer blocks, from which reports over months are made; a few at a
// time, so that no call waits for it. After an upgrade it goes through all that the ledger has.
import type { SteadyClock } from '../domain/steady-clock.ts';
import type { UpkeepJob } from './upkeep.ts';

/** Most calls that began in a quarter have ended by then. Rows of others are added as they come, which costs more. */
const settledMs = 3_600_000;
/** Sums of quarters in one go: a few milliseconds of the store. */
const sumsPerGo = 500;
/** Between two goes while there is more, and after the last of them or a failure. */
const pauseMs = 25;
const restMs = 60_000;

export function summing(clock: Pick<SteadyClock, 'wall' | 'steady'>): UpkeepJob {
  return {
    failure: 'usage could not be summed',
    restMs,
    run: async (change) => {
      const before = Math.min(clock.wall(), clock.steady()) - settledMs;
      return (await change((store) => store.sumUsage(before, sumsPerGo))) ? pauseMs : restMs;
    },
  };
}
