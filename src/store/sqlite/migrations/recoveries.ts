// When calls of an account last came from the journal of a gateway that had ended.
import type { Kysely } from 'kysely';

export async function openRecoveries(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('recoveries')
    .addColumn('account_id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('n', 'bigint', (column) => column.notNull())
    .execute();
}
