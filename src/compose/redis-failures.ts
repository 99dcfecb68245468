// The budgets for wrong keys and for applications that several gates share through Redis.
import { describeCause, type Log } from '../observe/log.ts';
import type { Gates } from '../store/ports/gates.ts';
import type { RedisClient } from '../store/redis/client.ts';
import { RedisFailures } from '../store/redis/failure-budget.ts';
import type { Adapters } from './adapters.ts';

/** Tells an operator once that Redis refuses something: each call would report the same. */
export function tellOnce({ logger }: Pick<Log, 'logger'>, what: string): (error: unknown) => void {
  let last = '';
  return (error) => {
    const cause = describeCause(error);
    if (cause !== last) logger.error({ cause }, `Redis refuses what ${what} need`);
    last = cause;
  };
}

export function failuresThrough(
  client: RedisClient,
  log: Pick<Log, 'logger'>,
  gates: Pick<Gates, 'alive'>,
): Adapters['failures'] {
  const onError = tellOnce(log, 'the budgets for wrong keys');
  return (name, perMinute) =>
    new RedisFailures({ client, name, perMinute, now: client.now, gates: () => gates.alive.length, onError });
}
