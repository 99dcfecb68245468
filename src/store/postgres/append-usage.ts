// Appends a batch of the ledger to PostgreSQL: rows, and the sums of what was really new, in one transaction. Every statement
// takes its rows as one JSON parameter, so that a batch of any size is the same few questions. Rows, and rows of sums, are written
// in the order of their keys: several gates write the same ones at once, and any other order could lock them out of each other.
import { noCounts } from '../../domain/latency.ts';
import { coarseJoining, coarseKeys, coarseSets, lateSums } from '../ledger/coarse-sums.ts';
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
import { begin } from './dialect.ts';
import { despiteCollisions } from './errors.ts';
import type { Partitions } from './partitions.ts';
import { type Pool, storableRows, type Taken } from './pool.ts';

type Row = Tables['usage'];

/** Adds the rows that are missing, all or none; a row that is there already is in the sums already. */
export function usageAppender(pool: Pool, partitions: Partitions): (rows: readonly Row[]) => Promise<void> {
  const answered = new AnsweredModels();
  return async (rows) => {
    await partitions.makeFor(rows.map(({ id }) => id));
    const append = async (connection: Taken): Promise<void> => {
      const added = await insertNew(connection, rows);
      if (added.length === 0) return;
      const [quarters, units] = [rollUp(added, answered), rollUpUnits(added)];
      await add(connection, 'usage_quarterly', quarterKeys, quarterFigures, quarters);
      await add(connection, 'unit_quarterly', [...quarterKeys, 'unit'], { units: 'add' }, units);
      const untils = await heldUntil(connection);
      for (const set of coarseSets) {
        const late = lateSums(set, untils.get(set.name) ?? 0, quarters, units);
        await add(connection, set.table, coarseKeys(set.table), coarseJoining, late);
      }
      await add(connection, 'outcome_steps', outcomeKeys, outcomeFigures, sumOutcomes(added, answered));
      await addLatency(connection, sumLatency(added, answered));
    };
    await despiteCollisions(() => pool.transact(begin, append));
  };
}

async function insertNew(connection: Taken, rows: readonly Row[]): Promise<Row[]> {
  const columns = usageColumns.join(', ');
  const inserted = await connection.query<{ id: string }>(
    `insert into usage (${columns}) select ${columns} from json_populate_recordset(null::usage, $1)
     order by id on conflict (id) do nothing returning id`,
    [storableRows(rows)],
  );
  const fresh = new Set(inserted.rows.map(({ id }) => id));
  // A batch may hold a row twice.
  return rows.filter(({ id }) => fresh.delete(id));
}

/** The rows stay as they are until these sums are committed (see `lockSums`). */
async function heldUntil(connection: Taken): Promise<ReadonlyMap<string, number>> {
  const { rows } = await connection.query<{ name: string; quarter: number }>(
    'select name, quarter from coarse_sums_until order by name for share',
    [],
  );
  return new Map(rows.map(({ name, quarter }) => [name, quarter]));
}

const together = { add: 'sum', least: 'min', most: 'max' } as const satisfies Record<Joining, string>;

/** Adds sums, each joined with the others of the same keys and with the one that is there. */
async function add(
  connection: Taken,
  table: string,
  keys: readonly string[],
  figures: Readonly<Record<string, Joining>>,
  sums: readonly object[],
): Promise<void> {
  if (sums.length === 0) return;
  const columns = [...keys, ...Object.keys(figures)].join(', ');
  const joinedFigures = Object.entries(figures).map(([column, how]) => `${together[how]}(${column})`);
  const changes = Object.entries(figures).map(([column, how]) => `${column} = ${joined(table, column, how)}`);
  await connection.query(
    `insert into ${table} (${columns}) select ${[...keys, ...joinedFigures].join(', ')}
     from json_populate_recordset(null::${table}, $1) group by ${keys.join(', ')} order by ${keys.join(', ')}
     on conflict (${keys.join(', ')}) do update set ${changes.join(', ')}`,
    [storableRows(sums)],
  );
}

/** Histograms are joined here: SQL cannot. Rows are made first if they are missing, so that there is one to lock. */
async function addLatency(connection: Taken, sums: readonly LatencySum[]): Promise<void> {
  if (sums.length === 0) return;
  const [keys, columns] = [latencyKeys.join(', '), latencyColumns.join(', ')];
  const named = storableRows(sums.map((sum) => rowOfLatency({ ...sum, ...noFigures, counts: noCounts() }, undefined)));
  await connection.query(
    `insert into latency_steps (${columns}) select ${columns} from json_populate_recordset(null::latency_steps, $1)
     order by ${keys} on conflict (${keys}) do nothing`,
    [named],
  );
  const { rows } = await connection.query<LatencyRow>(
    `select ${columns} from latency_steps where (${keys}) in
       (select ${keys} from json_populate_recordset(null::latency_steps, $1)) order by ${keys} for update`,
    [named],
  );
  const old = new Map(rows.map((row) => [keyOf(row), row]));
  const changed = sums.map((sum) => rowOfLatency(sum, old.get(keyOf(sum))));
  const figures = latencyColumns.filter((column) => !(latencyKeys as readonly string[]).includes(column));
  await connection.query(
    `update latency_steps set ${figures.map((column) => `${column} = sum.${column}`).join(', ')}
     from json_populate_recordset(null::latency_steps, $1) as sum
     where ${latencyKeys.map((key) => `latency_steps.${key} = sum.${key}`).join(' and ')}`,
    [storableRows(changed)],
  );
}

const noFigures = { prompt_tokens: 0, completion_tokens: 0, running_ms: 0, waiting_ms: 0 };

const keyOf = (row: Pick<LatencyRow, (typeof latencyKeys)[number]>): string =>
  JSON.stringify([row.step, row.at, row.upstream, row.model]);
