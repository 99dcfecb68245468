// Aliases and fallbacks of models, and what the ledger says about calls that use them.
import type { Kysely } from 'kysely';

export async function openNames({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('model_names')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('canonical', 'text', (column) => column.notNull().unique())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('changed_at', 'bigint', (column) => column.notNull())
    .addColumn('definition', 'text', (column) => column.notNull())
    .execute();
  for (const name of ['asked_model', 'fallback_for'])
    await schema.alterTable('usage').addColumn(name, 'text').execute();
}
