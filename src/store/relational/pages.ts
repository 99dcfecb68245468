// Continues a list after a position.
import { type RawBuilder, type SqlBool, sql } from 'kysely';

/** After a position in the order of time and id. */
export function behind({ at, id }: { readonly at: number; readonly id: string }): RawBuilder<SqlBool> {
  return sql<SqlBool>`(created_at > ${at} or (created_at = ${at} and id > ${id}))`;
}
