// Refusals of callers without an account, by minute and code; of the last hour only.
import type { Kysely } from 'kysely';

export async function openStrangerRefusals(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('stranger_refusals')
    .addColumn('minute', 'bigint', (column) => column.notNull())
    .addColumn('code', 'text', (column) => column.notNull())
    .addColumn('count', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('stranger_refusals_key', ['minute', 'code'])
    .execute();
}
