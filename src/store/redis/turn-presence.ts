// Says to Redis that this gate is there, once for all of its queues, and knows what they need for their commands: the run, the time of
// Redis, which gates are alive, and whether Redis is away.
import { randomBytes } from 'node:crypto';
import type { RedisClient } from './client.ts';
import { RedisAway } from './failures.ts';
import { channelPrefix, hail, keysOfGates, lostMs } from './turn-scripts.ts';

/** How late a command may arrive. One that stood in a queue for longer decides on what held then, so it decides nothing. */
const latestMs = 1_500;
/** Commands of this time say the same of how late they may arrive, so that what comes together can be said together. */
const togetherMs = 50;
/** Sweeps come four times a second; a busy gate may be late. */
const knownAfterMs = 1_000;
/** Every fourth sweep asks for the lanes of other gates. */
const sweepsALook = 4;

/** A queue of this gate, as it is told and asked. */
export interface PresentQueue {
  /** What its lanes are for. */
  readonly names: string;
  /** The lanes that it uses. */
  readonly used: () => readonly string[];
  /** Redis may have lost what this gate told it, or answers again. */
  readonly onRun: () => void;
  /** Redis does not answer any more. */
  readonly onAway: () => void;
  /** Another gate's decision concerns a call of this one. */
  readonly onMessage: (message: string) => void;
}

export class Presence {
  /** Names this gate to the others; another one for each start. */
  readonly gate: string;
  run = '';
  /** The gates that were alive when Redis was last heard of, this one among them. */
  alive: readonly string[] = [];
  #named: readonly string[] = [];
  readonly #countedUntil = new Map<string, number>();
  /** When Redis first heard of this gate. */
  #sinceMs: number | undefined;
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
  readonly #queues: PresentQueue[] = [];
  /** The lanes that any gate uses, as of the last look at them. */
  #lanes: readonly string[] = [];
  #sweeping: Promise<boolean> | undefined;
  #sweeps = 0;

  /** `names`: the same at every gate. */
  constructor(client: RedisClient, names: string, nowMs: () => number, onError: (error: unknown) => void) {
    this.#client = client;
    this.#onError = onError;
    this.#keys = keysOfGates(names);
    this.#nowMs = nowMs;
    this.gate = randomBytes(8).toString('hex');
    this.awaySinceMs = nowMs();
    client.onState((state) => {
      // It may be another server from now on.
      this.#server = undefined;
      if (state === 'degraded') this.fail();
      else void this.hail();
    });
    client.subscribe(channelPrefix + this.gate, (message) => {
      for (const { onMessage } of this.#queues) onMessage(message);
    });
  }

  add(queue: PresentQueue): void {
    this.#queues.push(queue);
    if (!this.isAway) queue.onRun();
  }

  get isAway(): boolean {
    return this.awaySinceMs !== undefined;
  }

  /** Whether the others knew of this gate when Redis went: each of them hears of it a sweep later. */
  get isKnown(): boolean {
    return this.#sinceMs !== undefined && (this.awaySinceMs ?? this.#nowMs()) - this.#sinceMs >= knownAfterMs;
  }

  /** Redis did not answer, so what it did is unknown. */
  fail(error?: unknown): void {
    if (error !== undefined && !(error instanceof RedisAway)) this.#onError(error);
    if (this.isAway) return;
    this.awaySinceMs = this.#nowMs();
    for (const { onAway } of this.#queues) onAway();
  }

  get channelPrefix(): string {
    return this.#client.channel(channelPrefix);
  }

  /** The latest time, on the clock of Redis, at which a command of now may run. */
  latest(): string {
    return String(Math.floor((this.#nowMs() + this.#offsetMs + latestMs) / togetherMs) * togetherMs);
  }

  /** Resolves when Redis has answered, or does not. `isLook`: also says which lanes this gate uses, and learns which the others use. */
  hail(isLook = false): Promise<void> {
    this.hailing ??= this.#hail(isLook).finally(() => (this.hailing = undefined));
    return this.hailing;
  }

  /** A hail that begins now: the answer to one that is under way may be from before Redis was flushed. */
  async hailNext(): Promise<void> {
    await this.hailing;
    await this.hail();
  }

  /** Hails, once for all queues that sweep at the same time. True if that was a look at the lanes of the others. */
  sweep(): Promise<boolean> {
    this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined));
    return this.#sweeping;
  }

  /** The lanes of a queue that any gate uses, as of the last look at them. */
  lanesOf(names: string): readonly string[] {
    return this.#lanes.flatMap((lane) => (lane.startsWith(`${names}:`) ? lane.slice(names.length + 1) : []));
  }

  async close(): Promise<void> {
    if (!this.isAway) await this.#client.command('ZREM', this.#keys[1] as string, this.gate).catch(() => undefined);
  }

  /** In a new run Redis knows only the gates that have said so since. Those that it knew before count until they must have. */
  #count(run: string): void {
    const now = this.#nowMs();
    this.#sinceMs ??= now;
    if (run !== this.run) for (const gate of this.alive) this.#countedUntil.set(gate, now + lostMs);
    for (const [gate, until] of this.#countedUntil)
      if (now >= until || this.#named.includes(gate)) this.#countedUntil.delete(gate);
    this.alive = this.#countedUntil.size === 0 ? this.#named : [...this.#named, ...this.#countedUntil.keys()];
  }

  async #sweep(): Promise<boolean> {
    const isLook = this.#sweeps++ % sweepsALook === 0;
    await this.hail(isLook);
    return isLook;
  }

  async #hail(isLook: boolean): Promise<void> {
    const before = this.#nowMs();
    try {
      this.#server ??= await this.#client.readServers();
      const used = isLook
        ? this.#queues.flatMap(({ names, used: lanes }) => lanes().map((lane) => `${names}:${lane}`))
        : [];
      const about = [this.gate, this.#server, randomBytes(4).toString('hex'), isLook ? '1' : '0', this.#digest];
      const reply = await this.#client.run(hail, this.#keys, [...about, ...used]);
      const [now, run, lanes, digest, alive] = reply as [number, string, string[], string, string[]];
      this.#offsetMs = now - (before + this.#nowMs()) / 2;
      if (digest !== this.#digest) this.#named = alive;
      this.#digest = digest;
      this.#count(run);
      if (isLook) this.#lanes = lanes;
      if (run === this.run && !this.isAway) return;
      this.run = run;
      this.awaySinceMs = undefined;
      for (const { onRun } of this.#queues) onRun();
    } catch (error) {
      this.fail(error);
    }
  }
}
