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

const minuteMs = 60_000;
/** Longer than a minute, for clocks that differ a little. */
const lifeMs = 90_000;
/** Networks whose budget is known to be spent; any others are found out by their next failure. */
const maxSpent = 100_000;

/** KEYS: the count of one network in one minute. Budget, life, channel, what to tell the other gates. Returns the count. */
const count = script(`
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if count == tonumber(ARGV[1]) then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return count
`);

export class RedisFailures implements FailureBudget {
  readonly #settings: RedisFailureSettings;
  /** Everything that failed here: bounds the addresses, and is this gate's share while Redis is away. */
  readonly #here: MemoryFailures;
  readonly #channel: string;
  /** Networks whose budget is spent in this minute. */
  #spent = new Set<string>();
  #minute = 0;
  #isUnanswered = false;

  constructor(settings: RedisFailureSettings) {
    const { client, perMinute, gates, now } = settings;
    this.#settings = settings;
    const share = (): number => Math.max(1, Math.floor(perMinute() / Math.max(1, gates())));
    this.#here = new MemoryFailures(() => (this.#isAway ? share() : perMinute()), now);
    this.#channel = `spent:${settings.name}`;
    client.subscribe(this.#channel, (message) => {
      const [minute = '', network = ''] = message.split(' ');
      this.#learn(Number(minute), network);
    });
    client.onState(() => (this.#isUnanswered = false));
  }

  waitSeconds(address: string): number {
    if (this.#spent.size > 0 && this.#thisMinute() === this.#minute && this.#spent.has(networkOf(address)))
      return this.#untilNext();
    return this.#here.waitSeconds(address);
  }

  note(address: string): Soon<number> {
    const known = this.waitSeconds(address);
    if (known > 0 || this.#settings.client.state === 'degraded') return Math.max(known, this.#here.note(address));
    return this.#ask(address);
  }

  async #ask(address: string): Promise<number> {
    const { client, name, perMinute, onError } = this.#settings;
    const network = networkOf(address);
    const minute = this.#thisMinute();
    const most = perMinute();
    const key = `{failed:${name}:${network}}:${minute}`;
    const args = [most, lifeMs, client.channel(this.#channel), `${minute} ${network}`];
    let counted: number;
    try {
      counted = (await client.run(count, [key], args)) as number;
    } catch (error) {
      if (!(error instanceof RedisAway)) onError(error);
      this.#isUnanswered = true;
      return this.#here.note(address);
    }
    this.#isUnanswered = false;
    this.#here.note(address);
    if (counted >= most) this.#learn(minute, network);
    return counted > most ? this.#untilNext() : 0;
  }

  #learn(minute: number, network: string): void {
    const now = this.#thisMinute();
    if (minute !== now) return;
    if (now !== this.#minute) {
      this.#spent = new Set();
      this.#minute = now;
    }
    if (this.#spent.size < maxSpent) this.#spent.add(network);
  }

  /** The last question was not answered, or none is asked. */
  get #isAway(): boolean {
    return this.#isUnanswered || this.#settings.client.state === 'degraded';
  }

  #thisMinute(): number {
    return Math.floor(this.#settings.now() / minuteMs);
  }

  #untilNext(): number {
    return Math.max(1, Math.ceil((minuteMs - (this.#settings.now() % minuteMs)) / 1000));
  }
}
