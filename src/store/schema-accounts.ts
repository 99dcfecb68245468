// What an account without limits is: a fact that is said, and not a plan that is missing.
import { type Kysely, sql } from 'kysely';

export async function sayUnlimited(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('accounts')
    .addColumn('unlimited', 'integer', (column) => column.notNull().defaultTo(0))
    .execute();
  await sql`update accounts set unlimited = 1 where plan is null and role = 'operator' and closed_at is null`.execute(
    db,
  );
  // Operators who were made members or auditors had kept "no plan"; whoever has lost the role has limits like anybody.
  await sql`update accounts set plan = 'default' where plan is null and unlimited = 0`.execute(db);
  // What is looked up for one account must not cost a look at everybody's events.
  await db.schema.createIndex('audit_events_by_subject').on('audit_events').columns(['subject', 'id']).execute();
}
