// One row, whose figure grows with every change that other processes have to hear of; triggers raise it (change-count.ts).
import { type Kysely, sql } from 'kysely';

export async function openStoreVersion(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('store_version')
    .addColumn('id', 'integer', (column) => column.primaryKey().notNull())
    .addColumn('n', 'bigint', (column) => column.notNull())
    .execute();
  await sql`insert into store_version values (1, 0)`.execute(db);
}
