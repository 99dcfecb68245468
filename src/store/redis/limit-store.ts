// Keeps limits in Redis, so that any number of gates count as one. A call is decided there in one step and one round trip; everything
// else is off its path: leases are settled, renewed, and taken out when the ledger has their rows. Redis holds nothing that cannot be
// made again from the ledger and from what the gates hold. Loaded only if REDIS_URL is set.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Calendar } from '../../domain/calendar.ts';
import type { AccountId, RequestId } from '../../domain/id.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { LimitStore } from '../ports/limit-store.ts';
import type { BookSource } from './book-source.ts';
import type { RedisClient } from './client.ts';
import { Generation, idOf } from './generation.ts';
import { HeldElsewhere, type HeldNow, type HeldTools } from './held-elsewhere.ts';
import { endsChannel, type LimitTools, RedisAccount } from './limit-account.ts';
import { LocalShare, type ShareTools } from './limit-share.ts';

export interface RedisLimitSettings {
  readonly client: RedisClient;
  readonly calendar: Calendar;
  /** The steady clock. */
  readonly now: () => SteadyMs;
  readonly books: BookSource;
  /** Names this process among all gates, and no earlier one. */
  readonly gate: string;
  /** The gates that are alive. */
  readonly gates: () => readonly string[];
  /** Asks again which gates are alive; one may have started a moment ago. */
  readonly count: () => Promise<void>;
  /** What the other gates that are alive run while Redis is away, as each of them says in `heldNow`. */
  readonly others: HeldTools['others'];
  /** Counts this gate's share while Redis is away. */
  readonly without: LimitStore;
}

/** How long calls wait for it, and for how long it is right while Redis has only lost an answer. */
const countMs = 1_000;
const tickMs = 1_000;
const ticksToRenew = 10;
const ticksToLook = 60;

export class RedisLimits implements LimitStore {
  readonly #settings: RedisLimitSettings;
  readonly #busy = new Set<RedisAccount>();
  readonly #holders = new Map<RequestId, RedisAccount>();
  readonly #accounts = new Map<AccountId, WeakRef<RedisAccount>>();
  readonly #tools: LimitTools;
  readonly #elsewhere: HeldElsewhere;
  readonly #shareTools: ShareTools;
  readonly #timer: NodeJS.Timeout;
  #awaySince = -Infinity;
  #counting: Promise<unknown> = Promise.resolve();
  #countedMs = -Infinity;
  #ticks = 0;
  #ticking: Promise<void> | undefined;

  private constructor(settings: RedisLimitSettings) {
    const { client, calendar, gate, gates, books, now } = settings;
    this.#settings = settings;
    const onAway = (at: SteadyMs): void => {
      if (client.state !== 'up') return;
      this.#awaySince = at + client.offsetMs;
      if (performance.now() > this.#countedMs + countMs) this.#count();
    };
    const reenter = async (name: string): Promise<void> => {
      await Promise.all([...this.#busy].map((account) => account.adopt(name)));
    };
    const generation = new Generation({ client, gate, gates, reenter });
    this.#tools = { client, generation, calendar, gate, books, busy: this.#busy, holders: this.#holders, onAway };
    const own = idOf(gate);
    const ids = (): readonly string[] => [...new Set([...gates().map(idOf), own])].toSorted();
    const counted = (): Promise<unknown> => this.#counting;
    this.#elsewhere = new HeldElsewhere({ gate: own, gates: ids, counted, others: settings.others });
    this.#shareTools = {
      calendar,
      gate: own,
      gates: ids,
      counted,
      elsewhere: this.#elsewhere,
      awaySince: () => this.#awaySince,
    };
    client.onState((state) => {
      if (state === 'degraded') {
        this.#awaySince = now() + client.offsetMs;
        this.#count();
        const held = Object.fromEntries([...this.#busy].flatMap((account) => account.running()));
        this.#elsewhere.begin({ since: this.#awaySince, held });
      } else {
        this.#elsewhere.end();
        void this.tick();
      }
    });
    client.subscribe(endsChannel, (message) => {
      const [at = '', id = ''] = message.split(' ');
      // This gate has told its own calls.
      if (at !== gate)
        this.#accounts
          .get(id as AccountId)
          ?.deref()
          ?.onEnd?.();
    });
    this.#timer = setInterval(() => void this.tick(), tickMs).unref();
  }

  /** @throws RedisAway. */
  static async open(settings: RedisLimitSettings): Promise<RedisLimits> {
    const limits = new RedisLimits(settings);
    await limits.#tools.generation.check();
    return limits;
  }

  /** `recorded` is not used: the book may be there, and is made from the ledger as it is then. */
  async open(id: AccountId, _recorded: readonly UsageBucket[], at: SteadyMs): Promise<RedisAccount> {
    const known = this.#accounts.get(id)?.deref();
    if (known) return known;
    const local = await this.#settings.without.open(id, [], at);
    const account = new RedisAccount(id, this.#tools, new LocalShare(id, local, this.#shareTools));
    this.#accounts.set(id, new WeakRef(account));
    return account;
  }

  /** For the other gates: what this one ran when Redis went; undefined while it answers. */
  get heldNow(): HeldNow | undefined {
    return this.#elsewhere.now;
  }

  /** The ledger has the rows of these exchanges. */
  landed(ids: readonly RequestId[]): void {
    const there = ids.filter((id) => this.#holders.has(id));
    for (const [account, own] of Map.groupBy(there, (id) => this.#holders.get(id) as RedisAccount))
      void account.landed(own);
  }

  /** Enters again what did not reach Redis, renews what runs. Runs every second. */
  tick(): Promise<void> {
    this.#ticking ??= this.#tick().finally(() => (this.#ticking = undefined));
    return this.#ticking;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#elsewhere.end();
    await this.#ticking;
  }

  #count(): void {
    this.#countedMs = performance.now();
    this.#counting = Promise.race([this.#settings.count().catch(() => undefined), sleep(countMs)]);
  }

  async #tick(): Promise<void> {
    const { client, generation } = this.#tools;
    this.#ticks++;
    if (client.state === 'degraded') return;
    // Nothing is left of them, and if a generation has begun since, their books have to be made again.
    const over = [...this.#busy].filter((account) => account.isOver);
    try {
      const name = await generation.checkNext();
      for (const account of over) if (account.isOver) this.#busy.delete(account);
      const unsure = [...this.#busy].filter(({ isUnsure }) => isUnsure);
      await Promise.all(unsure.map((account) => account.adopt(name)));
      if (this.#ticks % ticksToRenew === 0) await Promise.all([...this.#busy].map((account) => account.renew()));
      if (this.#ticks % ticksToLook === 0) await this.#lookForRows();
    } catch {
      // What did not arrive is still unsure, and the next tick tries again.
    }
    if (this.#ticks % ticksToLook === 0)
      for (const [id, account] of this.#accounts) if (!account.deref()) this.#accounts.delete(id);
  }

  /** Rows that another process added, such as the one that recovered the journal, were not announced here. */
  async #lookForRows(): Promise<void> {
    const settled = [...this.#busy].flatMap(({ leases }) => leases.settled());
    const known = await this.#tools.books.known(settled);
    this.landed([...known] as RequestId[]);
  }
}
