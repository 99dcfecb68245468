// Announcements, and which people have dismissed which.
import type { Kysely } from 'kysely';

export async function openAnnouncements({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('announcements')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('changed_at', 'bigint', (column) => column.notNull())
    .addColumn('definition', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('dismissals')
    .addColumn('person_id', 'text', (column) => column.notNull().references('people.id').onDelete('cascade'))
    .addColumn('announcement_id', 'text', (column) =>
      column.notNull().references('announcements.id').onDelete('cascade'),
    )
    .addPrimaryKeyConstraint('dismissals_key', ['person_id', 'announcement_id'])
    .execute();
}
