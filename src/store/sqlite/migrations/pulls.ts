// Pulls of models that the gateway has started.
import { type Kysely, sql } from 'kysely';

export async function openPulls(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('pulls')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('server', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('started_by', 'text', (column) => column.notNull())
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('error', 'text')
    .execute();
  // Kysely names the columns of a condition only if they are in the index, where nulls would make rows differ.
  await sql`create unique index pulls_running on pulls (server, model) where ended_at is null`.execute(db);
}
