// Throttles guesses of passwords and codes over all gates: an attempt is decided and counted by one script. Redis sees digests, no
// mailbox. While it is away, each gate allows its share. Loaded only if REDIS_URL is set.
import { digestOf } from '../../domain/api-key.ts';
import { forgetFailuresMs, freeFailures, longestWaitMs, signInCountsOf } from '../../domain/sign-in-waits.ts';
import { MemorySignIns } from '../memory/sign-in-throttle.ts';
import type { SignInThrottle } from '../ports/sign-in-throttle.ts';
import type { Argument, RedisClient } from './client.ts';
import { RedisAway } from './failures.ts';
import { type Script, script } from './script.ts';

export interface RedisSignInSettings {
  readonly client: RedisClient;
  /** Throttles of one name count together. */
  readonly name: string;
  /** The time of Redis. */
  readonly now: () => number;
  /** How many gates are alive. */
  readonly gates: () => number;
  /** Told of answers that say more than that Redis is away. */
  readonly onError: (error: unknown) => void;
}

/** More than one gate keeps in its memory, since all count here; some 20 MB. */
const maxCounts = 100_000;

/** What both begin with. KEYS: the counts, and their order by the last failure. The time, then the arguments. */
const shared = `
local now = tonumber(ARGV[1])
local function countOf(field)
  local failures, last = string.match(redis.call('HGET', KEYS[1], field) or '0 0', '^(%d+) (%d+)$')
  return tonumber(failures), tonumber(last)
end
local function keep(field, failures, last)
  redis.call('HSET', KEYS[1], field, string.format('%.0f %.0f', failures, last))
  redis.call('ZADD', KEYS[2], string.format('%.0f', last), field)
end
`;

/** Forget after, most counts, then for each count: its field, free failures, longest wait. Milliseconds to wait; 0: it is counted. */
const attempt = script(`${shared}
local forget, most, wait, found = tonumber(ARGV[2]), tonumber(ARGV[3]), 0, {}
for i = 4, #ARGV, 3 do
  local failures, last = countOf(ARGV[i])
  if now - last > forget then failures = 0 end
  local over = failures - tonumber(ARGV[i + 1])
  if over >= 0 then
    wait = math.max(wait, last + math.min(tonumber(ARGV[i + 2]), 1000 * 2 ^ math.min(over, 20)) - now)
  end
  found[#found + 1] = failures
end
if wait > 0 then return wait end
for i, failures in ipairs(found) do keep(ARGV[1 + 3 * i], failures + 1, now) end
local function drop(fields)
  for _, field in ipairs(fields) do
    redis.call('HDEL', KEYS[1], field)
    redis.call('ZREM', KEYS[2], field)
  end
end
drop(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - forget), 'LIMIT', 0, 100))
local beyond = redis.call('ZCARD', KEYS[2]) - most
if beyond > 0 then drop(redis.call('ZRANGE', KEYS[2], 0, beyond - 1)) end
redis.call('PEXPIRE', KEYS[1], forget)
redis.call('PEXPIRE', KEYS[2], forget)
return 0
`);

/** The fields of an attempt. Its wait starts now. */
const answered = script(`${shared}
for i = 2, #ARGV do
  local failures = countOf(ARGV[i])
  if failures > 0 then keep(ARGV[i], failures, now) end
end
return 1
`);

/** The field that is forgotten, then those in which one failure less counts. */
const succeeded = script(`${shared}
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[2])
for i = 3, #ARGV do
  local failures, last = countOf(ARGV[i])
  if failures > 0 then keep(ARGV[i], failures - 1, last) end
end
return 1
`);

export class RedisSignIns implements SignInThrottle {
  readonly #settings: RedisSignInSettings;
  /** Everything that this gate has counted: its share while Redis is away. */
  readonly #here: MemorySignIns;
  readonly #keys: readonly string[];

  constructor(settings: RedisSignInSettings) {
    this.#settings = settings;
    this.#here = new MemorySignIns(settings.now, settings.gates);
    this.#keys = [`{guessed:${settings.name}}:counts`, `{guessed:${settings.name}}:order`];
  }

  async attempt(address: string, mailbox: string): Promise<number> {
    const args = [forgetFailuresMs, maxCounts];
    const fields = signInCountsOf(address, mailbox).flatMap(([kind, key]) => [
      fieldOf(kind, key),
      freeFailures[kind],
      longestWaitMs[kind],
    ]);
    const waitMs = await this.#ask(attempt, [...args, ...fields]);
    if (waitMs === undefined) return this.#here.attempt(address, mailbox);
    if (waitMs === 0) this.#here.failed(address, mailbox);
    return Math.ceil(waitMs / 1000);
  }

  async answered(address: string, mailbox: string): Promise<void> {
    this.#here.answered(address, mailbox);
    const fields = signInCountsOf(address, mailbox).map(([kind, key]) => fieldOf(kind, key));
    await this.#ask(answered, fields);
  }

  async succeeded(address: string, mailbox: string): Promise<void> {
    this.#here.succeeded(address, mailbox);
    const counts = signInCountsOf(address, mailbox);
    const pair = counts.filter(([kind]) => kind === 'pair').map(([kind, key]) => fieldOf(kind, key))[0] ?? '';
    const others = counts.filter(([kind]) => kind !== 'pair').map(([kind, key]) => fieldOf(kind, key));
    await this.#ask(succeeded, [pair, ...others]);
  }

  /** The answer; undefined if there is none. */
  async #ask(which: Script, args: readonly Argument[]): Promise<number | undefined> {
    const { client, now, onError } = this.#settings;
    try {
      return (await client.run(which, this.#keys, [Math.floor(now()), ...args])) as number;
    } catch (error) {
      if (!(error instanceof RedisAway)) onError(error);
      return undefined;
    }
  }
}

const fieldOf = (kind: string, key: string): string => digestOf(`${kind} ${key}`);
