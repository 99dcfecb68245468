// Whose Redis this is. Each gateway renews there the name of its installation and the layout that it writes. One of another installation,
// which would count its calls, turns and guesses in the same places, does not start; one that writes another layout, which would take
// what it finds for forgotten, starts when the last of those that run has ended.
import { setTimeout as sleep } from 'node:timers/promises';
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
  readonly client: Pick<RedisClient, 'run' | 'command' | 'layout'>;
  /** The same for all gateways of one installation, and for no other. */
  readonly name: string;
  /** Called once when a running gateway finds that others use its Redis in another way, and once when that is over. */
  readonly onShared: (isShared: boolean) => void;
  readonly tell: (sentence: string) => void;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** How long Redis belongs to gateways of which the last has ended, and how often a running one renews that. */
  readonly tenure: { readonly lifeMs: number; readonly renewMs: number };
}

const looksPerRenewal = 5;

const ofAnother =
  'Another installation uses this database of Redis. Give each its own in REDIS_URL, such as another number at its end; in a Cluster, a Cluster of its own.';
const inAnotherLayout =
  'Gateways of another version run, which write to Redis in another way. This one starts by itself when the last of them has been stopped.';

/**
 * Claims Redis until it is closed. Waits until the last gateway of another installation must be over, and as long as one runs that writes
 * another layout. @throws StoreUnusable if another installation goes on using Redis; an AbortError when `signal` ends the wait.
 */
export async function claimRedis({
  client,
  name,
  onShared,
  tell,
  signal,
  tenure,
}: InstallationSettings): Promise<() => void> {
  const own = `${name} ${client.layout}`;
  const owner = async (): Promise<string> => (await client.run(claim, [key], [own, tenure.lifeMs])) as string;
  const seen = async (): Promise<string | null> => (await client.command('GET', key)) as string | null;
  /** Claims nothing that was only flushed: running gateways claim it again within the time of these looks, however often that happens. */
  const ownerLater = async (): Promise<string> => {
    for (let looks = 0; looks <= 2 * looksPerRenewal; looks++) {
      await sleep(tenure.renewMs / looksPerRenewal, undefined, { signal });
      const found = await seen();
      if (found !== null) return found;
    }
    return owner();
  };
  const until = performance.now() + tenure.lifeMs + tenure.renewMs;
  let told = '';
  for (let others = await owner(); others !== own; others = await ownerLater()) {
    const sentence = others.split(' ')[0] === name ? inAnotherLayout : ofAnother;
    if (sentence === ofAnother && performance.now() > until) throw new StoreUnusable(sentence);
    if (sentence !== told) tell(`waiting to start: ${sentence}`);
    told = sentence;
  }
  let isShared = false;
  const timer = setInterval(() => {
    owner().then(
      (others) => {
        if (isShared === (others !== own)) return;
        isShared = !isShared;
        onShared(isShared);
      },
      // While Redis cannot be asked, no gateway counts in it.
      () => undefined,
    );
  }, tenure.renewMs).unref();
  return () => clearInterval(timer);
}
