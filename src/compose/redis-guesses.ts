// What several gates count together through Redis, so that nobody guesses or replays at each of them anew,
// and a ticket works once.
import { describeCause, type Log } from '../observe/log.ts';
import type { Gates } from '../store/ports/gates.ts';
import type { RedisClient } from '../store/redis/client.ts';
import { RedisFailures } from '../store/redis/failure-budget.ts';
import { RedisSignIns } from '../store/redis/sign-in-throttle.ts';
import { RedisSignatures } from '../store/redis/signatures.ts';
import { RedisTickets } from '../store/redis/tickets.ts';
import type { Adapters } from './adapters.ts';

export function guessesThrough(
  client: RedisClient,
  log: Pick<Log, 'logger'>,
  alive: Pick<Gates, 'alive'>,
): Pick<Adapters, 'failures' | 'signIns' | 'signatures' | 'tickets'> {
  const shared = { client, now: client.now, gates: () => alive.alive.length };
  const failures = { ...shared, onError: tellOnce(log, 'budgets for wrong keys need') };
  const signIns = { ...shared, onError: tellOnce(log, 'the throttle of passwords needs') };
  const signatures = { ...shared, onError: tellOnce(log, 'the check of signatures needs') };
  return {
    failures: (name, perMinute) => new RedisFailures({ ...failures, name, perMinute }),
    signatures: (windowMs) => new RedisSignatures({ ...signatures, windowMs }),
    tickets: () => new RedisTickets({ client, name: 'websocket', now: client.now }),
    signIns: () => new RedisSignIns({ ...signIns, name: 'sign-in' }),
  };
}

/** Tells an operator once that Redis refuses something: each call would report the same. */
function tellOnce({ logger }: Pick<Log, 'logger'>, what: string): (error: unknown) => void {
  let last = '';
  return (error) => {
    const cause = describeCause(error);
    if (cause !== last) logger.error({ cause }, `Redis refuses what ${what}`);
    last = cause;
  };
}
