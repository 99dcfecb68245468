// Whose Redis this is. Each gateway renews the name of its installation there, so that one of another installation, which would count
// its calls, turns and guesses in the same places, does not start. A Redis that was flushed belongs to the first that renews.
import { StoreUnusable } from '../unusable.ts';
import type { RedisClient } from './client.ts';
import { script } from './script.ts';

const key = '{gates}:of';

/** Renews the claim of an installation. @returns whose Redis it is. */
const claim = script(`
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
`);

export interface InstallationSettings {
  readonly client: Pick<RedisClient, 'run'>;
  /** The same for all gateways of one installation, and for no other. */
  readonly name: string;
  /** Called once when a running gateway finds that another installation uses its Redis, and once when that is over. */
  readonly onShared: (isShared: boolean) => void;
  readonly tell: (sentence: string) => void;
  /** How long Redis belongs to an installation whose last gateway has ended, and how often a running one renews that. */
  readonly tenure: { readonly lifeMs: number; readonly renewMs: number };
}

const sentence =
  'Another installation uses this database of Redis. Give each its own in REDIS_URL, such as another number at its end; in a Cluster, a Cluster of its own.';

/**
 * Waits until the last gateway of another installation must be over, and then claims Redis until it is closed. @throws StoreUnusable if
 * another installation goes on using it.
 */
export async function claimRedis({ client, name, onShared, tell, tenure }: InstallationSettings): Promise<() => void> {
  const isOurs = async (): Promise<boolean> => (await client.run(claim, [key], [name, tenure.lifeMs])) === name;
  const until = performance.now() + tenure.lifeMs + tenure.renewMs;
  for (let looks = 1; !(await isOurs()); looks++) {
    if (performance.now() > until) throw new StoreUnusable(sentence);
    if (looks === 1) tell(`waiting to start: ${sentence}`);
    await new Promise((resolve) => setTimeout(resolve, tenure.renewMs / 5));
  }
  let isShared = false;
  const timer = setInterval(() => {
    isOurs().then(
      (ours) => {
        if (isShared !== ours) return;
        isShared = !ours;
        onShared(isShared);
      },
      // While Redis cannot be asked, no gateway counts in it.
      () => undefined,
    );
  }, tenure.renewMs).unref();
  return () => clearInterval(timer);
}
