// Tells other gates that this one has changed the store, so that they look at once. A hint can be lost; the regular look, which
// comes several times a second, finds the change without it.
import type { ChangeFeed } from '../ports/change-feed.ts';
import type { RedisClient } from './client.ts';

const channel = 'changes';

/** `gate`: names this process among all gates, so that it does not follow its own hints. */
export function shareChanges(
  client: RedisClient,
  changes: Pick<ChangeFeed, 'look' | 'onAnnounce'>,
  gate: string,
): void {
  client.subscribe(channel, (from) => {
    if (from !== gate) void changes.look();
  });
  changes.onAnnounce = () => void client.publish(channel, gate).catch(() => undefined);
}
