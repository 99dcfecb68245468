// The ledger's tables: raw rows, and the quarter-hourly sums that are written with them.
import { type Kysely, sql } from 'kysely';
import { blamelessCodes } from '../../../domain/usage.ts';

export async function addRepeats({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('usage')
    .addColumn('repeats', 'integer', (column) => column.notNull().defaultTo(1))
    .execute();
}

/** The parts of the prompt read from and written to a model server's cache; unknown for older rows. */
export async function addCacheTokens({ schema }: Kysely<unknown>): Promise<void> {
  for (const table of ['usage', 'usage_hourly'])
    for (const name of ['cache_read_tokens', 'cache_write_tokens'])
      await schema
        .alterTable(table)
        .addColumn(name, 'bigint', (column) => column.notNull().defaultTo(0))
        .execute();
}

/**
 * Converts hours to quarters. If all rows of an hour exist, they determine the quarter; sums of older hours go to the
 * first quarter. Rows are removed oldest first, so only the hour of the oldest row can be incomplete.
 */
export async function splitHours(db: Kysely<unknown>): Promise<void> {
  const figures = [
    'requests',
    'refused',
    'failed',
    'prompt_tokens',
    'completion_tokens',
    'estimated',
    'cache_read_tokens',
    'cache_write_tokens',
  ] as const;
  let table = db.schema
    .createTable('usage_quarterly')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('quarter', 'bigint', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull());
  for (const figure of figures) table = table.addColumn(figure, 'bigint', (column) => column.notNull());
  await table.addPrimaryKeyConstraint('usage_quarterly_key', ['account_id', 'quarter', 'key_id', 'model']).execute();
  const { rows: found } = await sql<{ hour: number }>`
    select case when
      (select sum(requests) from usage_hourly where hour = oldest.hour) =
        (select sum(repeats) from usage where at / 3600000 = oldest.hour)
      then oldest.hour else oldest.hour + 1 end as hour
    from (select min(at) / 3600000 as hour from usage) as oldest where oldest.hour is not null`.execute(db);
  const firstWhole = found[0]?.hour ?? Number.MAX_SAFE_INTEGER;
  const neverLeft = sql`(outcome = 'refused' or (outcome = 'client_closed' and upstream is null))`;
  await sql`
    insert into usage_quarterly
    select account_id, at / 900000, key_id, coalesce(model, ''), sum(repeats),
      sum(case when ${neverLeft} then repeats else 0 end),
      sum(case when ${neverLeft} or outcome in ('completed', 'client_closed') then 0 else repeats end),
      sum(prompt_tokens), sum(completion_tokens), sum(case when source = 'estimated' then repeats else 0 end),
      sum(cache_read_tokens), sum(cache_write_tokens)
    from usage where at / 3600000 >= ${firstWhole} group by 1, 2, 3, 4`.execute(db);
  const columns = sql.join(figures.map((figure) => sql.ref(figure)));
  await sql`
    insert into usage_quarterly
    select account_id, hour * 4, key_id, model, ${columns}
    from usage_hourly where hour < ${firstWhole}`.execute(db);
  await db.schema.dropTable('usage_hourly').execute();
}

/**
 * The refusals that rules count. Existing rows determine it; for older sums it is unknown and set to none. The figure
 * of a quarter is stored with the first of its models, since it is only read for all models together.
 */
export async function addOwnRefusals(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('usage_quarterly')
    .addColumn('own_refusals', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute();
  const blameless = sql.join(blamelessCodes.map((code) => sql.lit(code)));
  await sql`
    update usage_quarterly set own_refusals = own.refusals
    from (
      select account_id, at / 900000 as quarter, key_id, sum(repeats) as refusals from usage
      where outcome = 'refused' and (code is null or code not in (${blameless})) group by 1, 2, 3
    ) as own
    where own.account_id = usage_quarterly.account_id and own.quarter = usage_quarterly.quarter
      and own.key_id = usage_quarterly.key_id and usage_quarterly.model = (
        select min(model) from usage_quarterly as first where first.account_id = own.account_id
          and first.quarter = own.quarter and first.key_id = own.key_id)`.execute(db);
}

/** The part of the completion that the model used to think; unknown for older rows. */
export async function addReasoningTokens({ schema }: Kysely<unknown>): Promise<void> {
  for (const table of ['usage', 'usage_quarterly'])
    await schema
      .alterTable(table)
      .addColumn('reasoning_tokens', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute();
}

/** What calls of services cost: in their rows, and by unit beside the quarter-hourly sums. */
export async function addUnits({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('usage').addColumn('unit', 'text').execute();
  await schema
    .alterTable('usage')
    .addColumn('units', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute();
  await schema
    .createTable('unit_quarterly')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('quarter', 'bigint', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('unit', 'text', (column) => column.notNull())
    .addColumn('units', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('unit_quarterly_key', ['account_id', 'quarter', 'key_id', 'model', 'unit'])
    .execute();
}
