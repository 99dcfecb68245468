// What an application keeps until its address is confirmed, and its mailbox.
import { type Kysely, sql } from 'kysely';
import { mailboxOf } from '../../../domain/mailbox.ts';

export async function openBarred(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('barred')
    .addColumn('digest', 'text', (column) => column.primaryKey().notNull())
    .addColumn('until', 'bigint')
    .execute();
}

export async function openAdmission(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  for (const name of ['mailbox', 'source'])
    await schema
      .alterTable('applications')
      .addColumn(name, 'text', (column) => column.notNull().defaultTo(''))
      .execute();
  await schema.alterTable('applications').addColumn('confirm_by', 'bigint').execute();
  await schema.alterTable('applications').addColumn('password', 'text').execute();
  const { rows } = await sql<{
    id: string;
    email: string;
  }>`select id, email from applications where email <> ''`.execute(db);
  for (const { id, email } of rows)
    await sql`update applications set mailbox = ${mailboxOf(email)} where id = ${id}`.execute(db);
  await schema.createIndex('applications_by_mailbox').on('applications').column('mailbox').execute();
}
