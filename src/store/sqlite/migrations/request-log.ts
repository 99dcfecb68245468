// What the request log and the pages of latency need: stages of calls in their rows, and sums in steps of several lengths.
import { type Kysely, sql } from 'kysely';

/** As they were when this migration was written. */
const stepLengths = [60_000, 900_000, 7_200_000, 43_200_000, 345_600_000];

/** Sums are read in the order of their keys, thousands at a time, so they are stored in it. */
export async function openRequestLog(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  for (const column of ['ready_ms', 'load_ms', 'sent_ms', 'first_token_ms'])
    await schema.alterTable('usage').addColumn(column, 'integer').execute();
  for (const column of ['changes', 'refused_by', 'detail'])
    await schema.alterTable('usage').addColumn(column, 'text').execute();
  for (const column of ['first_id', 'last_id'])
    await schema.alterTable('usage_quarterly').addColumn(column, 'text').execute();
  await schema
    .createTable('outcome_steps')
    .addColumn('step', 'bigint', (column) => column.notNull())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('upstream', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('status', 'integer', (column) => column.notNull())
    .addColumn('code', 'text', (column) => column.notNull())
    .addColumn('requests', 'bigint', (column) => column.notNull())
    .addColumn('first_id', 'text', (column) => column.notNull())
    .addColumn('last_id', 'text', (column) => column.notNull())
    .addColumn('most_tokens', 'bigint', (column) => column.notNull())
    .addColumn('longest_ms', 'bigint', (column) => column.notNull())
    .addColumn('longest_queued_ms', 'bigint', (column) => column.notNull())
    .addColumn('longest_first_token_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('outcome_steps_key', ['step', 'at', 'model', 'upstream', 'outcome', 'status', 'code'])
    .modifyEnd(sql`without rowid`)
    .execute();
  await openLatency(db);
  await fillOutcomes(db);
}

async function openLatency({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('latency_steps')
    .addColumn('step', 'bigint', (column) => column.notNull())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('upstream', 'text', (column) => column.notNull())
    .addColumn('prompt_tokens', 'bigint', (column) => column.notNull())
    .addColumn('completion_tokens', 'bigint', (column) => column.notNull())
    .addColumn('running_ms', 'bigint', (column) => column.notNull())
    .addColumn('waiting_ms', 'bigint', (column) => column.notNull())
    .addColumn('first_token', 'text', (column) => column.notNull())
    .addColumn('duration', 'text', (column) => column.notNull())
    .addColumn('queue', 'text', (column) => column.notNull())
    .addColumn('speed', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('latency_steps_key', ['step', 'at', 'model', 'upstream'])
    .modifyEnd(sql`without rowid`)
    .execute();
}

/**
 * From the rows that are there, so that they are found through the sums like later ones. Their times were not kept in a way
 * that histograms could be made of.
 */
async function fillOutcomes(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into outcome_steps
    select 900000, at / 900000, case
        when upstream is not null and status between 200 and 399 then coalesce(model, '')
        when model is null and operation like 'route:%' then operation else '' end,
      coalesce(upstream, ''), outcome, status, coalesce(code, ''), sum(repeats), min(id), max(id),
      max(prompt_tokens + completion_tokens), max(duration_ms), max(queued_ms), 0
    from usage group by 1, 2, 3, 4, 5, 6, 7`.execute(db);
  for (const length of stepLengths.filter((each) => each > 900_000))
    await sql`
      insert into outcome_steps
      select ${length}, at * 900000 / ${length}, model, upstream, outcome, status, code, sum(requests), min(first_id),
        max(last_id), max(most_tokens), max(longest_ms), max(longest_queued_ms), 0
      from outcome_steps where step = 900000 group by 1, 2, 3, 4, 5, 6, 7`.execute(db);
  await sql`
    update usage_quarterly set first_id = rows.first_id, last_id = rows.last_id
    from (
      select account_id, at / 900000 as quarter, key_id, min(id) as first_id, max(id) as last_id from usage group by 1, 2, 3
    ) as rows
    where rows.account_id = usage_quarterly.account_id and rows.quarter = usage_quarterly.quarter
      and rows.key_id = usage_quarterly.key_id`.execute(db);
}
