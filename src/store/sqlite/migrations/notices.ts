// Notices get states: who is sending one, until when nobody else does, and when it was done.
import { type Kysely, sql } from 'kysely';

/** Until here a row was written before its letter was sent; whether it was, nobody can say, and none is sent again. */
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
