// Removes expired sessions, second steps and one-time links, and pulls that ended a week ago.
import type { WallMs } from '../domain/time.ts';
import type { UpkeepJob } from './upkeep.ts';

const everyMs = 3_600_000;
const pullsKeptMs = 7 * 86_400_000;

export const sessionCleanup = (now: () => WallMs): UpkeepJob => ({
  failure: 'sessions that have ended could not be removed',
  restMs: everyMs,
  run: async (change) => {
    await change((store) => store.tidyPeople(now()));
    await change((store) => store.forgetPulls(now() - pullsKeptMs));
    return everyMs;
  },
});
