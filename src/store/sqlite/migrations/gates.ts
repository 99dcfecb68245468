// What several gates on one database need: who they are, an epoch for each lease, and which gate pulls a model. SQLite has one gate,
// and the same tables.
import type { Kysely } from 'kysely';

export async function openGates({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('gates')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('epoch', 'bigint', (column) => column.notNull())
    .addColumn('until', 'bigint', (column) => column.notNull())
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('host', 'text', (column) => column.notNull())
    .execute();
  await schema
    .alterTable('leases')
    .addColumn('epoch', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute();
  await schema
    .alterTable('pulls')
    .addColumn('gate', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
}
