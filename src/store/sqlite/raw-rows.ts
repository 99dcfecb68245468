// Rows of the SQLite database as they are.
import Database from 'better-sqlite3';
import { movingLease, type RawRow, type RawRows, type RawTable, type TableSums } from '../ports/raw-rows.ts';

/** Tables that each database has for itself, or that are not used any more. */
const own = /^(sqlite_|kysely_|store_version$|gates$|leases$|notices$)/;

/** `file`: of a database that has the tables of this version. */
export function sqliteRows(file: string, readonly: boolean): RawRows {
  const database = new Database(file, { readonly });
  if (!readonly) {
    database.pragma('foreign_keys = ON');
    database.pragma('synchronous = FULL');
  }
  const keyOf = ({ key }: RawTable): string => key.map((column) => `"${column}"`).join(', ');
  const soon = <T>(value: T): Promise<T> => Promise.resolve(value);
  return {
    tables: () => soon(inOrder(database)),
    rows: (table, after, limit) => {
      const marks = table.key.map(() => '?').join(', ');
      const where = after === undefined ? '' : `where (${keyOf(table)}) > (${marks})`;
      const values = after === undefined ? [] : table.key.map((column) => after[column]);
      return soon(
        database
          .prepare<unknown[], RawRow>(`select * from "${table.name}" ${where} order by ${keyOf(table)} limit ?`)
          .all(...values, limit),
      );
    },
    last: (table) => {
      const order = table.key.map((column) => `"${column}" desc`).join(', ');
      return soon(database.prepare<[], RawRow>(`select * from "${table.name}" order by ${order} limit 1`).get());
    },
    add: (table, rows) => {
      const columns = table.columns.map((column) => `"${column}"`).join(', ');
      const insert = database.prepare(
        `insert into "${table.name}" (${columns}) values (${table.columns.map(() => '?').join(', ')}) on conflict do nothing`,
      );
      database.transaction(() => {
        for (const row of rows) insert.run(table.columns.map((column) => row[column]));
      })();
      return soon(undefined);
    },
    sums: (table) => soon(sumsOf(database, table)),
    figure: () =>
      soon(
        database
          .prepare("select n || ' ' || coalesce((select max(id) from usage), '') from store_version")
          .pluck()
          .get() as string,
      ),
    begin: (figure, emptied) => {
      database.transaction(() => {
        for (const { name } of emptied.toReversed()) database.exec(`delete from "${name}"`);
        database
          .prepare('insert or replace into leases (name, owner, until) values (?, ?, 0)')
          .run(movingLease, figure);
      })();
      return soon(undefined);
    },
    begun: () =>
      soon(database.prepare('select owner from leases where name = ?').pluck().get(movingLease) as string | undefined),
    end: () => soon(void database.prepare('delete from leases where name = ?').run(movingLease)),
    close: () => soon(void database.close()),
  };
}

function inOrder(database: Database.Database): RawTable[] {
  const names = database.prepare(`select name from sqlite_schema where type = 'table'`).pluck().all() as string[];
  const done = new Map<string, RawTable>();
  const visit = (name: string): void => {
    if (own.test(name) || done.has(name)) return;
    for (const to of database.prepare('select "table" from pragma_foreign_key_list(?)').pluck().all(name) as string[])
      if (to !== name) visit(to);
    const columns = database
      .prepare<[string], { name: string; pk: number }>('select name, pk from pragma_table_info(?)')
      .all(name);
    const key = columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk);
    done.set(name, { name, columns: columns.map((each) => each.name), key: key.map((each) => each.name) });
  };
  for (const name of names) visit(name);
  return [...done.values()];
}

/** U+FFFD counts as one byte: PostgreSQL has it where a text contains U+0000. */
const bytesOf = (column: string): string => `length(cast(replace("${column}", char(65533), '?') as blob))`;

function sumsOf(database: Database.Database, { name, columns }: RawTable): TableSums {
  const sums = columns.map(
    (column) =>
      `total(case when typeof("${column}") = 'text' then ${bytesOf(column)} else "${column}" end) as "${column}"`,
  );
  return database
    .prepare<[], TableSums>(`select count(*) as "number of rows", ${sums.join(', ')} from "${name}"`)
    .get()!;
}
