// Brings a database to the tables of this version.
import type Database from 'better-sqlite3';
import type { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Tables } from '../relational/tables.ts';
import { migrations } from './migrations/list.ts';

/** All or nothing, so that a kill in the midst of it leaves what was there. Kysely does not do it by itself for SQLite. */
export async function migrate(db: Kysely<Tables>, database: Database.Database, mayRenew: () => void): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
  const known = await migrator.getMigrations();
  const pending = known.some(({ executedAt }) => executedAt === undefined);
  // Not under a gate that knows the old tables alone. A database without any is of a start that is going on.
  if (pending && known.some(({ executedAt }) => executedAt !== undefined)) mayRenew();
  if (pending) database.exec('begin immediate');
  const { error } = await migrator.migrateToLatest();
  if (pending && database.inTransaction) database.exec(error === undefined ? 'commit' : 'rollback');
  if (error !== undefined) throw error as Error;
}
