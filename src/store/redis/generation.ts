// Knows when Redis may have forgotten something. A generation begins when its servers have restarted or failed over, and when they were
// flushed. What was written in an earlier one is cold. In a new one, every gate first enters again what it holds; until all gates
// that are alive have, or five seconds have passed, no book is made.
import type { MonotonicMs } from '../../domain/time.ts';
import type { RedisClient } from './client.ts';
import { script } from './script.ts';

const keys = ['{gates}:run', '{gates}:in'] as const;
/** How long gates have to notice a new generation. */
const enterWithinMs = 5_000;
const channel = 'run';

/** Begins a generation if the last one was on other servers or is forgotten. It is named by its time, so that a later one is known. */
const current = script(`
local text = redis.call('GET', KEYS[1])
if text and string.match(text, '^%d+%-(.*)$') == ARGV[1] then return {text, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if text then now = math.max(now, tonumber(string.match(text, '^%d+')) + 1) end
text = string.format('%.0f', now) .. '-' .. ARGV[1]
redis.call('SET', KEYS[1], text)
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[2], text)
return {text, 1}
`);

/** Enters a gate in the place of what it was before its last start, unless another generation has begun. */
const enter = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local id = string.match(ARGV[2], '^[^#]*')
for _, other in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.match(other, '^[^#]*') == id then redis.call('HDEL', KEYS[2], other) end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
return 1
`);

/** A gate without its epoch: one that has started again has entered for itself and for what it was. */
export const idOf = (gate: string): string => gate.split('#', 1)[0] as string;

export interface GenerationSettings {
  readonly client: RedisClient;
  readonly gate: string;
  /** The gates that are alive, with or without their epochs, this one among them or not. */
  readonly gates: () => readonly string[];
  /** Enters again what this gate holds. */
  readonly reenter: (generation: string) => Promise<void>;
}

export class Generation {
  readonly #settings: GenerationSettings;
  #servers: string | undefined;
  #name = '';
  /** When this gate entered it, whatever the clock of Redis says. */
  #sinceMs: MonotonicMs = 0;
  /** False after the connection was lost, until it is known that no other generation has begun meanwhile. */
  #isSure = false;
  #readyName = '';
  #entered: ReadonlySet<string> = new Set();
  #checking: Promise<string> | undefined;

  constructor(settings: GenerationSettings) {
    this.#settings = settings;
    settings.client.onState(() => {
      this.#servers = undefined;
      this.#isSure = false;
    });
    settings.client.subscribe(channel, (name) => {
      if (name !== this.#name) void this.check().catch(() => undefined);
    });
  }

  /** The generation that this gate has entered; empty if another one may have begun. */
  get name(): string {
    return this.#isSure ? this.#name : '';
  }

  /** The gates of `ready`: what one of them had in an earlier generation and did not enter again is lost. */
  get entered(): ReadonlySet<string> {
    return this.#entered;
  }

  /** Looks whether another generation has begun, and enters it. Call it every second, and when something is missing. @throws RedisAway. */
  check(): Promise<string> {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  /** A check that begins now: the answer to one that is under way may be from before Redis was flushed. @throws RedisAway. */
  async checkNext(): Promise<string> {
    await this.#checking?.catch(() => undefined);
    return this.check();
  }

  /** Whether books can be made: every gate that is alive has entered, or has had the time to. @throws RedisAway. */
  async ready(): Promise<boolean> {
    if (this.#readyName === this.#name) return true;
    const { gate, gates } = this.#settings;
    const name = this.#name;
    const entered = await this.#readEntered(name);
    const ids = new Set([...entered].map(idOf));
    const isEntered = entered.has(gate) && gates().every((each) => ids.has(idOf(each)));
    if (!isEntered && performance.now() - this.#sinceMs < enterWithinMs) return false;
    this.#readyName = name;
    this.#entered = entered;
    return true;
  }

  /**
   * Those of these gates that have started again since: what their journals had is in the ledger, so of anything else nothing came.
   * @throws RedisAway.
   */
  async over(gates: readonly string[]): Promise<ReadonlySet<string>> {
    const others = gates.filter((each) => each !== this.#settings.gate);
    if (others.length === 0) return new Set();
    const entered = await this.#readEntered(this.#name);
    const ids = new Set([...entered].map(idOf));
    return new Set(others.filter((each) => !entered.has(each) && ids.has(idOf(each))));
  }

  async #readEntered(name: string): Promise<ReadonlySet<string>> {
    const found = (await this.#settings.client.command('HGETALL', keys[1])) as string[] | Record<string, string>;
    const pairs = Array.isArray(found) ? found : Object.entries(found).flat();
    return new Set(pairs.filter((_, at) => at % 2 === 0 && pairs[at + 1] === name));
  }

  async #check(): Promise<string> {
    const { client, gate, reenter } = this.#settings;
    for (;;) {
      // In a Cluster another server can take a part over while the connection to the others stays.
      const servers = (client.isCluster ? undefined : this.#servers) ?? (await client.readServers());
      this.#servers = servers;
      const answer = (await client.run(current, keys, [servers, client.channel(channel)])) as [string, number];
      const [name] = answer;
      if (name === this.#name) {
        this.#isSure = true;
        return name;
      }
      await reenter(name);
      if ((await client.run(enter, keys, [name, gate])) !== 1) continue;
      this.#name = name;
      this.#sinceMs = performance.now();
      this.#isSure = true;
      return name;
    }
  }
}
