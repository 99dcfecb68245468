// What differs between databases, in one object. The queries beside this file are the same for all of them; whatever a query
// cannot say to every database alike goes through here, so that a second database is a folder with an engine in it.
import type { Kysely, RawBuilder, SqlBool, Transaction } from 'kysely';
import type { Role } from '../../domain/account.ts';
import type { KeyId } from '../../domain/id.ts';
import type { SignInTables } from '../ports/store.ts';
import type { Tables } from './tables.ts';

/**
 * Of its connection an engine promises: texts compare by their bytes, a boolean may be written to a `Flag` column, and a
 * database that another program holds up answers with `StoreBusy`.
 */
export interface Engine {
  readonly type: SignInTables['type'];
  /**
   * Runs the work in one serializable transaction: what it reads stays true until it commits, so it may check and then act.
   * Where the database gives up on a transaction because of another one, the work runs again from its beginning.
   */
  transact<T>(db: Kysely<Tables>, work: (transaction: Transaction<Tables>) => Promise<T>): Promise<T>;
  /** The column has this text somewhere, ASCII letter case aside; what is asked for is never a pattern. */
  holds(column: 'name' | 'email', search: string): RawBuilder<SqlBool>;
  /** A figure that changes when another process has written, and only then. */
  version(): Promise<number>;
  /** A sentence where the database that is open is no longer the one that another process would open. */
  loss(): string | undefined;
  /** A quicker way than the query builder to add rows that are not there yet, roll-ups included, all or none; optional. */
  readonly appendUsage?: (rows: readonly Tables['usage'][]) => void;
  /**
   * A quicker way to one key with its account and plan; optional. `behind`: a transaction is open on the connection that it
   * reads from, so that it would see what may never be committed.
   */
  readonly findCaller?: ((id: KeyId) => CallerRow | undefined) & { readonly behind: () => boolean };
}

/** A key's row with what its account and plan add. */
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
