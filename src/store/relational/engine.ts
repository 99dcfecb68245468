// What the queries of every subject stand on: what differs between databases, and the audit event that goes with a change.
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Kysely, type RawBuilder, type SqlBool, sql, type Transaction } from 'kysely';
import type { Role } from '../../domain/account.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { KeyId } from '../../domain/id.ts';
import type { SignInTables } from '../ports/store.ts';
import type { Tables } from '../sqlite/migrations/list.ts';

/** What differs between databases. */
export interface Adapter {
  readonly type: SignInTables['type'];
  readonly version: () => Promise<number>;
  /** A sentence where the database that is open is no longer the one that another process would open. */
  readonly loss: () => string | undefined;
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

/**
 * A change in one transaction of its own, or as a part of the one that is open. Transactions are serializable in every
 * adapter: what one of them reads stays true until it commits, so that it may check and then act.
 */
export function inTransaction<T>(
  db: Kysely<Tables>,
  work: (transaction: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  return db.isTransaction ? work(db as Transaction<Tables>) : db.transaction().execute(work);
}

const decisions = new AsyncLocalStorage<{ open: boolean }>();

/** Does what runs now belong to an open decision? Then waiting for another connection could be waiting for itself. */
export const isDeciding = (): boolean => decisions.getStore()?.open === true;

/** Runs a decision, which uses the connection that it has and waits for no other. */
export async function deciding<T>(work: () => Promise<T>): Promise<T> {
  const decision = { open: true };
  try {
    return await decisions.run(decision, work);
  } finally {
    decision.open = false;
  }
}

export async function writeAudit(transaction: Transaction<Tables>, event: AuditEvent): Promise<void> {
  const { id, at, actor, action, subject, from, to } = event;
  const text = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
  await transaction
    .insertInto('audit_events')
    .values({ id, at, actor, action, subject, from_value: text(from), to_value: text(to) })
    .execute();
}

/** Behind a place in the order of time and id. */
export function behind({ at, id }: { readonly at: number; readonly id: string }): RawBuilder<SqlBool> {
  return sql<SqlBool>`(created_at > ${at} or (created_at = ${at} and id > ${id}))`;
}

/** A column that has this text somewhere, ASCII letter case aside; what is asked for is never a pattern. */
export function holds(column: 'name' | 'email', search: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`instr(lower(${sql.ref(column)}), lower(${search})) > 0`;
}
