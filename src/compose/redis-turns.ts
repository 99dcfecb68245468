// The queues that several gates share through Redis.
import { describeCause, type Log } from '../observe/log.ts';
import type { RedisClient } from '../store/redis/client.ts';
import { Presence } from '../store/redis/turn-presence.ts';
import { RedisTurnQueue } from '../store/redis/turn-queue.ts';
import type { Adapters } from './adapters.ts';

/** `closes` takes what is to be closed before the client, the last one first. */
export function turnsThrough(
  client: RedisClient,
  { logger }: Pick<Log, 'logger'>,
  closes: (close: () => unknown) => void,
): Adapters['queue'] {
  let last = '';
  const onError = (error: unknown): void => {
    const cause = describeCause(error);
    // Each call would report the same.
    if (cause !== last) logger.error({ cause }, 'Redis refuses what the queue of calls needs');
    last = cause;
  };
  const presence = new Presence(client, 'turns', () => performance.now(), onError);
  closes(() => presence.close());
  return (settings, lanes) => {
    const queue = new RedisTurnQueue(settings, { client, lanes, presence, onError });
    closes(() => queue.close());
    return queue;
  };
}
