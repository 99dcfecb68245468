// Logs when the clock of the machine is set.
import type { Logger } from 'pino';
import type { SteadyClock } from '../domain/steady-clock.ts';
import { every } from './every.ts';

const lookMs = 5_000;

/** Returns a function that stops it. */
export function watchClock(clock: SteadyClock, logger: Logger): () => void {
  return every(lookMs, () => {
    const jumpMs = clock.look();
    if (jumpMs === undefined) return;
    logger.warn(
      { jumpSeconds: Math.round(jumpMs / 1000) },
      'the clock of this machine was set; what has a date follows it, limits and rules count on in the windows they were in',
    );
  });
}
