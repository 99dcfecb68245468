// Migrates a PostgreSQL database to the tables of this version. Gates that start at the same time take turns.
import { StoreUnusable } from '../unusable.ts';
import { begin } from './dialect.ts';
import { migrations, run } from './migrations/list.ts';
import type { Pool } from './pool.ts';

/**
 * All pending migrations are one transaction. Its lock ends with it: the query builder's own migrator takes one for the session,
 * which a pooler may give to others. A database that has migrations which this version does not know is used if all of them only
 * add something, so that gates of two versions can run side by side during an upgrade.
 * `mayBeNewer`: false for a move, which would leave behind what a newer version has added.
 * @throws StoreUnusable if a newer version has changed what this one needs.
 */
export function migrate(pool: Pool, now: number, mayBeNewer = true): Promise<void> {
  return pool.transact(begin, async (connection) => {
    await connection.query("select pg_advisory_xact_lock(hashtext('sekisho migrations'))", []);
    await connection.query(
      'create table if not exists migrations (name text primary key, expands bigint not null, at bigint not null)',
      [],
    );
    const { rows } = await connection.query<{ name: string; expands: number }>(
      'select name, expands from migrations',
      [],
    );
    const known = new Set(migrations.map(({ name }) => name));
    if (rows.some(({ name, expands }) => !known.has(name) && !(mayBeNewer && expands === 1)))
      throw new StoreUnusable(
        'The database was changed by a newer Sekisho. Start that version, or restore an older backup.',
      );
    const done = new Set(rows.map(({ name }) => name));
    for (const migration of migrations) {
      const { name, expands } = migration;
      if (done.has(name)) continue;
      await run(connection, migration);
      await connection.query('insert into migrations values ($1, $2, $3)', [name, expands, now]);
    }
  });
}
