// Counts changes of the database, so that one cheap read tells whether another process has made one. Triggers on every table
// raise a figure in the database; a temporary trigger, which only this connection has, counts those of its own. SQLite's own
// `data_version` would also change with every batch of the ledger that another connection writes, and readers would reload
// everything ten times a second.
import type Database from 'better-sqlite3';
import type { UsageTables } from '../relational/usage-tables.ts';

/** Nobody keeps anything of these in memory. The type names them all. */
const ledgerTables: Record<keyof UsageTables, true> = {
  usage: true,
  usage_quarterly: true,
  unit_quarterly: true,
  outcome_steps: true,
  latency_steps: true,
  time_sums: true,
  model_sums: true,
  key_sums: true,
  coarse_sums_until: true,
  stranger_refusals: true,
};

/** What a gate renews by itself, several times a minute. */
const renewed: ReadonlySet<string> = new Set(['gates', 'leases']);

/** Columns whose changes do not count: a key's last use is written every few seconds, a session in use is renewed every few minutes. */
const uncounted: Readonly<Record<string, readonly string[]>> = {
  keys: ['last_used_at'],
  sessions: ['expiresAt', 'updatedAt'],
};

/**
 * Gives every table its triggers. Call it after migrations: it reads which tables and columns there are, so no migration has to
 * think of it.
 */
export function countChanges(database: Database.Database): void {
  const names = (type: 'table' | 'trigger'): string[] =>
    database.prepare('select name from sqlite_schema where type = ?').pluck().all(type) as string[];
  for (const name of names('trigger')) if (name.startsWith('change_of_')) database.exec(`drop trigger "${name}"`);
  for (const table of names('table')) {
    if (table in ledgerTables || renewed.has(table) || table === 'store_version' || /^(?:sqlite|kysely)_/.test(table))
      continue;
    for (const event of ['insert', 'delete', updateOf(database, table)])
      database.exec(
        `create trigger "change_of_${table}_${event.slice(0, 6)}" after ${event} on "${table}"
         begin update store_version set n = n + 1; end`,
      );
  }
}

function updateOf(database: Database.Database, table: string): string {
  const left = uncounted[table];
  if (!left) return 'update';
  const columns = database.prepare('select name from pragma_table_info(?)').pluck().all(table) as string[];
  return `update of ${columns.flatMap((column) => (left.includes(column) ? [] : [`"${column}"`])).join(', ')}`;
}

/** Reads how many changes other connections have made. A rolled back change is taken back in both figures. */
export function changesByOthers(database: Database.Database): () => number {
  database.pragma('temp_store = memory');
  database.exec(`
    create temp table own_changes (n integer not null);
    insert into own_changes values (0);
    create temp trigger count_own_changes after update on main.store_version
    begin update own_changes set n = n + new.n - old.n; end`);
  const read = database.prepare('select n - (select n from temp.own_changes) from main.store_version').pluck();
  return () => read.get() as number;
}
