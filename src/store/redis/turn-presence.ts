// Says to Redis that this gate is there, and knows what the gate needs for its commands: the run, the time of Redis, which gates
// are alive, and whether Redis is away.
import { randomBytes } from 'node:crypto';
import type { RedisClient } from './client.ts';
import { RedisAway } from './failures.ts';
import { channelPrefix, hail, keysOfGates } from './turn-scripts.ts';

/** How late a command may arrive. One that stood in a queue for longer decides on what held then, so it decides nothing. */
const latestMs = 1_500;

export class Presence {
  /** Names this gate to the others; another one for each start. */
  readonly gate: string;
  run = '';
  /** The gates that were alive when Redis was last heard of, this one among them. */
  alive: readonly string[] = [];
  /** The lanes that any gate uses, as of the last look at them. */
  lanes: readonly string[] = [];
  /** Called when Redis may have lost what this gate told it, or answers again. */
  onRun: () => void = () => undefined;
  /** Called when Redis does not answer any more. */
  onAway: () => void = () => undefined;
  /** Since when it is away, on this gate's clock; undefined: it answers. */
  awaySinceMs: number | undefined;
  readonly #client: RedisClient;
  readonly #onError: (error: unknown) => void;
  readonly #keys: readonly string[];
  readonly #nowMs: () => number;
  /** The time of Redis without this gate's. */
  #offsetMs = 0;
  /** Of the gates that are alive. Redis names them again only when it has another one. */
  #digest = '';
  /** The run id of the server; undefined: it is to be read. */
  #server: string | undefined;
  /** The look at Redis that is under way. */
  hailing: Promise<void> | undefined;

  constructor(client: RedisClient, lanes: string, nowMs: () => number, onError: (error: unknown) => void) {
    this.#client = client;
    this.#onError = onError;
    this.#keys = keysOfGates(lanes);
    this.#nowMs = nowMs;
    this.gate = randomBytes(8).toString('hex');
    this.awaySinceMs = nowMs();
    client.onState((state) => {
      // It may be another server from now on.
      this.#server = undefined;
      if (state === 'degraded') this.fail();
      else void this.hail();
    });
  }

  get isAway(): boolean {
    return this.awaySinceMs !== undefined;
  }

  /** Redis did not answer, so what it did is unknown. */
  fail(error?: unknown): void {
    if (error !== undefined && !(error instanceof RedisAway)) this.#onError(error);
    if (this.isAway) return;
    this.awaySinceMs = this.#nowMs();
    this.onAway();
  }

  get channelPrefix(): string {
    return this.#client.channel(channelPrefix);
  }

  /** The latest time, on the clock of Redis, at which a command of now may run. */
  latest(): string {
    return String(Math.ceil(this.#nowMs() + this.#offsetMs + latestMs));
  }

  /** Resolves when Redis has answered, or does not. `used`: the lanes that this gate uses; given to learn which the others use. */
  hail(used?: readonly string[]): Promise<void> {
    this.hailing ??= this.#hail(used).finally(() => (this.hailing = undefined));
    return this.hailing;
  }

  async close(): Promise<void> {
    if (!this.isAway) await this.#client.command('ZREM', this.#keys[1] as string, this.gate).catch(() => undefined);
  }

  async #hail(used: readonly string[] | undefined): Promise<void> {
    const before = this.#nowMs();
    try {
      this.#server ??= await this.#client.readServers();
      const about = [this.gate, this.#server, randomBytes(4).toString('hex'), used ? '1' : '0', this.#digest];
      const reply = await this.#client.run(hail, this.#keys, [...about, ...(used ?? [])]);
      const [now, run, lanes, digest, alive] = reply as [number, string, string[], string, string[]];
      this.#offsetMs = now - (before + this.#nowMs()) / 2;
      if (digest !== this.#digest) {
        this.#digest = digest;
        this.alive = alive;
      }
      if (used) this.lanes = lanes;
      if (run === this.run && !this.isAway) return;
      this.run = run;
      this.awaySinceMs = undefined;
      this.onRun();
    } catch (error) {
      this.fail(error);
    }
  }
}
