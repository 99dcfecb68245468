// Replaces the notices by the outbox. The old table stays for the previous version: sent notices become done rows, and
// unsent ones due rows.
import { type Kysely, sql } from 'kysely';

/** Older events are not announced any more. */
const newsMs = 24 * 3_600_000;

export async function openOutbox(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('outbox')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('payload', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('due_at', 'bigint', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('until', 'bigint', (column) => column.notNull())
    .addColumn('done_at', 'bigint')
    .execute();
  await schema.createIndex('outbox_by_state').on('outbox').columns(['state', 'due_at']).execute();
  await sql`
    insert into outbox
    select id, 'email', '{}', at, at, 0, 'done', '', 0, done_at from notices where done_at is not null`.execute(db);
  const since = Date.now() - newsMs;
  await sql`
    insert into outbox
    select id || ' decided', 'email', json_object('email', 'decided', 'application', id), decided_at, decided_at, 0, 'due', '', 0, null
    from applications
    where status <> 'pending' and decided_at >= ${since} and email <> ''
      and not (coalesce(decided_by, '') like 'registration:%' and confirmed_at is null)
    on conflict (id) do nothing`.execute(db);
  await sql`
    insert into outbox
    select id || ' taken', 'email', json_object('email', 'suspended', 'suspension', id), created_at, created_at, 0, 'due', '', 0, null
    from suspensions where shadow = 0 and step <> 'warn' and lifted_at is null and created_at >= ${since}
    on conflict (id) do nothing`.execute(db);
  await sql`
    insert into outbox
    select id || ' answered', 'email', json_object('email', 'answered', 'suspension', id), answered_at, answered_at, 0, 'due', '', 0, null
    from suspensions where shadow = 0 and answer is not null and answered_at >= ${since}
    on conflict (id) do nothing`.execute(db);
}
