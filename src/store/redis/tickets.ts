// Tickets for all gates: any gate takes a ticket that another one gave, and one script decides who gets it. A question whose answer was
// lost is asked again. While Redis is away, none is given or taken. Loaded only if REDIS_URL is set.
import { randomUUID } from 'node:crypto';
import type { Ticket, TicketStore } from '../ports/tickets.ts';
import type { RedisClient } from './client.ts';
import { script } from './script.ts';

export interface RedisTicketSettings {
  readonly client: RedisClient;
  /** Tickets of one name are together. */
  readonly name: string;
  /** The time of Redis. */
  readonly now: () => number;
}

const most = 20_000;
const mostPerKey = 200;
/** How long the one who took a ticket may ask for it again. */
const againMs = 5_000;

/** KEYS of both: the tickets, their order by when they end, and how many each key has. A ticket is kept as its key's id and text. */
const shared = `
local now = tonumber(ARGV[1])
local function drop(digest)
  local kept = redis.call('HGET', KEYS[1], digest)
  if not kept then return nil end
  local id, text = unpack(cmsgpack.unpack(kept))
  local endsAt = tonumber(redis.call('ZSCORE', KEYS[2], digest))
  redis.call('HDEL', KEYS[1], digest)
  redis.call('ZREM', KEYS[2], digest)
  if redis.call('HINCRBY', KEYS[3], id, -1) <= 0 then redis.call('HDEL', KEYS[3], id) end
  return now < endsAt and text or nil
end
`;

/** The time, digest, key, ticket, life, the most tickets, and the most of one key. 1 if it is kept, or was before. */
const keep = script(`${shared}
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return 1 end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 1000)) do drop(old) end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return 0 end
if tonumber(redis.call('HGET', KEYS[3], ARGV[3]) or 0) >= tonumber(ARGV[7]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], cmsgpack.pack({ARGV[3], ARGV[4]}))
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[5]), ARGV[2])
redis.call('HINCRBY', KEYS[3], ARGV[3], 1)
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
return 1
`);

/** KEYS also: who took it. The time, digest, who takes it, and how long they may ask again. The ticket, if it is there and not over. */
const take = script(`${shared}
local taken = redis.call('GET', KEYS[4])
if taken then
  local by, text = unpack(cmsgpack.unpack(taken))
  return by == ARGV[3] and text or nil
end
local text = drop(ARGV[2])
if text then redis.call('SET', KEYS[4], cmsgpack.pack({ARGV[3], text}), 'PX', ARGV[4]) end
return text
`);

export class RedisTickets implements TicketStore {
  readonly #settings: RedisTicketSettings;
  readonly #keys: readonly string[];

  constructor(settings: RedisTicketSettings) {
    this.#settings = settings;
    this.#keys = ['texts', 'order', 'keys'].map((part) => this.#key(part));
  }

  /** @throws RedisAway. */
  async keep(digest: string, ticket: Ticket, lifeMs: number): Promise<boolean> {
    const { client, now } = this.#settings;
    const args = [Math.floor(now()), digest, ticket.key.id, JSON.stringify(ticket), lifeMs, most, mostPerKey];
    return (await client.twice(() => client.run(keep, this.#keys, args))) === 1;
  }

  /** @throws RedisAway, after which it may have been taken. */
  async take(digest: string): Promise<Ticket | undefined> {
    const { client, now } = this.#settings;
    const keys = [...this.#keys, this.#key(`taken:${digest}`)];
    const args = [Math.floor(now()), digest, randomUUID(), againMs];
    const text = await client.twice(() => client.run(take, keys, args));
    return typeof text === 'string' ? (JSON.parse(text) as Ticket) : undefined;
  }

  /** All of one name are on one server of a Cluster. */
  #key(part: string): string {
    return `{tickets:${this.#settings.name}}:${part}`;
  }
}
