// Remembers used signatures for all gates: a use is decided and counted by one script. While Redis is away, a signature may have been
// used at another gate, so it is refused, unless this is the only gate. Loaded only if REDIS_URL is set.
import { digestOf } from '../../domain/api-key.ts';
import type { Soon } from '../../domain/soon.ts';
import { MemorySignatures } from '../memory/signatures.ts';
import {
  burstMs,
  maxOfOneKey,
  maxUses,
  type SignatureStore,
  type SignatureUse,
  type UseVerdict,
} from '../ports/signatures.ts';
import type { RedisClient } from './client.ts';
import { RedisAway } from './failures.ts';
import { script } from './script.ts';

export interface RedisSignatureSettings {
  readonly client: RedisClient;
  /** How long a signature's time is accepted in total. */
  readonly windowMs: number;
  /** The time of Redis. */
  readonly now: () => number;
  /** How many gates are alive. */
  readonly gates: () => number;
  /** Told of answers that say more than that Redis is away. */
  readonly onError: (error: unknown) => void;
}

/**
 * KEYS: the uses of one key's signatures, and their order by the first use. Time, window, burst, uses, signatures of a key, then
 * signature, address and body. A use is kept as its address, time, number and bodies.
 */
const use = script(`
local now, signature, address, body = tonumber(ARGV[1]), ARGV[6], ARGV[7], ARGV[8]
local over = string.format('(%.0f', now - ARGV[2])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', over)) do redis.call('HDEL', KEYS[1], old) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', over)
local text, seen = redis.call('HGET', KEYS[1], signature), nil
if text then
  seen = cmsgpack.unpack(text)
  for _, each in ipairs(seen[4]) do
    if each == body then return 'replay' end
  end
  if seen[1] ~= address or now - seen[2] > tonumber(ARGV[3]) or seen[3] >= tonumber(ARGV[4]) then return 'replay' end
else
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return 'key_full' end
  seen = {address, now, 0, {}}
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), signature)
end
seen[3] = seen[3] + 1
if body ~= '' then seen[4][#seen[4] + 1] = body end
redis.call('HSET', KEYS[1], signature, cmsgpack.pack(seen))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 'good'
`);

export class RedisSignatures implements SignatureStore {
  readonly #settings: RedisSignatureSettings;
  /** What was used here, also before Redis went away or was flushed. */
  readonly #here: MemorySignatures;

  constructor(settings: RedisSignatureSettings) {
    this.#settings = settings;
    this.#here = new MemorySignatures(settings.windowMs, settings.now);
  }

  use(asked: SignatureUse): Soon<UseVerdict> {
    const here = this.#here.use(asked);
    return here === 'good' ? this.#ask(asked) : here;
  }

  async #ask({ signature, key, address, body }: SignatureUse): Promise<UseVerdict> {
    const { client, windowMs, now, gates, onError } = this.#settings;
    const keys = [`{signed:${key}}:uses`, `{signed:${key}}:order`];
    const figures = [Math.floor(now()), windowMs, burstMs, maxUses, maxOfOneKey];
    try {
      return (await client.run(use, keys, [...figures, digestOf(signature), address, body])) as UseVerdict;
    } catch (error) {
      if (!(error instanceof RedisAway)) onError(error);
      return gates() <= 1 ? 'good' : 'unknown';
    }
  }
}
