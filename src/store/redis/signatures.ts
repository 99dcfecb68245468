// Remembers used signatures for all gates: a use is decided and counted by one script, which is asked again if its answer was lost. While
// Redis is away, a signature may have been used at another gate, so it is refused, unless this is the only gate. Loaded only if
// REDIS_URL is set.
import { randomUUID } from 'node:crypto';
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
 * signature, address, body and a name of this use. Uses are kept as their address, time, number, bodies and names.
 */
const use = script(`
local now, signature, address, body, name = tonumber(ARGV[1]), ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local over = string.format('(%.0f', now - ARGV[2])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', over)) do redis.call('HDEL', KEYS[1], old) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', over)
local text, seen = redis.call('HGET', KEYS[1], signature), nil
if text then
  seen = cmsgpack.unpack(text)
  seen[5] = seen[5] or {}
  for _, each in ipairs(seen[5]) do
    if each == name then return 'good' end
  end
  for _, each in ipairs(seen[4]) do
    if each == body then return 'replay' end
  end
  if seen[1] ~= address or now - seen[2] > tonumber(ARGV[3]) or seen[3] >= tonumber(ARGV[4]) then return 'replay' end
else
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return 'key_full' end
  seen = {address, now, 0, {}, {}}
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), signature)
end
seen[3] = seen[3] + 1
if body ~= '' then seen[4][#seen[4] + 1] = body end
seen[5][#seen[5] + 1] = name
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
    const args = [...figures, digestOf(signature), address, body, randomUUID()];
    const ask = (): Promise<unknown> => client.run(use, keys, args);
    try {
      // A gate that is alone knows by itself.
      return (await (gates() <= 1 ? ask() : client.twice(ask))) as UseVerdict;
    } catch (error) {
      if (!(error instanceof RedisAway)) onError(error);
      return gates() <= 1 ? 'good' : 'unknown';
    }
  }
}
