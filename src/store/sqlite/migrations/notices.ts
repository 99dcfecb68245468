// Gives notices a state: which process is sending one, until when, and when it was done.
import { type Kysely, sql } from 'kysely';

/** Rows used to be written before their email was sent. Whether it was sent is unknown, and none is sent again. */
export async function addNoticeStates(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .alterTable('notices')
    .addColumn('owner', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
  await schema
    .alterTable('notices')
    .addColumn('until', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute();
  await schema.alterTable('notices').addColumn('done_at', 'bigint').execute();
  await sql`update notices set done_at = at`.execute(db);
}
