// Tables for certificates that the gateway obtains, shared by every gateway with this store.
import type { Kysely } from 'kysely';

export async function openCertificates({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('certificates')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('chain', 'text', (column) => column.notNull())
    .addColumn('private_key', 'text', (column) => column.notNull())
    .addColumn('issued_at', 'bigint', (column) => column.notNull())
    .addColumn('not_after', 'bigint', (column) => column.notNull())
    .execute();
  await schema
    .createTable('acme_accounts')
    .addColumn('directory', 'text', (column) => column.primaryKey().notNull())
    .addColumn('private_key', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('acme_challenges')
    .addColumn('token', 'text', (column) => column.primaryKey().notNull())
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('answer', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  await schema
    .createTable('leases')
    .addColumn('name', 'text', (column) => column.primaryKey().notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('until', 'bigint', (column) => column.notNull())
    .execute();
}
