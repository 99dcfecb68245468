// What the queries of every subject stand on: what differs between databases, and the audit event that goes with a change.
import { type RawBuilder, type SqlBool, sql, type Transaction } from 'kysely';
import type { Role } from '../domain/account.ts';
import type { AuditEvent } from '../domain/audit.ts';
import type { KeyId } from '../domain/id.ts';
import type { SignInTables } from './ports.ts';
import type { Tables } from './schema.ts';

/** What differs between databases. */
export interface Adapter {
  readonly type: SignInTables['type'];
  readonly version: () => Promise<number>;
  /** A quicker way than the query builder to add rows that are not there yet, roll-ups included, all or none; optional. */
  readonly appendUsage?: (rows: readonly Tables['usage'][]) => void;
  /** A quicker way to one key with its account and plan; optional. */
  readonly findCaller?: (id: KeyId) => CallerRow | undefined;
}

/** A key's row with what its account and plan add. */
export type CallerRow = Tables['keys'] & {
  readonly account_name: string;
  readonly account_created_at: number;
  readonly account_role: Role;
  readonly account_closed_at: number | null;
  readonly plan_name: string | null;
  readonly plan_version: number | null;
  readonly plan_terms: string | null;
};

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
