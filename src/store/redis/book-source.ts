// What the ledger has of an account, for making its book: the sums in the windows of a moment, and which leases are among them.
import { type Calendar, windowNames } from '../../domain/calendar.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { Clocks, SteadyMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { ChangedAccounts } from '../ports/change-feed.ts';
import type { Store } from '../ports/store.ts';

export interface BookSource {
  /** Those of the leases that the ledger has. */
  known(leases: readonly string[]): Promise<ReadonlySet<string>>;
  /** The account's use since the longest of the windows of `at` began, each key named by the first one of its rotations. */
  sums(account: AccountId, at: SteadyMs): Promise<LedgerSums>;
  /** The mark of the last journal with calls of it that this gate has heard of, or 0. A book whose sums are of a lower one lacks calls. */
  recoveries(account: AccountId): number;
}

export interface LedgerSums {
  /** The mark of the last journal that brought calls of the account, or 0: the sums have at least these. */
  readonly recoveries: number;
  /** Of the minute that runs. */
  readonly minutes: readonly UsageBucket[];
  /** By quarter of an hour, of which every longer window consists. */
  readonly quarters: readonly UsageBucket[];
}

const minuteMs = 60_000;
/** Calls count, too, whose time is still to come because the clock was set back since. */
const aheadMs = 366 * 24 * 60 * minuteMs;

type Source = Pick<Store, 'usageByMinute' | 'usageByQuarter' | 'findKey' | 'knownUsage' | 'recoveries'>;

export class LedgerBooks implements BookSource {
  readonly #source: Source;
  readonly #calendar: Calendar;
  readonly #clocks: Pick<Clocks, 'toSteady' | 'toWall'>;
  #recoveries = new Map<AccountId, number>();

  constructor(source: Source, calendar: Calendar, clocks: Pick<Clocks, 'toSteady' | 'toWall'>) {
    this.#source = source;
    this.#calendar = calendar;
    this.#clocks = clocks;
  }

  recoveries(account: AccountId): number {
    return this.#recoveries.get(account) ?? 0;
  }

  /** Hears of journals that were read since. */
  async hear(accounts: ChangedAccounts = 'all'): Promise<void> {
    const heard = await this.#source.recoveries(accounts === 'all' ? undefined : accounts);
    if (accounts === 'all') this.#recoveries = new Map(heard);
    else for (const [account, n] of heard) this.#recoveries.set(account, n);
  }

  known(leases: readonly string[]): Promise<ReadonlySet<string>> {
    return leases.length === 0 ? Promise.resolve(new Set()) : this.#source.knownUsage(leases);
  }

  async sums(account: AccountId, at: SteadyMs): Promise<LedgerSums> {
    const { toSteady, toWall } = this.#clocks;
    const from = Math.min(...windowNames.map((window) => this.#calendar[window](at).startsAt));
    const minute = this.#calendar.minute(at).startsAt;
    // First: rows that come later make it higher.
    const recoveries = (await this.#source.recoveries(new Set([account]))).get(account) ?? 0;
    const [quarters, minutes] = await Promise.all([
      this.#source.usageByQuarter(account, toWall(from), toWall(at) + aheadMs),
      this.#source.usageByMinute(toWall(minute), toWall(minute) + minuteMs, account),
    ]);
    const firstOf = await this.#lineages([...quarters, ...minutes]);
    const placed = (bucket: UsageBucket): UsageBucket => ({
      ...bucket,
      at: toSteady(bucket.at),
      keyId: firstOf.get(bucket.keyId) ?? bucket.keyId,
    });
    return { recoveries, minutes: minutes.map(placed), quarters: quarters.map(placed) };
  }

  async #lineages(buckets: readonly UsageBucket[]): Promise<ReadonlyMap<KeyId, KeyId>> {
    const ids = [...new Set(buckets.map(({ keyId }) => keyId))];
    const keys = await Promise.all(ids.map((id) => this.#source.findKey(id)));
    return new Map(keys.flatMap((key) => (key ? [[key.id, key.lineage] as const] : [])));
  }
}
