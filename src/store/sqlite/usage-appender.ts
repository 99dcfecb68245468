// The fast way to append a batch of the ledger in SQLite.
import type Database from 'better-sqlite3';
import { AnsweredModels, rollUp, rollUpUnits, usageColumns } from '../ledger/usage-rows.ts';
import type { Tables } from '../relational/tables.ts';

/**
 * One prepared statement and one transaction per batch. Measured against the query builder's multi-row insert, which
 * compiles and prepares every time: 4 µs of CPU per row instead of 13.
 */
export function usageAppender(database: Database.Database): (rows: readonly Tables['usage'][]) => void {
  const insert = database.prepare(
    `insert into usage (${usageColumns.join(', ')}) values (${usageColumns.map(() => '?').join(', ')})
     on conflict (id) do nothing`,
  );
  const sums = [
    'requests',
    'refused',
    'failed',
    'prompt_tokens',
    'completion_tokens',
    'estimated',
    'cache_read_tokens',
    'cache_write_tokens',
    'reasoning_tokens',
    'own_refusals',
  ] as const;
  const addUp = database.prepare(
    `insert into usage_quarterly (account_id, quarter, key_id, model, ${sums.join(', ')}) values (?, ?, ?, ?${', ?'.repeat(sums.length)})
     on conflict (account_id, quarter, key_id, model)
     do update set ${sums.map((sum) => `${sum} = ${sum} + excluded.${sum}`).join(', ')}`,
  );
  const addUnits = database.prepare(
    `insert into unit_quarterly (account_id, quarter, key_id, model, unit, units) values (?, ?, ?, ?, ?, ?)
     on conflict (account_id, quarter, key_id, model, unit) do update set units = units + excluded.units`,
  );
  const answered = new AnsweredModels();
  return database.transaction((rows: readonly Tables['usage'][]) => {
    // A row that already exists is already in the roll-ups.
    const added = rows.filter((row) => insert.run(usageColumns.map((column) => row[column])).changes === 1);
    for (const sum of rollUp(added, answered))
      addUp.run([sum.account_id, sum.quarter, sum.key_id, sum.model, ...sums.map((name) => sum[name])]);
    for (const { account_id, quarter, key_id, model, unit, units } of rollUpUnits(added))
      addUnits.run([account_id, quarter, key_id, model, unit, units]);
  });
}
