// A budget for attempts from one address over all gates. An attempt is counted in Redis by one script, which also decides; the gate
// that spends a budget tells the others, so that asking costs nothing here. A gate that did not hear it learns it from its own next
// failure. While Redis is away, each gate has its share of the budget. Loaded only if REDIS_URL is set.
import { networkOf } from '../../domain/address.ts';
import type { Soon } from '../../domain/soon.ts';
import { MemoryFailures } from '../memory/failure-budget.ts';
import type { FailureBudget } from '../ports/failure-budget.ts';
import type { RedisClient } from './client.ts';
import { RedisAway } from './failures.ts';
import { script } from './script.ts';

export interface RedisFailureSettings {
  readonly client: RedisClient;
  /** Budgets of one name count together. */
  readonly name: string;
  readonly perMinute: () => number;
  /** The time of Redis. */
  readonly now: () => number;
  /** How many gates are alive. */
  readonly gates: () => number;
  /** Told of answers that say more than that Redis is away. */
  readonly onError: (error: unknown) => void;
}

const windowMs = 60_000;
/** Networks whose budget is known to be spent; any others are found out by their next failure. */
const maxSpent = 100_000;

/**
 * KEYS: how many failures of one network count, and until when. Time, window, budget, channel, network; the other gates are told when
 * the budget is spent. Returns the count and its end.
 */
const count = script(`
local now = tonumber(ARGV[1])
local count, endsAt = string.match(redis.call('GET', KEYS[1]) or '0 0', '^(%d+) (%d+)$')
count, endsAt = tonumber(count), tonumber(endsAt)
if endsAt <= now then count, endsAt = 0, now + ARGV[2] end
count = count + 1
redis.call('SET', KEYS[1], string.format('%.0f %.0f', count, endsAt), 'PX', ARGV[2])
if count == tonumber(ARGV[3]) then
  redis.call('PUBLISH', ARGV[4], string.format('%.0f ', endsAt) .. ARGV[5])
end
return {count, endsAt}
`);

export class RedisFailures implements FailureBudget {
  readonly #settings: RedisFailureSettings;
  /** Everything that failed here: bounds the addresses, and is this gate's share while Redis is away. */
  readonly #here: MemoryFailures;
  readonly #channel: string;
  /** Networks whose budget is spent, with the end of their minute; the first to end are first. */
  readonly #spent = new Map<string, number>();
  #isUnanswered = false;

  constructor(settings: RedisFailureSettings) {
    const { client, perMinute, gates, now } = settings;
    this.#settings = settings;
    const share = (): number => Math.max(1, Math.floor(perMinute() / Math.max(1, gates())));
    this.#here = new MemoryFailures(() => (this.#isAway ? share() : perMinute()), now);
    this.#channel = `spent:${settings.name}`;
    client.subscribe(this.#channel, (message) => {
      const [endsAt = '', network = ''] = message.split(' ');
      this.#learn(network, Number(endsAt));
    });
    client.onState(() => (this.#isUnanswered = false));
  }

  waitSeconds(address: string): number {
    const endsAt = this.#spent.size > 0 ? this.#spent.get(networkOf(address)) : undefined;
    const wait = endsAt === undefined ? 0 : this.#until(endsAt);
    return wait > 0 ? wait : this.#here.waitSeconds(address);
  }

  note(address: string): Soon<number> {
    const known = this.waitSeconds(address);
    if (known > 0 || this.#settings.client.state === 'degraded') return Math.max(known, this.#here.note(address));
    return this.#ask(address);
  }

  async #ask(address: string): Promise<number> {
    const { client, name, perMinute, now, onError } = this.#settings;
    const network = networkOf(address);
    const most = perMinute();
    const args = [Math.floor(now()), windowMs, most, client.channel(this.#channel), network];
    let answer: [number, number];
    try {
      answer = (await client.run(count, [`{failed:${name}:${network}}`], args)) as [number, number];
    } catch (error) {
      if (!(error instanceof RedisAway)) onError(error);
      this.#isUnanswered = true;
      return this.#here.note(address);
    }
    this.#isUnanswered = false;
    this.#here.note(address);
    const [counted, endsAt] = answer;
    if (counted >= most) this.#learn(network, endsAt);
    return counted > most ? Math.max(1, this.#until(endsAt)) : 0;
  }

  #learn(network: string, endsAt: number): void {
    for (const [first, end] of this.#spent) {
      if (this.#until(end) > 0) break;
      this.#spent.delete(first);
    }
    this.#spent.delete(network);
    if (this.#spent.size < maxSpent) this.#spent.set(network, endsAt);
  }

  /** The last question was not answered, or none is asked. */
  get #isAway(): boolean {
    return this.#isUnanswered || this.#settings.client.state === 'degraded';
  }

  /** In seconds. */
  #until(endsAt: number): number {
    return Math.max(0, Math.ceil((endsAt - this.#settings.now()) / 1000));
  }
}
