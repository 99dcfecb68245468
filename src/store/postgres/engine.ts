// The parts that are specific to PostgreSQL; the queries are those of every relational database.
import { sql } from 'kysely';
import { type AccountId, firstRequestId } from '../../domain/id.ts';
import type { Engine, Version } from '../relational/engine.ts';
import { usageAppender } from './append-usage.ts';
import { despiteCollisions } from './errors.ts';
import { now } from './heartbeat.ts';
import { keptChanges } from './migrations/caller-changes.ts';
import { Partitions } from './partitions.ts';
import type { Pool } from './pool.ts';

/**
 * The count of changes, and since when the server runs. A replica that lacked the last changes when it became the primary, and a
 * server whose data was restored, count from an older number and can reach a known one by other changes. Both have started at
 * another time than the server that this gate knew.
 */
export const figure = "select n || ' ' || extract(epoch from pg_postmaster_start_time()) as figure from store_version";

/** `vital`: where it asks for the figure. */
export function postgresEngine(pool: Pool, vital: Pool, loss: () => string | undefined): Engine {
  const partitions = new Partitions(pool);
  const appendUsage = usageAppender(pool, partitions);
  return {
    // The sign-in library then writes flags as integers and times as text, as the tables of every database have them.
    type: 'sqlite',
    transact: (db, work) => despiteCollisions(() => db.transaction().execute(work)),
    now: sql.raw(now),
    holds: (column, search) => sql`strpos(lower(${sql.ref(column)}), lower(${search}::text collate "C")) > 0`,
    version: (known) => readVersion(vital, known),
    loss,
    appendUsage: (_db, rows) => appendUsage(rows),
    // Conflicts with the share lock that every batch takes on the rows of this table.
    lockSums: async (transaction) => {
      await sql`lock table coarse_sums_until in exclusive mode`.execute(transaction);
    },
    dropUsage: (transaction, before) => partitions.dropBefore(transaction, firstRequestId(before)),
  };
}

async function readVersion(vital: Pool, known: Version['figure'] | undefined): Promise<Version> {
  const [from, start] = String(known ?? '').split(' ');
  const { rows } = await vital.ask<{ figure: string; n: number; accounts: (AccountId | null)[] }>(
    `select (${figure}) as figure, n,
       (select coalesce(json_agg(distinct account_id), '[]') from caller_changes where caller_changes.n > $1) as accounts
     from store_version`,
    [Number(from) || 0],
  );
  const row = rows[0];
  if (row === undefined) return { figure: '', accounts: 'all' };
  const since = row.n - Number(from);
  const isKnown = row.figure.split(' ')[1] === start && since >= 0 && since < keptChanges;
  const accounts = new Set(row.accounts);
  return { figure: row.figure, accounts: isKnown && !accounts.has(null) ? (accounts as Set<AccountId>) : 'all' };
}
