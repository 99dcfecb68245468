// Moves an installation from one database to another: every row of every table, in parts. A move that was interrupted goes on where
// it stopped. The database that it comes from is only read.
import type { RawRows, RawTable } from './ports/raw-rows.ts';
import { StoreUnusable, unfinishedMove } from './unusable.ts';

export interface MovedTable {
  readonly table: string;
  readonly rows: number;
}

const rowsPerPart = 2_000;

/** Tables in which every database has rows from the beginning. */
const givenRows = ['plans', 'rules', 'registration', 'maintenance'];

/**
 * `catalogue`: the one of the two that is SQLite, which says what tables there are. Goes on with a move that was interrupted, unless what
 * it comes from has changed since: then it begins again.
 * @throws StoreUnusable if the target holds something else, or afterwards not the same.
 */
export async function moveRows(
  from: RawRows,
  to: RawRows,
  catalogue: RawRows,
  tell: (moved: MovedTable) => void,
): Promise<void> {
  if ((await from.begun()) !== undefined) throw unfinishedMove();
  const tables = await catalogue.tables();
  const begun = await to.begun();
  if (begun === undefined) await refuseFilled(to, tables);
  const figure = await from.figure();
  if (begun !== figure) await to.begin(figure, tables);
  for (const table of tables) tell({ table: table.name, rows: await moveTable(from, to, table) });
  const difference = await differenceIn(from, to, tables);
  if (difference === undefined && (await from.figure()) === figure) return to.end();
  await to.begin('', tables);
  throw new StoreUnusable(
    `What was to be moved was changed meanwhile${difference ?? ''}. Stop whatever uses it, and run this again: it begins from the start.`,
  );
}

async function refuseFilled(to: RawRows, tables: readonly RawTable[]): Promise<void> {
  for (const table of tables)
    if (!givenRows.includes(table.name) && (await to.last(table)) !== undefined)
      throw new StoreUnusable(
        `The target already has rows of its own (${table.name}). Give an empty database; nothing was changed.`,
      );
}

async function moveTable(from: RawRows, to: RawRows, table: RawTable): Promise<number> {
  let count = 0;
  for (let after = await to.last(table); ; ) {
    const rows = await from.rows(table, after, rowsPerPart);
    if (rows.length === 0) return count;
    await to.add(table, rows);
    count += rows.length;
    after = rows.at(-1);
  }
}

/** Sums of large figures are rounded, each in another order. */
const roundingError = 1e-9;

async function differenceIn(from: RawRows, to: RawRows, tables: readonly RawTable[]): Promise<string | undefined> {
  for (const table of tables) {
    const [ours, theirs] = [await from.sums(table), await to.sums(table)];
    for (const [column, sum] of Object.entries(ours)) {
      const found = theirs[column] ?? 0;
      if (Math.abs(found - sum) > Math.abs(sum) * roundingError)
        return ` (${table.name}: ${column} adds up to ${sum} and ${found})`;
    }
  }
  return undefined;
}
