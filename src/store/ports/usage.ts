// The ledger: one row an exchange, and the sums that are written with the rows.
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Outcome, UsageBucket, UsageRecord, UsageSum } from '../../domain/usage.ts';

export type ReportBy = 'key' | 'account' | 'model' | 'quarter';

export interface ReportRow extends UsageSum {
  /** Id, model name, or the number of the quarter of an hour since 1970 as text. */
  readonly group: string;
  /** A name for people, where the group is an id. */
  readonly name: string | null;
}

export interface UsageFilter {
  readonly accountId?: AccountId;
  readonly keyId?: KeyId;
  readonly model?: string;
  readonly outcome?: Outcome;
  /** Unix milliseconds. */
  readonly since?: number;
  readonly until?: number;
}

export interface UsageStore {
  /** Adds the rows that are not there yet, and them alone to the roll-ups, in one transaction. */
  appendUsage(records: readonly UsageRecord[]): Promise<void>;
  /** The ids among these that the ledger already holds. */
  knownUsage(ids: readonly string[]): Promise<Set<string>>;
  /** The newest rows first; those before an id, where one is given. */
  listUsage(limit: number, before?: string): Promise<UsageRecord[]>;
  /**
   * The newest rows first that a filter lets through, behind an id where one is given. Looks at a bounded number of rows
   * (the ledger has no index but time), `look` where it is given: a page may be short, even empty, and still have a next.
   */
  searchUsage(
    filter: UsageFilter,
    limit: number,
    before?: string,
    look?: number,
  ): Promise<{ readonly rows: UsageRecord[]; readonly next: string | undefined }>;
  /** What every key, or every key of an account, did in [since, before), by the minute, from the raw rows. */
  usageByMinute(since: WallMs, before?: WallMs, accountId?: AccountId): Promise<UsageBucket[]>;
  /** What an account's keys did in the quarters of an hour that [from, before) touches, from the roll-ups. */
  usageByQuarter(accountId: AccountId, from: WallMs, before: WallMs): Promise<UsageBucket[]>;
  /** Sums of the quarters that [from, before) touches, from the roll-ups; ordered by group where it is the quarter, else by tokens. */
  reportUsage(by: ReportBy, from: WallMs, before: WallMs, accountId?: AccountId): Promise<ReportRow[]>;
  /** Removes at most so many raw rows that began before; gives how many there were. Roll-ups stay. */
  pruneUsage(before: WallMs, limit: number): Promise<number>;
}
