// Published services that are added while the gate runs.
import type { Kysely } from 'kysely';

export async function openRoutes({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('routes')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('changed_at', 'bigint', (column) => column.notNull())
    .addColumn('options', 'text', (column) => column.notNull())
    .execute();
}
