// The parts that are specific to PostgreSQL; the queries are those of every relational database.
import { sql } from 'kysely';
import { firstRequestId } from '../../domain/id.ts';
import type { Engine } from '../relational/engine.ts';
import { usageAppender } from './append-usage.ts';
import { despiteCollisions } from './errors.ts';
import { now } from './heartbeat.ts';
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
    version: async () => (await vital.ask<{ figure: string }>(figure, [])).rows[0]?.figure ?? '',
    loss,
    appendUsage: (_db, rows) => appendUsage(rows),
    // Conflicts with the share lock that every batch takes on the rows of this table.
    lockSums: async (transaction) => {
      await sql`lock table coarse_sums_until in exclusive mode`.execute(transaction);
    },
    dropUsage: (transaction, before) => partitions.dropBefore(transaction, firstRequestId(before)),
  };
}
