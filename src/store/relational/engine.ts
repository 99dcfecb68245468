// The differences between databases, in one object. The queries in this folder are the same for all databases; whatever
// cannot be expressed portably goes through here, so that another database is a folder with an engine.
import type { Kysely, RawBuilder, SqlBool, Transaction } from 'kysely';
import type { Role } from '../../domain/account.ts';
import type { KeyId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { ChangedAccounts } from '../ports/change-feed.ts';
import type { SignInTables } from '../ports/store.ts';
import type { Tables } from './tables.ts';

/**
 * An engine guarantees for its connection: texts compare by their bytes, a boolean may be written to a `Flag` column,
 * and a database that is locked by another program answers with `StoreBusy`.
 */
export interface Engine {
  readonly type: SignInTables['type'];
  /**
   * Runs the work in one serializable transaction: what it reads stays true until it commits, so it may check and then
   * act. If the database aborts a transaction because of another one, the work runs again from the start.
   */
  transact<T>(db: Kysely<Tables>, work: (transaction: Transaction<Tables>) => Promise<T>): Promise<T>;
  /** The time of the database in Unix milliseconds. */
  readonly now: RawBuilder<number>;
  /** Whether the column contains this text, ignoring ASCII case; the text is never a pattern. */
  holds(column: SearchedColumn, search: string): RawBuilder<SqlBool>;
  /** `known`: a figure that was read before. */
  version(known: Version['figure'] | undefined): Promise<Version>;
  /** A sentence if the open database is no longer the one that another process would open. */
  loss(): string | undefined;
  /** Optional: a faster way than the query builder to add missing rows, with roll-ups, all or none. */
  readonly appendUsage?: (db: Kysely<Tables>, rows: readonly Tables['usage'][]) => Promise<void>;
  /** Optional: removes a part of the ledger of which every row began before this time; false if there is none. */
  readonly dropUsage?: (transaction: Transaction<Tables>, before: WallMs) => Promise<boolean>;
  /** Optional: keeps rows from being added to the ledger while their sums are added up, until the transaction ends. */
  readonly lockSums?: (transaction: Transaction<Tables>) => Promise<void>;
  /**
   * Optional: a faster way to read one key with its account and plan. `behind`: a transaction is open on the connection
   * that it reads from, so it could see uncommitted data.
   */
  readonly findCaller?: ((id: KeyId) => CallerRow | undefined) & { readonly behind: () => boolean };
}

export interface Version {
  /**
   * Changes if and only if another process has changed anything but the ledger and the last use of keys, or the server is another
   * one, or was started again.
   */
  readonly figure: number | string;
  /** Whose calls may have to be decided otherwise since the known figure. Changes of this process are among them, unless it is all. */
  readonly accounts: ChangedAccounts;
}

/** Columns that people search. */
export type SearchedColumn = 'name' | 'email' | `${'accounts' | 'keys' | 'people'}.${'name' | 'email'}`;

/** A key's row, joined with its account and plan. */
export type CallerRow = Tables['keys'] & {
  readonly account_name: string;
  readonly account_created_at: number;
  readonly account_role: Role;
  readonly account_closed_at: number | null;
  readonly account_unlimited: number;
  readonly plan_name: string | null;
  readonly plan_version: number | null;
  readonly plan_terms: string | null;
};
