// SQLite without its faster queries: only the shared ones, as for a database that adds none of its own.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely } from 'kysely';
import type { Store } from '../../src/store/ports/store.ts';
import { relationalStore } from '../../src/store/relational/store.ts';
import type { Tables } from '../../src/store/relational/tables.ts';
import { sqliteEngine } from '../../src/store/sqlite/engine.ts';
import { migrate } from '../../src/store/sqlite/migrate.ts';
import { WriterDialect } from '../../src/store/sqlite/writer-dialect.ts';

export async function openPlain(dataDir: string): Promise<Store> {
  const database = new Database(join(dataDir, 'sekisho.db'));
  database.pragma('journal_mode = WAL');
  database.pragma('foreign_keys = ON');
  const db = new Kysely<Tables>({ dialect: new WriterDialect(database, () => undefined) });
  await migrate(db, database, () => undefined);
  const { appendUsage: _append, findCaller: _find, ...engine } = sqliteEngine(database, () => undefined);
  return relationalStore(db, engine);
}
