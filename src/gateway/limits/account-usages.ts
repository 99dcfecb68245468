// The usage of every account that called lately. The first call of an account reads its past use from the ledger, so that its
// limits and the figures of the ladder survive a restart. Decides nothing.
import { longestWindowMs } from '../../domain/calendar.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { Soon } from '../../domain/soon.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { Clocks } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { LimitStore } from '../../store/ports/limit-store.ts';
import type { Store } from '../../store/ports/store.ts';
import { AccountUsage } from './account-usage.ts';

/** An account's history in the store; key ids are those of the first key in the chain of rotations. */
export interface History {
  /** By quarter of an hour, recent ones by minute; oldest first, in times of the steady clock. */
  readonly buckets: readonly UsageBucket[];
  /** Newest first, in times of the wall clock. */
  readonly steps: readonly Suspension[];
}

type Source = Pick<Store, 'usageByMinute' | 'usageByQuarter' | 'findKey' | 'latestSteps'>;

const minuteMs = 60_000;
const quarterMs = 15 * minuteMs;
const hourMs = 60 * minuteMs;
/** Usage unused for this long holds nothing that the roll-ups lack. */
const forgetAfterMs = 2 * hourMs;

export class AccountUsages {
  readonly #source: Source;
  readonly #limits: LimitStore;
  readonly #clocks: Clocks;
  readonly #onOpen: (usage: AccountUsage, history: History) => void;
  readonly #accountUsages = new Map<AccountId, AccountUsage>();
  readonly #opening = new Map<AccountId, Promise<AccountUsage>>();
  /** Minutes before the start of this process, of accounts not seen yet; complete from `fineFrom` on. */
  readonly #minutes: Map<AccountId, UsageBucket[]>;
  readonly #fineFrom: number;

  private constructor(
    source: Source,
    limits: LimitStore,
    clocks: Clocks,
    onOpen: (usage: AccountUsage, history: History) => void,
    minutes: readonly UsageBucket[],
    fineFrom: number,
  ) {
    this.#source = source;
    this.#limits = limits;
    this.#clocks = clocks;
    this.#onOpen = onOpen;
    this.#minutes = Map.groupBy(minutes, ({ accountId }) => accountId);
    this.#fineFrom = fineFrom;
  }

  /**
   * Reads the last hour or two by minute; older usage is read per account, by quarter of an hour. `onOpen` is called
   * for each account with its history, which is not kept.
   */
  static async open(
    source: Source,
    limits: LimitStore,
    clocks: Clocks,
    onOpen: (usage: AccountUsage, history: History) => void,
  ): Promise<AccountUsages> {
    const oldest = clocks.wall() - hourMs;
    const fineFrom = oldest - (oldest % hourMs);
    return new AccountUsages(source, limits, clocks, onOpen, await source.usageByMinute(fineFrom), fineFrom);
  }

  /** Synchronous if the account was seen before. */
  of(accountId: AccountId): Soon<AccountUsage> {
    const usage = this.#accountUsages.get(accountId);
    if (usage) return usage;
    let opening = this.#opening.get(accountId);
    if (!opening) {
      opening = this.#open(accountId).finally(() => this.#opening.delete(accountId));
      this.#opening.set(accountId, opening);
    }
    return opening;
  }

  /** Closes usages that were not needed for hours. Call periodically. */
  sweep(): void {
    // The ledger uses the wall clock. After that was set, older rows fall into other windows than they were counted in.
    if (this.#clocks.wasSet) return;
    const now = this.#clocks.steady();
    const before = now - forgetAfterMs;
    for (const [accountId, usage] of this.#accountUsages)
      if (usage.idle && usage.lastSeenAt < before && !usage.holdsUnwritten(now)) this.#accountUsages.delete(accountId);
  }

  async #open(accountId: AccountId): Promise<AccountUsage> {
    const { wall, steady, toSteady, wasSet } = this.#clocks;
    const [wallNow, now] = [wall(), steady()];
    const minutes = this.#minutes.get(accountId) ?? [];
    const before = this.#minutes.has(accountId) ? this.#fineFrom : Infinity;
    const [quarters, steps] = await Promise.all([
      this.#source.usageByQuarter(accountId, wallNow - longestWindowMs, Math.min(before, wallNow + 1)),
      this.#source.latestSteps(accountId),
    ]);
    // Rows have times of the wall clock, windows those of the steady clock. After that was set, what may be of two windows counts in the
    // later one.
    const placed =
      (lengthMs: number) =>
      (bucket: UsageBucket): UsageBucket => ({
        ...bucket,
        at: wasSet ? Math.min(toSteady(bucket.at + lengthMs - 1), now) : bucket.at,
      });
    const buckets = [...quarters.map(placed(quarterMs)), ...minutes.map(placed(minuteMs))];
    const lineages = await this.#lineages([...buckets, ...steps]);
    const firstOf = (id: KeyId): KeyId => lineages.get(id) ?? id;
    const history: History = {
      buckets: buckets.toSorted((a, b) => a.at - b.at).map((bucket) => ({ ...bucket, keyId: firstOf(bucket.keyId) })),
      steps: steps.map((step) => ({ ...step, keyId: step.keyId && firstOf(step.keyId) })),
    };
    const usage = new AccountUsage(await this.#limits.open(accountId, history.buckets, now));
    usage.lastSeenAt = now;
    this.#onOpen(usage, history);
    this.#minutes.delete(accountId);
    this.#accountUsages.set(accountId, usage);
    return usage;
  }

  async #lineages(named: readonly { readonly keyId: KeyId | null }[]): Promise<ReadonlyMap<KeyId, KeyId>> {
    const ids = [...new Set(named.flatMap(({ keyId }) => keyId ?? []))];
    const keys = await Promise.all(ids.map((id) => this.#source.findKey(id)));
    return new Map(keys.flatMap((key) => (key ? [[key.id, key.lineage] as const] : [])));
  }
}
