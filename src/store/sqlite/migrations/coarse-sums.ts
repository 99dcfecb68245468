// What reports over months need: the sums of each quarter of an hour stored in the order of their keys, and tables for the
// same sums over longer blocks.
import { type CreateTableBuilder, type Kysely, sql } from 'kysely';

const figures = [
  'requests',
  'refused',
  'failed',
  'prompt_tokens',
  'completion_tokens',
  'estimated',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
] as const;

/**
 * The new tables begin empty: the gate fills them from the quarters, a little at a time, and reports read the quarters until
 * then. Only moving the quarters takes a moment here.
 */
export async function openCoarseSums(db: Kysely<unknown>): Promise<void> {
  await moveQuarters(db);
  await moveUnits(db);
  await openTable(db, 'time_sums', ['at', 'unit']);
  await openTable(db, 'model_sums', ['model', 'at', 'unit']);
  await openTable(db, 'key_sums', ['at', 'account_id', 'key_id', 'unit']);
  await db.schema
    .createTable('coarse_sums_until')
    .addColumn('name', 'text', (column) => column.primaryKey().notNull())
    .addColumn('quarter', 'bigint', (column) => column.notNull())
    .execute();
}

type Table = CreateTableBuilder<string, string>;

const texts = (table: Table, names: readonly string[]): Table =>
  names.reduce((all, name) => all.addColumn(name, 'text', (column) => column.notNull()), table);
const numbers = (table: Table, names: readonly string[]): Table =>
  names.reduce((all, name) => all.addColumn(name, 'bigint', (column) => column.notNull()), table);

async function openTable({ schema }: Kysely<unknown>, name: string, keys: readonly string[]): Promise<void> {
  let table = schema.createTable(name).addColumn('step', 'bigint', (column) => column.notNull()) as Table;
  for (const key of keys) table = key === 'at' ? numbers(table, [key]) : texts(table, [key]);
  await numbers(table, [...figures, 'units'])
    .addPrimaryKeyConstraint(`${name}_key`, ['step', ...keys])
    .modifyEnd(sql`without rowid`)
    .execute();
}

/** An account's sums together: in an ordinary table each of them is a read of its own. */
async function moveQuarters(db: Kysely<unknown>): Promise<void> {
  const keys = ['account_id', 'quarter', 'key_id', 'model'];
  const table = db.schema
    .createTable('usage_quarterly_in_order')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('quarter', 'bigint', (column) => column.notNull()) as Table;
  await numbers(texts(table, ['key_id', 'model']), [...figures, 'own_refusals'])
    .addColumn('first_id', 'text')
    .addColumn('last_id', 'text')
    .addPrimaryKeyConstraint('usage_quarterly_key', keys)
    .modifyEnd(sql`without rowid`)
    .execute();
  const columns = [...keys, ...figures, 'own_refusals', 'first_id', 'last_id'];
  await replace(db, 'usage_quarterly', columns, keys);
}

async function moveUnits(db: Kysely<unknown>): Promise<void> {
  const keys = ['account_id', 'quarter', 'key_id', 'model', 'unit'];
  const table = db.schema
    .createTable('unit_quarterly_in_order')
    .addColumn('account_id', 'text', (column) => column.notNull())
    .addColumn('quarter', 'bigint', (column) => column.notNull()) as Table;
  await numbers(texts(table, ['key_id', 'model', 'unit']), ['units'])
    .addPrimaryKeyConstraint('unit_quarterly_key', keys)
    .modifyEnd(sql`without rowid`)
    .execute();
  await replace(db, 'unit_quarterly', [...keys, 'units'], keys);
}

async function replace(
  db: Kysely<unknown>,
  name: string,
  columns: readonly string[],
  keys: readonly string[],
): Promise<void> {
  const list = (names: readonly string[]) => sql.join(names.map((each) => sql.ref(each)));
  await sql`
    insert into ${sql.table(`${name}_in_order`)} (${list(columns)})
    select ${list(columns)} from ${sql.table(name)} order by ${list(keys)}`.execute(db);
  await db.schema.dropTable(name).execute();
  await db.schema.alterTable(`${name}_in_order`).renameTo(name).execute();
  // The other way round, for the sums of a stretch of time.
  await db.schema.createIndex(`${name}_by_time`).on(name).column('quarter').execute();
}
