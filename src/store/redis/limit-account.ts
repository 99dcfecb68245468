// The limits of one account, kept in Redis: asks for leases, ends them, and makes the book when it is cold. An account is unsure while
// something did not reach Redis. Then this gate enters all of its leases again, and the book is made again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Calendar } from '../../domain/calendar.ts';
import { GatewayError } from '../../domain/error.ts';
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import {
  type Ask,
  type CallerBounds,
  firstFull,
  type Limit,
  type Standing,
  type SubjectName,
  subjectNames,
  type Use,
} from '../../domain/limit.ts';
import type { Soon } from '../../domain/soon.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { AccountLimits, CallerLimits, Lease, Reserved } from '../ports/limit-store.ts';
import type { JointEntry } from '../ports/turn-queue.ts';
import { batchOf } from './batch.ts';
import type { BookSource } from './book-source.ts';
import type { RedisClient } from './client.ts';
import { RedisAway } from './failures.ts';
import type { Generation } from './generation.ts';
import { endedAmong, figuresOf, type HeldLease, HeldLeases, listLeases } from './limit-leases.ts';
import * as scripts from './limit-scripts.ts';
import { type LocalShare, subjectOf } from './limit-share.ts';
import { type Answer, type Asking, argumentsOf, RedisStanding, startsTextOf, type Told } from './limit-standing.ts';
import { bookArguments } from './limit-sums.ts';
import { RedisEntry } from './way-in.ts';

/** A smaller difference between two clocks is that of the network. */
const aheadFromMs = 1_000;
/** How long a call waits for a cold book. */
const bookWithinMs = 8_000;
const againMs = 20;
const mostColds = 20;
const reconcileMs = 60_000;
export const endsChannel = 'ends';
/** For so long, figures that left room let a body be read. */
const recentMs = 60_000;
/** The smallest call of any kind. */
const small: Use = { requests: 1, promptTokens: 1, completionTokens: 1, units: 1 };

/** What all accounts share. */
export interface LimitTools {
  readonly client: RedisClient;
  readonly generation: Generation;
  readonly calendar: Calendar;
  readonly gate: string;
  readonly books: BookSource;
  /** A question was not answered. */
  readonly onAway: (at: SteadyMs) => void;
  /** Told of accounts that hold leases or are unsure. */
  readonly busy: Set<RedisAccount>;
  /** The account of each lease that this gate holds, or has settled and not seen in the ledger. */
  readonly holders: Map<RequestId, RedisAccount>;
}

export class RedisAccount implements AccountLimits {
  held = 0;
  onEnd: (() => void) | undefined;
  readonly id: AccountId;
  readonly leases = new HeldLeases();
  /** Something did not reach Redis. */
  isUnsure = false;
  readonly #tools: LimitTools;
  readonly #share: LocalShare;
  readonly #keys = new Map<KeyId, RedisCaller>();
  #making: Promise<void> | undefined;
  #reconciledAt = -Infinity;

  constructor(id: AccountId, tools: LimitTools, share: LocalShare) {
    this.id = id;
    this.#tools = tools;
    this.#share = share;
  }

  of(lineage: KeyId): RedisCaller {
    let caller = this.#keys.get(lineage);
    if (!caller) {
      caller = new RedisCaller(this, lineage, this.#tools, this.#share);
      this.#keys.set(lineage, caller);
    }
    return caller;
  }

  key(part: 'b' | 'l' | 'ld' | 'w', lineage?: KeyId): string {
    return `{${this.id}}:${part}${lineage === undefined ? '' : `:${lineage}`}`;
  }

  /** How many calls of the account and of each key run at this gate. */
  running(): [subject: string, count: number][] {
    const counts = new Map<string, number>();
    for (const { key } of this.leases.running())
      for (const subject of [subjectOf(this.id, undefined), subjectOf(this.id, key)])
        counts.set(subject, (counts.get(subject) ?? 0) + 1);
    return [...counts];
  }

  /** Nothing of it is left that Redis might lack. */
  get isOver(): boolean {
    return this.leases.isEmpty && !this.isUnsure;
  }

  doubt(): void {
    this.isUnsure = true;
    this.#tools.busy.add(this);
  }

  /** Enters again what this gate holds of the account. Redis then has these of its leases and no others. @throws RedisAway. */
  async adopt(generation: string): Promise<void> {
    const keys = [...this.#keys.keys()];
    this.isUnsure = false;
    const args = [this.#tools.gate, generation, this.leases.coming.size, ...this.leases.coming];
    for (const { id, key, runs, starts, use, isSettled } of this.leases.all())
      args.push(id, keys.indexOf(key) + 1, key, Number(isSettled), Number(runs), starts, ...figuresOf(use));
    const places = [this.key('b'), this.key('l'), this.key('ld'), ...keys.map((key) => this.key('l', key))];
    try {
      await this.#tools.client.run(scripts.adopt, places, args);
    } catch (error) {
      this.doubt();
      throw error;
    }
  }

  /** Running calls go on counting. @throws RedisAway. */
  async renew(): Promise<void> {
    const running = this.leases.running();
    if (running.length === 0) return;
    const keys = [...new Set(running.map(({ key }) => key))];
    const places = [this.key('l'), this.key('ld'), ...keys.map((key) => this.key('l', key))];
    const args = running.flatMap(({ id, key }) => [id, keys.indexOf(key) + 1]);
    const missing = (await this.#tools.client.run(scripts.renew, places, args)) as RequestId[];
    if (missing.some((id) => this.leases.has(id))) this.doubt();
  }

  /** The ledger has these rows. @throws RedisAway. */
  async landed(ids: readonly RequestId[]): Promise<void> {
    // Its end comes first.
    await Promise.all(ids.flatMap((id) => this.leases.get(id)?.told ?? []));
    const there = ids.filter((id) => this.leases.remove(id));
    for (const id of there) this.#tools.holders.delete(id);
    if (there.length === 0 || this.isUnsure) return;
    try {
      await batchOf(this.#tools.client).ask('landed', [this.key('ld')], [], there);
    } catch {
      this.doubt();
    }
  }

  /** Makes the cold book; calls that come meanwhile wait for the same. @throws GatewayError if that cannot be done in time. */
  make(at: () => number): Promise<void> {
    this.#making ??= this.#make(at).finally(() => (this.#making = undefined));
    return this.#making;
  }

  /** Looks for leases of gates that have ended, in the ledger or never begun, at most once a minute. */
  reconcile(at: () => number): void {
    const now = performance.now();
    if (now < this.#reconciledAt + reconcileMs) return;
    this.#reconciledAt = now;
    void this.#reconcile(at).catch(() => undefined);
  }

  async #reconcile(at: () => number): Promise<void> {
    const { client, books, generation } = this.#tools;
    const { leases: listed } = await listLeases(client, this.key('b'), this.key('ld'));
    const over = await generation.over(listed.map(({ gate }) => gate));
    const known = await books.known(listed.map(({ id }) => id));
    if (over.size === 0 && ![...known].some((id) => !this.leases.has(id as RequestId))) return;
    await client.command('HDEL', this.key('b'), 'seed');
    await this.make(at);
  }

  async #make(at: () => number): Promise<void> {
    const until = performance.now() + bookWithinMs;
    try {
      do {
        if (await this.#tryToMake(at)) return;
        await sleep(againMs);
      } while (performance.now() < until);
    } catch (error) {
      throw error instanceof RedisAway ? error : new GatewayError('limits_unavailable', { cause: error });
    }
    throw new GatewayError('limits_unavailable');
  }

  /** Asks the ledger twice for the leases it has: if that changes meanwhile, the sums may be of either time. */
  async #tryToMake(at: () => number): Promise<boolean> {
    const { client, generation, books, calendar } = this.#tools;
    const name = await generation.checkNext();
    if (!(await generation.ready())) return false;
    if (this.isUnsure) await this.adopt(name);
    const { made, leases: listed } = await listLeases(client, this.key('b'), this.key('ld'));
    const ids = listed.map(({ id }) => id);
    const over = await generation.over(listed.map(({ gate }) => gate));
    const now = at();
    const before = await books.known(ids);
    const sums = await books.sums(this.id, now);
    const known = await books.known(ids);
    if (known.size !== before.size) return false;
    const { gone, lost } = endedAmong(listed, { known, over, generation: name, entered: generation.entered });
    const args = [name, sums.recoveries, made, ids.length, gone.length, lost.length, ...ids, ...gone, ...lost];
    args.push(...bookArguments(sums, calendar, now));
    return (await client.run(scripts.seed, [this.key('b'), this.key('l'), this.key('ld')], args)) === 'seeded';
  }
}

/** The limits of one key. */
class RedisCaller implements CallerLimits {
  readonly #account: RedisAccount;
  readonly #key: KeyId;
  readonly #tools: LimitTools;
  readonly #share: LocalShare;
  readonly #places: readonly string[];
  /** What Redis said last. */
  #last: { readonly at: SteadyMs; readonly limits: readonly Limit[]; readonly standing: RedisStanding } | undefined;

  constructor(account: RedisAccount, key: KeyId, tools: LimitTools, share: LocalShare) {
    this.#account = account;
    this.#key = key;
    this.#tools = tools;
    this.#share = share;
    this.#places = [account.key('b'), account.key('l'), account.key('l', key), account.key('ld'), account.key('w')];
  }

  look(bounds: CallerBounds, at: SteadyMs, slowed: boolean): Promise<Standing> {
    return this.#look(bounds, at, slowed, false);
  }

  /** `isFirst`: another question about the call follows, so this one is not worth asking again. */
  async #look(bounds: CallerBounds, at: SteadyMs, slowed: boolean, isFirst: boolean): Promise<Standing> {
    const ask = this.#asking(scripts.look, this.#places.slice(0, 3));
    try {
      return (await this.#told(isFirst, () => this.#answer(ask, bounds, at, slowed, []))).standing;
    } catch (error) {
      if (!(error instanceof RedisAway)) throw error;
      return this.#share.look(this.#key, bounds, this.#now(at), slowed);
    }
  }

  /** A caller without room is asked about each time, and one with room once a minute: most calls have one round trip on their way in. */
  glance(bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Standing> {
    const { at: from, limits, standing } = this.#last ?? {};
    const isRecent = from !== undefined && at >= from && at < from + recentMs;
    const isSame = limits === bounds.limits && standing?.slowed === slowed;
    return isRecent && isSame && standing && !firstFull(limits, small, standing)
      ? standing
      : this.#look(bounds, at, slowed, true);
  }

  async reserve(
    id: RequestId,
    ask: Ask,
    bounds: CallerBounds,
    at: SteadyMs,
    slowed: boolean,
    joint?: JointEntry<unknown>,
  ): Promise<Reserved> {
    const { leases } = this.#account;
    const { client, gate, busy } = this.#tools;
    busy.add(this.#account);
    leases.coming.add(id);
    try {
      const atOnce = subjectNames.map((_, on) => bounds.atOnce[on] ?? -1);
      const rest = [id, gate, Number(ask.spends), ...figuresOf(ask), ...atOnce];
      const asking =
        joint instanceof RedisEntry && joint.client === client
          ? (args: readonly (string | number)[]) => joint.ask(this.#places, args)
          : this.#asking(scripts.reserve, this.#places);
      const { answer, standing, aheadMs } = await this.#told(this.#share.decides(ask, bounds), () =>
        this.#answer(asking, bounds, at, slowed, rest),
      );
      const [kind, which] = answer;
      if (kind === 'full') return { kind, standing, limit: bounds.limits[which] as Limit };
      if (kind === 'crowded') return { kind, standing, on: subjectNames[which] as SubjectName };
      const local = await this.#share.note(this.#key, id, ask, at + aheadMs);
      return this.#lease(id, ask, local, standing, standing.starts);
    } catch (error) {
      // It may have been taken, or may be taken yet: entering the leases again ends it.
      this.#account.doubt();
      if (!(error instanceof RedisAway)) throw error;
      this.#tools.onAway(at);
      return await this.#alone(id, ask, bounds, at, slowed);
    } finally {
      leases.coming.delete(id);
    }
  }

  /** Without Redis. */
  async #alone(id: RequestId, ask: Ask, bounds: CallerBounds, at: SteadyMs, slowed: boolean): Promise<Reserved> {
    const now = this.#now(at);
    const reserved = await this.#share.reserve(this.#key, { id, ask, bounds, at: now, slowed });
    if (reserved.kind !== 'lease') return reserved;
    return this.#lease(id, ask, reserved, reserved.standing, startsTextOf(this.#tools.calendar, now));
  }

  /** `local`: the same lease in the memory of this gate. */
  #lease(id: RequestId, ask: Ask, local: Lease, standing: Standing, starts: string): Lease {
    const account = this.#account;
    const held: HeldLease = {
      id,
      key: this.#key,
      runs: ask.spends,
      starts,
      use: ask,
      isSettled: false,
      told: undefined,
    };
    account.leases.add(held);
    this.#tools.holders.set(id, account);
    account.held++;
    let isOpen = true;
    const end = (use: Use | undefined): void => {
      if (!isOpen) return;
      isOpen = false;
      account.held--;
      if (use) {
        held.use = use;
        held.isSettled = true;
        local.settle(use);
      } else {
        account.leases.remove(id);
        this.#tools.holders.delete(id);
        local.cancel();
      }
      held.told = this.#tell(id, use);
      // Only then is there room: a script that the server does not know runs after what is asked meanwhile.
      void held.told.then(() => account.onEnd?.());
    };
    return { kind: 'lease', standing, at: local.at, settle: end, cancel: () => end(undefined) };
  }

  /** Off the path of the call. */
  #tell(id: RequestId, use: Use | undefined): Promise<void> {
    const { client, gate } = this.#tools;
    const account = this.#account;
    const figures = use ? figuresOf(use) : [-1, 0, 0, 0];
    return batchOf(client)
      .ask('end', this.#places, [client.channel(endsChannel), `${gate} ${account.id}`], [id, ...figures])
      .then(
        ({ said, at }) => {
          // Redis lacks a lease that this gate has: it has forgotten more.
          if ((said as number[])[at] === 0 && account.leases.has(id)) account.doubt();
        },
        () => account.doubt(),
      );
  }

  #asking(script: (typeof scripts)['look'], places: readonly string[]): Asking {
    return (args) => this.#tools.client.run(script, places, args);
  }

  #told(isOnce: boolean, work: () => Promise<Told>): Promise<Told> {
    return isOnce ? work() : this.#tools.client.twice(work, () => this.#account.doubt());
  }

  async #answer(
    ask: Asking,
    bounds: CallerBounds,
    at: SteadyMs,
    slowed: boolean,
    rest: readonly (string | number)[],
  ): Promise<Told> {
    const { client, generation, calendar, books } = this.#tools;
    const limits = argumentsOf(bounds.limits, slowed);
    let [skews, colds] = [0, 0];
    for (;;) {
      const name = generation.name === '' ? await generation.check() : generation.name;
      const aheadMs = this.#aheadMs();
      const starts = startsTextOf(calendar, at + aheadMs);
      const recoveries = books.recoveries(this.#account.id);
      const answer = (await ask([name, this.#key, client.now(), starts, recoveries, ...limits, ...rest])) as Answer;
      if (answer[0] === 'cold') {
        if (++colds > mostColds) throw new GatewayError('limits_unavailable');
        await this.#account.make(() => this.#now(at));
      } else if (answer[0] !== 'skew') {
        const asked = { at: at + aheadMs, aheadMs, slowed, starts };
        const standing = new RedisStanding(answer, bounds.limits, calendar, asked);
        this.#last = { at, limits: bounds.limits, standing };
        if (standing.isStale) this.#account.reconcile(() => this.#now(at));
        return { answer, aheadMs, standing };
      } else if (++skews > 1) throw new RedisAway('The clock of this machine and that of Redis differ.');
      else await client.readClock();
    }
  }

  /** How far this machine's clock is behind that of Redis, which all gates follow. */
  #aheadMs(): number {
    const { offsetMs } = this.#tools.client;
    return Math.abs(offsetMs) < aheadFromMs ? 0 : offsetMs;
  }

  #now(at: SteadyMs): number {
    return at + this.#aheadMs();
  }
}
