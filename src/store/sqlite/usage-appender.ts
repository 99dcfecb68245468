// The fast way to append a batch of the ledger in SQLite.
import type Database from 'better-sqlite3';
import { type CoarseSet, coarseJoining, coarseKeys, coarseSets, lateSums } from '../ledger/coarse-sums.ts';
import {
  type Joining,
  joined,
  type LatencyRow,
  type LatencySum,
  latencyColumns,
  latencyKeys,
  outcomeFigures,
  outcomeKeys,
  rowOfLatency,
  sumLatency,
  sumOutcomes,
} from '../ledger/step-sums.ts';
import {
  AnsweredModels,
  quarterFigures,
  quarterKeys,
  rollUp,
  rollUpUnits,
  usageColumns,
} from '../ledger/usage-rows.ts';
import type { Tables } from '../relational/tables.ts';
import type { UsageTables } from '../relational/usage-tables.ts';

/**
 * One prepared statement and one transaction per batch. Measured against the query builder's multi-row insert, which
 * compiles and prepares every time: 4 µs of CPU per row instead of 13.
 */
export function usageAppender(database: Database.Database): (rows: readonly Tables['usage'][]) => void {
  const insert = rowInserter(database);
  const addUp = upsert(database, 'usage_quarterly', quarterKeys, quarterFigures);
  const addUnits = upsert(database, 'unit_quarterly', [...quarterKeys, 'unit'], { units: 'add' });
  const addOutcome = upsert(database, 'outcome_steps', outcomeKeys, outcomeFigures);
  const addLatency = latencyAdder(database);
  const addLate = lateAdder(database);
  const answered = new AnsweredModels();
  return database.transaction((rows: readonly Tables['usage'][]) => {
    // A row that already exists is already in the roll-ups.
    const added = rows.filter(insert);
    const [quarters, units] = [rollUp(added, answered), rollUpUnits(added)];
    for (const sum of quarters) addUp(sum);
    for (const sum of units) addUnits(sum);
    addLate(quarters, units);
    for (const sum of sumOutcomes(added, answered)) addOutcome(sum);
    for (const sum of sumLatency(added, answered)) addLatency(sum);
  });
}

type Row = Tables['usage'];
type Column = (typeof usageColumns)[number];

/** What most rows have in these columns. */
const usual: Partial<Pick<Row, Column>> = {
  code: null,
  queued_ms: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  asked_model: null,
  fallback_for: null,
  unit: null,
  units: 0,
  load_ms: null,
  refused_by: null,
  detail: null,
};
const usualColumns = Object.keys(usual) as Column[];

/**
 * Adds a row, and says whether it is new. Of a usual row only the other columns are bound: a value costs 0.1 µs on its way to SQLite,
 * and the row 5 to 6.
 */
function rowInserter(database: Database.Database): (row: Row) => boolean {
  const insertBy = (bound: readonly Column[]): ((row: Row) => boolean) => {
    const values = usageColumns.map((column) => (bound.includes(column) ? '?' : String(usual[column])));
    const statement = database.prepare(
      `insert into usage (${usageColumns.join(', ')}) values (${values.join(', ')}) on conflict (id) do nothing`,
    );
    return (row) => statement.run(bound.map((column) => row[column])).changes === 1;
  };
  const whole = insertBy(usageColumns);
  const short = insertBy(usageColumns.filter((column) => !usualColumns.includes(column)));
  return (row) => (usualColumns.every((column) => row[column] === usual[column]) ? short(row) : whole(row));
}

/** For the sums over longer blocks that hold these quarters already: of calls that took long, or were read from a journal. */
function lateAdder(
  database: Database.Database,
): (quarters: readonly UsageTables['usage_quarterly'][], units: readonly UsageTables['unit_quarterly'][]) => void {
  const latest = database.prepare<[], number | null>('select max(quarter) from coarse_sums_until').pluck();
  const until = database.prepare<[string], number>('select quarter from coarse_sums_until where name = ?').pluck();
  const sets = coarseSets.map((set): [CoarseSet, (sum: never) => void] => [
    set,
    upsert(database, set.table, coarseKeys(set.table), coarseJoining),
  ]);
  return (quarters, units) => {
    const before = latest.get() ?? 0;
    if (!quarters.some(({ quarter }) => quarter < before)) return;
    for (const [set, add] of sets)
      for (const sum of lateSums(set, until.get(set.name) ?? 0, quarters, units)) add(sum as never);
  };
}

/** Notes when keys were last used, as `touchKeys` of the store does. */
export function keyToucher(database: Database.Database): (usedAt: ReadonlyMap<string, number>) => void {
  const touch = database.prepare(
    'update keys set last_used_at = @at where id = @id and (last_used_at is null or last_used_at < @at)',
  );
  return database.transaction((usedAt: ReadonlyMap<string, number>) => {
    for (const [id, at] of usedAt) touch.run({ id, at });
  });
}

/** Histograms are joined here: SQL cannot. */
function latencyAdder(database: Database.Database): (sum: LatencySum) => void {
  const read = database.prepare<unknown[], LatencyRow>(
    `select ${latencyColumns.join(', ')} from latency_steps where ${latencyKeys.map((key) => `${key} = ?`).join(' and ')}`,
  );
  const write = database.prepare(
    `insert or replace into latency_steps (${latencyColumns.join(', ')}) values (${latencyColumns.map(() => '?').join(', ')})`,
  );
  return (sum) => {
    const row = rowOfLatency(sum, read.get(latencyKeys.map((key) => sum[key])));
    write.run(latencyColumns.map((column) => row[column]));
  };
}

/** Adds a sum, or joins it with the one of the same keys. */
function upsert<Table extends keyof UsageTables>(
  database: Database.Database,
  table: Table,
  keys: readonly string[],
  figures: Readonly<Record<string, Joining>>,
): (sum: UsageTables[Table]) => void {
  const columns = [...keys, ...Object.keys(figures)] as (string & keyof UsageTables[Table])[];
  const statement = database.prepare(
    `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})
     on conflict (${keys.join(', ')})
     do update set ${Object.entries(figures)
       .map(([column, how]) => `${column} = ${joined(table, column, how)}`)
       .join(', ')}`,
  );
  return (sum) => {
    statement.run(columns.map((column) => sum[column]));
  };
}
