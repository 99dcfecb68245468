// Marks the keys that pages make for themselves. So far the pages of chats and of models made some: keys for an hour, of a fixed name.
import { type Kysely, sql } from 'kysely';

export async function markPageKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('keys')
    .addColumn('of_page', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await sql`update keys set of_page = 1 where name in ('playground', 'models page') and expires_at - created_at <= 3600000`.execute(
    db,
  );
}
