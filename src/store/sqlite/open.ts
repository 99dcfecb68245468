// Opens the embedded store: one SQLite file in DATA_DIR, write-ahead log, one connection for the process.
// Refuses to start, with one sentence, on a file it cannot read or a schema newer than this program.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely } from 'kysely';
import { lossOf, makePrivate, openDirectory } from '../data-directory.ts';
import type { Store } from '../ports/store.ts';
import { relationalStore } from '../relational/store.ts';
import type { Tables } from '../relational/tables.ts';
import { StoreBusy, StoreUnusable, unusableFile } from '../unusable.ts';
import { isHeld } from './directory-lock.ts';
import { sqliteEngine } from './engine.ts';
import { isBusy } from './errors.ts';
import { migrate } from './migrate.ts';
import { WriterDialect } from './writer-dialect.ts';

/** Up to that size a database is looked through for damage at the start, which takes a fraction of a second. */
const checkedBytes = 64 * 1024 * 1024;

/**
 * Makes the directory (mode 0700) if need be, opens the file (mode 0600), migrates. `patienceMs`: how long a write waits
 * for somebody else's; all of its process waits with it. `holds`: this process holds the directory (`lockDirectory`).
 * @throws StoreUnusable.
 */
export async function openSqlite(dataDir: string, patienceMs = 5_000, holds = false): Promise<Store> {
  const file = join(dataDir, 'sekisho.db');
  let opened: Database.Database | undefined;
  try {
    openDirectory(dataDir);
    makePrivate(file);
    const database = new Database(file, { timeout: patienceMs });
    opened = database;
    database.pragma('journal_mode = WAL');
    // NORMAL keeps every commit over a kill of this process; only a power cut can lose the last ones. The ledger's
    // journal has the same promise.
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    if (statSync(file).size <= checkedBytes && database.pragma('quick_check(1)', { simple: true }) !== 'ok')
      throw Object.assign(new Error('a page of it is damaged'), { code: 'SQLITE_CORRUPT' });
    const loss = lossOf(file);
    const db = new Kysely<Tables>({ dialect: new WriterDialect(database, loss) });
    await migrate(db, database, () => {
      if (!holds && isHeld(dataDir))
        throw new StoreUnusable(
          `${file} is of an older Sekisho, and a gate of that version is using it. Start that gate anew with this version; then try again.`,
        );
    });
    return relationalStore(db, sqliteEngine(database, loss));
  } catch (error) {
    opened?.close();
    throw unusable(file, error);
  }
}

function unusable(file: string, error: unknown): StoreUnusable {
  if (error instanceof StoreUnusable) return error;
  const { message } = error as { message: string };
  if (/corrupted migrations|previously executed migration/.test(message)) {
    return new StoreUnusable(`${file} was written by a newer Sekisho. Start that version, or restore an older backup.`);
  }
  if (isBusy(error))
    return new StoreBusy(`Another program is writing to ${file} and holds it. Try again when that is over.`);
  return unusableFile(file, error);
}
