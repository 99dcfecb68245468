// The connection to Redis. A command is answered in time or fails; none waits for a connection, and none is sent twice. After three
// failures in a second the client is degraded: commands fail at once, and a probe asks twice a second until the server takes writes
// again. Channels and keys carry the prefix of the layout. Loaded only if REDIS_URL is set.
import { Cluster, Redis } from 'ioredis';
import type { RedisAddress } from './address.ts';
import { type Connection, connectionOf, refuseEviction, refuseOld } from './connection.ts';
import {
  isAboutSlot,
  isAway,
  lastOfCluster,
  RedisAway,
  refusalOf,
  translated,
  translatedAtStart,
  translatedNow,
} from './failures.ts';
import type { Script } from './script.ts';

export interface RedisSettings {
  readonly address: RedisAddress;
  /** Unix milliseconds of a clock that nobody sets. */
  readonly now: () => number;
  /** How long an answer may take. */
  readonly answerMs?: number | undefined;
  /** Gateways with different ones see different servers, and forget what the others wrote. */
  readonly layout?: string;
}

export type RedisState = 'up' | 'degraded';
export type Argument = string | number | Buffer;

const usualAnswerMs = 250;
/** Bounds what is asked while connecting, and an answer that is given up already. */
const backstopMs = 5_000;
const subscribeMs = 60_000;
const probeMs = 500;
/** Probes without an answer after which the connection is made anew: the network may have lost it without a word. */
const probesBeforeReconnect = 10;
const failuresToDegrade = 3;
const failuresWithinMs = 1_000;
const clockMs = 10_000;
/** A connection that was lost is there again well before. */
const recoveryMs = 1_000;
const prefix = 'sk1:';
/** How values are written. */
const usualLayout = '2';
/** One command of each kind that a script uses. */
const write = `
redis.call('SET', KEYS[1], '1', 'PX', 60000)
redis.call('HSET', KEYS[2], 'a', 1)
redis.call('ZADD', KEYS[3], 1, 'a')
redis.call('PEXPIRE', KEYS[3], 60000)
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[1], '')
return redis.call('TIME')
`;

export class RedisClient {
  readonly #settings: RedisSettings;
  readonly #connection: Connection;
  #subscriber: Connection | undefined;
  readonly #channels = new Map<string, (message: string) => void>();
  readonly #stateListeners: ((state: RedisState, reason: string) => void)[] = [];
  readonly #reasonListeners: ((reason: string) => void)[] = [];
  #reason = '';
  readonly #failedAt: number[] = [];
  #state: RedisState = 'up';
  #degradedAt = -Infinity;
  readonly #recovering = new Set<() => void>();
  #unanswered = 0;
  #offsetMs = 0;
  #probe: NodeJS.Timeout | undefined;
  readonly #clock: NodeJS.Timeout;

  private constructor(settings: RedisSettings, connection: Connection) {
    this.#settings = settings;
    this.#connection = connection;
    connection.on('close', () => this.#degrade('the connection has ended'));
    connection.on('ready', () => void this.#look());
    if (connection instanceof Cluster) connection.on('node error', () => undefined);
    this.#clock = setInterval(() => void this.#readClock().catch(() => undefined), clockMs).unref();
  }

  /** @throws StoreUnusable if somebody has to do something; StoreAway if the server cannot be reached. */
  static async open(settings: RedisSettings): Promise<RedisClient> {
    let isKept = false;
    const answerMs = (settings.answerMs ?? usualAnswerMs) + backstopMs;
    const connection = connectionOf(settings.address, answerMs, { isKept: () => isKept });
    // Without a listener the client would print them. The last one says why there is no connection.
    let last: unknown;
    connection.on('error', (error: unknown) => (last = error));
    if (connection instanceof Cluster) connection.on('node error', (error: unknown) => (last ??= error));
    try {
      await connection.connect();
      isKept = true;
      // Without a word, the client would stay in the database 0.
      const { database } = settings.address;
      if (connection instanceof Redis && database !== 0) await connection.select(database);
      await refuseOld(connection);
      await refuseEviction(connection);
      const client = new RedisClient(settings, connection);
      await client.#write();
      await client.#readClock();
      return client;
    } catch (error) {
      connection.disconnect();
      const cause = isAway(error) && refusalOf(error) === undefined ? (last ?? error) : error;
      throw translatedAtStart(lastOfCluster(cause) ?? cause, settings.address.tls !== undefined);
    }
  }

  get state(): RedisState {
    return this.#state;
  }

  get layout(): string {
    return this.#settings.layout ?? usualLayout;
  }

  get isCluster(): boolean {
    return this.#connection instanceof Cluster;
  }

  /** The time of Redis, by this machine's clock and the difference that was measured last. */
  readonly now = (): number => this.#settings.now() + this.#offsetMs;

  /** How far the clock of Redis is ahead of this machine's. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Measures the difference of the clocks again. */
  readClock(): Promise<void> {
    return this.#asking(() => this.#readClock());
  }

  /** Called at each change of state, with the reason in words. */
  onState(listener: (state: RedisState, reason: string) => void): void {
    this.#stateListeners.push(listener);
  }

  /** Called when a server that could not be used answers, and refuses writes for another reason than before. */
  onReason(listener: (reason: string) => void): void {
    this.#reasonListeners.push(listener);
  }

  /**
   * Does work again whose answer was lost, as soon as Redis can be asked, for which it waits until it has been away for a second.
   * `work` changes nothing that it has changed already; `onLost` is called in between.
   */
  async twice<T>(work: () => Promise<T>, onLost?: () => void): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedisAway) || !(await this.#recovers())) throw error;
      onLost?.();
      return work();
    }
  }

  /**
   * Runs a script as one step. All of its keys are in `keys`, and all of these have one hash tag, so that one server of a Cluster has
   * them all. @throws RedisAway, after which the script may have run or may still run.
   */
  run({ text, sha, isWhole }: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const all = [keys.length, ...keys.map((key) => prefix + key), ...args];
    return this.#asking(async () => {
      if (isWhole) return this.#connection.call('EVAL', [text, ...all]);
      try {
        return await this.#connection.call('EVALSHA', [sha, ...all]);
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
        return this.#connection.call('EVAL', [text, ...all]);
      }
    });
  }

  /** An error that a script caught and returned, as `run` would have thrown it. */
  failed(error: Error): Error {
    this.#note(error);
    return translatedNow(error);
  }

  /** Runs a command whose first argument is its key. @throws RedisAway. */
  command(name: string, key: string, ...args: readonly Argument[]): Promise<unknown> {
    return this.#asking(() => this.#connection.call(name, [prefix + key, ...args]));
  }

  /** A hint to all gates: lost if one is not connected, so whatever it says must also be found without it. */
  publish(channel: string, message: string): Promise<unknown> {
    return this.#asking(() => this.#connection.call('PUBLISH', [this.channel(channel), message]));
  }

  /** The full name of a channel, for scripts that publish. Channels are not part of a database, so its number is in the name. */
  channel(name: string): string {
    return `${prefix}${this.#settings.address.database}:${name}`;
  }

  /** One listener a channel. The subscription outlives lost connections. */
  subscribe(channel: string, listener: (message: string) => void): void {
    const name = this.channel(channel);
    this.#channels.set(name, listener);
    this.#subscriber ??= this.#openSubscriber();
    this.#subscriber.subscribe(name).catch(() => undefined);
  }

  /** What identifies the running servers: another text after a restart or a failover. */
  readServers(): Promise<string> {
    return this.#asking(async () => {
      const nodes = this.#connection instanceof Cluster ? this.#connection.nodes('master') : [this.#connection];
      const texts = await Promise.all(nodes.map((node) => node.info('server')));
      return [this.layout, ...texts.map((text) => /^run_id:(\S+)/m.exec(text)?.[1] ?? '').toSorted()].join('.');
    });
  }

  async close(): Promise<void> {
    // What waits for the end of this turn of the event loop is sent first.
    await new Promise((resolve) => setImmediate(resolve));
    clearInterval(this.#clock);
    clearInterval(this.#probe);
    this.#stateListeners.length = 0;
    for (const each of [this.#subscriber, this.#connection]) {
      if (!each) continue;
      each.removeAllListeners('close');
      // What was sent before is still taken.
      if (each === this.#connection && this.#state === 'up') await each.quit().catch(() => undefined);
      each.disconnect();
    }
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#state === 'degraded') throw new RedisAway('Redis cannot be reached; it is asked again twice a second.');
    try {
      return await this.#inTime(ask());
    } catch (error) {
      this.#note(error);
      throw translatedNow(error);
    }
  }

  /**
   * Fails if the answer takes too long. Timers run before sockets are read, so after this process was held up the sockets are read
   * once more: an answer that has arrived is in time.
   */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => setImmediate(() => late.reject(new Error('Command timed out'))),
      this.#settings.answerMs ?? usualAnswerMs,
    );
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #recovers(): Promise<boolean> {
    const leftMs = this.#degradedAt + recoveryMs - performance.now();
    if (this.#state === 'degraded' && leftMs > 0) {
      const over = Promise.withResolvers<void>();
      this.#recovering.add(over.resolve);
      const timer = setTimeout(over.resolve, leftMs);
      await over.promise;
      clearTimeout(timer);
      this.#recovering.delete(over.resolve);
    }
    return this.#state === 'up';
  }

  #note(error: unknown): void {
    if (!isAway(error) || isAboutSlot(error)) return;
    const refusal = refusalOf(error);
    if (refusal !== undefined) {
      this.#degrade(wordsOf(refusal, error));
      // A server that became a replica stays one; its name may lead to the new one.
      if (refusal === 'READONLY') this.#reconnect();
      return;
    }
    const now = performance.now();
    this.#failedAt.push(now);
    while ((this.#failedAt[0] as number) < now - failuresWithinMs) this.#failedAt.shift();
    if (this.#failedAt.length >= failuresToDegrade) this.#degrade((error as Error).message);
  }

  #degrade(reason: string): void {
    if (this.#state === 'degraded') return;
    this.#state = 'degraded';
    this.#reason = reason;
    this.#degradedAt = performance.now();
    this.#failedAt.length = 0;
    this.#unanswered = 0;
    this.#probe = setInterval(() => void this.#look(), probeMs).unref();
    for (const listener of this.#stateListeners) listener('degraded', reason);
  }

  /** Asks a degraded server whether it takes writes. */
  async #look(): Promise<void> {
    if (this.#state === 'up') return;
    try {
      await this.#inTime(this.#write());
      await this.#inTime(this.#readClock());
    } catch (error) {
      this.#unanswered++;
      const refusal = refusalOf(error);
      if (refusal !== undefined) this.#tellReason(refusal, error);
      if (refusal === 'READONLY' || this.#unanswered % probesBeforeReconnect === 0) this.#reconnect();
      return;
    }
    if ((this.#state as RedisState) === 'up') return;
    clearInterval(this.#probe);
    this.#state = 'up';
    for (const listener of this.#stateListeners) listener('up', '');
    for (const resolve of this.#recovering) resolve();
  }

  #tellReason(refusal: string, error: unknown): void {
    const reason = wordsOf(refusal, error);
    if (reason === this.#reason) return;
    this.#reason = reason;
    for (const listener of this.#reasonListeners) listener(reason);
  }

  #reconnect(): void {
    if (this.#connection instanceof Cluster) for (const node of this.#connection.nodes()) node.disconnect(true);
    else if (this.#connection.status === 'ready') this.#connection.disconnect(true);
  }

  /** Writes as the scripts do, so that a server that lets this through lets them through, too. */
  #write(): Promise<unknown> {
    const keys = ['text', 'hash', 'order'].map((part) => `${prefix}{written}:${part}`);
    return this.#connection.call('EVAL', [write, keys.length, ...keys, this.channel('written')]);
  }

  async #readClock(): Promise<void> {
    const node = this.#connection instanceof Cluster ? this.#connection.nodes('master')[0] : this.#connection;
    if (!node) return;
    const before = this.#settings.now();
    const [seconds, micros] = await node.time();
    const between = (before + this.#settings.now()) / 2;
    this.#offsetMs = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - between);
  }

  #openSubscriber(): Connection {
    const connection = connectionOf(this.#settings.address, subscribeMs, { waits: true });
    connection.on('error', () => undefined);
    connection.on('message', (channel: string, message: string) => this.#channels.get(channel)?.(message));
    // A subscription that failed is made again with the next connection.
    connection.on('ready', () => {
      for (const channel of this.#channels.keys()) connection.subscribe(channel).catch(() => undefined);
    });
    connection.connect().catch(() => undefined);
    return connection;
  }
}

const wordsOf = (refusal: string, error: unknown): string =>
  refusal === 'NOPERM' ? translated(error).message : refusal;
