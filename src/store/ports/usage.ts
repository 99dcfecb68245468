// The ledger: one row per exchange, and the roll-ups that are written with the rows.
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Outcome, UsageBucket, UsageRecord, UsageSum } from '../../domain/usage.ts';

export type ReportBy = 'key' | 'account' | 'model' | 'hour' | 'quarter';

export interface ReportRow extends UsageSum {
  /** An id, a model name, or the number of the hour or quarter of an hour since 1970 as text. */
  readonly group: string;
  /** A display name, if the group is an id. */
  readonly name: string | null;
}

/** Refused exchanges of the minute that begins at `at`. */
export interface RefusalCount {
  readonly at: number;
  readonly code: string;
  readonly count: number;
}

export interface UsageFilter {
  readonly accountId?: AccountId;
  /** Of any of them. */
  readonly accounts?: readonly AccountId[];
  readonly keyId?: KeyId;
  /** Of any of them. */
  readonly keys?: readonly KeyId[];
  readonly model?: string;
  /** The canonical name that was asked for, where another model answered. */
  readonly askedModel?: string;
  readonly outcome?: Outcome;
  /** The name of a model server or service. */
  readonly server?: string;
  readonly status?: number;
  readonly code?: string;
  readonly figures?: Readonly<Partial<Record<RowFigure, FigureBounds>>>;
  /** Unix milliseconds of the request head. */
  readonly since?: number;
  readonly until?: number;
}

/** What rows can be searched by within bounds; tokens are those of prompt and completion. */
export const rowFigures = ['tokens', 'queuedMs', 'firstTokenMs', 'durationMs', 'tokensPerSecond'] as const;
export type RowFigure = (typeof rowFigures)[number];

/** Both inclusive. A row without the figure is in no bounds. */
export interface FigureBounds {
  readonly least?: number | undefined;
  readonly most?: number | undefined;
}

/** What the roll-ups keep apart. */
export type ReportFilter = Pick<UsageFilter, 'accountId' | 'keyId' | 'model'>;

export interface UsageStore {
  /** Adds the rows that are missing, and only those to the roll-ups, in one transaction. */
  appendUsage(records: readonly UsageRecord[]): Promise<void>;
  /** Those of the ids that the ledger holds. */
  knownUsage(ids: readonly string[]): Promise<Set<string>>;
  /** Newest rows first, optionally only those before an id. */
  listUsage(limit: number, before?: string): Promise<UsageRecord[]>;
  /**
   * The newest rows first that match a filter, optionally only those before an id. The sums say where rows can be, since the
   * ledger is indexed only by time. About `look` rows are examined: a page may be short, even empty, and still have a next one.
   */
  searchUsage(
    filter: UsageFilter,
    limit: number,
    before?: string,
    look?: number,
  ): Promise<{ readonly rows: UsageRecord[]; readonly next: string | undefined }>;
  findUsage(id: string): Promise<UsageRecord | undefined>;
  /**
   * Notes that the ledger has got calls of these accounts from the journal of a gateway that ended, so that sums of before are made again.
   * Call it when the rows are there, and before the journal forgets them.
   */
  noteRecovered(accounts: ReadonlySet<AccountId>): Promise<void>;
  /**
   * The last mark of these accounts, or of all; an account that has none is missing. A mark is higher than each one before it, also than one
   * that the database has lost since, because it is the time of the database.
   */
  recoveries(accounts?: ReadonlySet<AccountId>): Promise<ReadonlyMap<AccountId, number>>;
  /** The usage of every key, or of an account's keys, in [since, before), by minute, from the raw rows. */
  usageByMinute(since: WallMs, before?: WallMs, accountId?: AccountId): Promise<UsageBucket[]>;
  /** What was refused since then, by minute and code; several counts may be of one. */
  refusalsByMinute(since: WallMs): Promise<readonly RefusalCount[]>;
  /** Adds refusals of callers without an account, by code; forgets those of more than an hour before. */
  addStrangers(at: WallMs, counts: ReadonlyMap<string, number>): Promise<void>;
  /** The usage of an account's keys in the quarters of an hour that [from, before) touches, from the roll-ups. */
  usageByQuarter(accountId: AccountId, from: WallMs, before: WallMs): Promise<UsageBucket[]>;
  /** Sums of the quarters that [from, before) touches, from the roll-ups; ordered by time, or else by tokens. */
  reportUsage(by: ReportBy, from: WallMs, before: WallMs, filter?: ReportFilter): Promise<ReportRow[]>;
  /**
   * Makes reports faster, and changes none: adds quarters that end before to the sums over longer blocks, about `limit` sums of
   * them. Returns whether there may be more.
   */
  sumUsage(before: WallMs, limit: number): Promise<boolean>;
  /** Removes up to `limit` raw rows that began before; returns their number. Roll-ups stay. */
  pruneUsage(before: WallMs, limit: number): Promise<number>;
}
