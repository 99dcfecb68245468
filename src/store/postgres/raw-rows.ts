// Rows of a PostgreSQL database as they are.
import { movingLease, type RawRow, type RawRows, type RawTable, type TableSums } from '../ports/raw-rows.ts';
import { begin } from './dialect.ts';
import { figure } from './engine.ts';
import { migrate } from './migrate.ts';
import { Partitions } from './partitions.ts';
import { Pool, type PoolSettings, storableRows } from './pool.ts';
import { refuseRunningGate } from './sole-gate.ts';

/**
 * Makes or migrates the tables if needed.
 * @throws StoreUnusable while a gate uses the database.
 */
export async function postgresRows(settings: PoolSettings): Promise<RawRows> {
  const pool = new Pool(settings);
  try {
    await migrate(pool, Date.now(), { mayBeNewer: false });
    await refuseRunningGate(pool);
  } catch (error) {
    await pool.end();
    throw error;
  }
  const partitions = new Partitions(pool);
  return {
    tables: () => Promise.reject(new Error('SQLite says which tables there are')),
    rows: async (table, after, limit) => {
      const marks = table.key.map((_, at) => `$${at + 1}`).join(', ');
      const where = after === undefined ? '' : `where (${keyOf(table)}) > (${marks})`;
      const values = after === undefined ? [] : table.key.map((column) => after[column]);
      return (await pool.ask<RawRow>(`${all(table)} ${where} order by ${keyOf(table)} limit ${limit}`, values)).rows;
    },
    last: async (table) => {
      const order = table.key.map((column) => `"${column}" desc`).join(', ');
      return (await pool.ask<RawRow>(`${all(table)} order by ${order} limit 1`, [])).rows[0];
    },
    add: async ({ name, columns }, rows) => {
      if (name === 'usage') await partitions.makeFor(rows.map((row) => String(row['id'])));
      const list = columns.map((column) => `"${column}"`).join(', ');
      await pool.ask(
        `insert into "${name}" (${list}) select ${list} from json_populate_recordset(null::"${name}", $1)
         on conflict do nothing`,
        [storableRows(rows)],
      );
    },
    sums: (table) => sumsOf(pool, table),
    figure: async () => {
      const { rows } = await pool.ask<{ figure: string }>(
        `select concat_ws(' ', (${figure}), (select max(id) from usage)) as figure`,
        [],
      );
      return rows[0]?.figure ?? '';
    },
    begin: (figureOfSource, tables) =>
      pool.transact(begin, async (connection) => {
        await connection.query(`truncate ${tables.map(({ name }) => `"${name}"`).join(', ')}`, []);
        await connection.query(
          `insert into leases (name, owner, until) values ($1, $2, 0)
             on conflict (name) do update set owner = excluded.owner`,
          [movingLease, figureOfSource],
        );
      }),
    begun: async () => {
      const { rows } = await pool.ask<{ owner: string }>('select owner from leases where name = $1', [movingLease]);
      return rows[0]?.owner;
    },
    end: async () => void (await pool.ask('delete from leases where name = $1', [movingLease])),
    close: () => pool.end(),
  };
}

const keyOf = ({ key }: RawTable): string => key.map((column) => `"${column}"`).join(', ');

const all = ({ name, columns }: RawTable): string =>
  `select ${columns.map((column) => `"${column}"`).join(', ')} from "${name}"`;

/** U+FFFD counts as one byte: it stands for the character U+0000 that SQLite can store, too. */
const bytesOf = (column: string): string => `octet_length(replace("${column}", chr(65533), '?'))`;

async function sumsOf(pool: Pool, { name, columns }: RawTable): Promise<TableSums> {
  const types = await pool.ask<{ column: string; type: string }>(
    `select attname as column, format_type(atttypid, null) as type from pg_attribute
     where attrelid = $1::regclass and attnum > 0`,
    [`"${name}"`],
  );
  const texts = new Set(types.rows.filter(({ type }) => type === 'text').map(({ column }) => column));
  const sums = columns.map((column) => {
    const part = texts.has(column) ? bytesOf(column) : `"${column}"`;
    return `coalesce(sum(${part})::double precision, 0) as "${column}"`;
  });
  const { rows } = await pool.ask<TableSums>(
    `select count(*) as "number of rows", ${sums.join(', ')} from "${name}"`,
    [],
  );
  return rows[0] ?? {};
}
