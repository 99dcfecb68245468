// Whether the gate is under maintenance: one row, whose definition is null while it is not.
import { type Kysely, sql } from 'kysely';

export async function openMaintenance(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('maintenance')
    .addColumn('id', 'integer', (column) => column.primaryKey().notNull())
    .addColumn('definition', 'text')
    .execute();
  await sql`insert into maintenance values (1, null)`.execute(db);
}
