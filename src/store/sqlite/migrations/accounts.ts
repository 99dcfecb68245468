// Marks accounts without limits explicitly, instead of by a missing plan.
import { type Kysely, sql } from 'kysely';
import { skeletonOf } from '../../../domain/label.ts';

export async function sayUnlimited(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('accounts')
    .addColumn('unlimited', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await sql`update accounts set unlimited = 1 where plan is null and role = 'operator' and closed_at is null`.execute(
    db,
  );
  // Operators who became members or auditors had kept "no plan"; accounts without the role get limits.
  await sql`update accounts set plan = 'default' where plan is null and unlimited = 0`.execute(db);
  // Looking up the events of one account must not read those of all accounts.
  await db.schema.createIndex('audit_events_by_subject').on('audit_events').columns(['subject', 'id']).execute();
}

/** A key that is equal for names people take for the same (label.ts); existing twins stay. */
export async function addSkeletons(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('accounts')
    .addColumn('skeleton', 'text', (column) => column.notNull().defaultTo(''))
    .execute();
  const { rows } = await sql<{
    id: string;
    name: string;
  }>`select id, name from accounts where closed_at is null`.execute(db);
  for (const { id, name } of rows)
    await sql`update accounts set skeleton = ${skeletonOf(name)} where id = ${id}`.execute(db);
  await db.schema.createIndex('accounts_by_skeleton').on('accounts').column('skeleton').execute();
}
