// Migrates a database to the tables of this version.
import type Database from 'better-sqlite3';
import type { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Tables } from '../relational/tables.ts';
import { countChanges } from './change-count.ts';
import { migrations } from './migrations/list.ts';

/** All or nothing, so that a kill in between leaves the old state. Kysely does not do this for SQLite. */
export async function migrate(db: Kysely<Tables>, database: Database.Database, mayRenew: () => void): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
  const known = await migrator.getMigrations();
  const pending = known.some(({ executedAt }) => executedAt === undefined);
  // Not while a gateway of an older version runs. A database without tables belongs to a start in progress.
  if (pending && known.some(({ executedAt }) => executedAt !== undefined)) mayRenew();
  if (pending) database.exec('begin immediate');
  const { error } = await migrator.migrateToLatest();
  if (pending && error === undefined) countChanges(database);
  if (pending && database.inTransaction) database.exec(error === undefined ? 'commit' : 'rollback');
  if (error !== undefined) throw error as Error;
}
