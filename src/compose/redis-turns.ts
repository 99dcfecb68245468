// The queues that several gates share through Redis.
import { describeCause, type Log } from '../observe/log.ts';
import type { RedisClient } from '../store/redis/client.ts';
import { RedisTurnQueue } from '../store/redis/turn-queue.ts';
import type { Adapters } from './adapters.ts';

/** `closes` takes what is to be closed before the client. */
export function turnsThrough(
  client: RedisClient,
  { logger }: Pick<Log, 'logger'>,
  closes: (close: () => unknown) => void,
): Adapters['queue'] {
  return (settings, lanes) => {
    let last = '';
    const queue = new RedisTurnQueue(settings, {
      client,
      lanes,
      onError: (error) => {
        const cause = describeCause(error);
        // Each call would report the same.
        if (cause !== last) logger.error({ cause }, 'Redis refuses what the queue of calls needs');
        last = cause;
      },
    });
    closes(() => queue.close());
    return queue;
  };
}
