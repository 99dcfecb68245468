// Opens the embedded store: one SQLite file in DATA_DIR, with a write-ahead log and one connection per process, beside which a
// gate has another one for its ledger. Refuses to start, with one sentence, on an unreadable file or a schema newer than this
// program.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely } from 'kysely';
import { lossOf, makePrivate, openDirectory } from '../data-directory.ts';
import { movingLease } from '../ports/raw-rows.ts';
import type { Store } from '../ports/store.ts';
import { relationalStore } from '../relational/store.ts';
import type { Tables } from '../relational/tables.ts';
import { StoreBusy, StoreUnusable, unfinishedMove, unusableFile } from '../unusable.ts';
import { isHeld } from './directory-lock.ts';
import { sqliteEngine } from './engine.ts';
import { isBusy } from './errors.ts';
import { LedgerThread } from './ledger-thread.ts';
import { LogSync } from './log-sync.ts';
import { migrate } from './migrate.ts';
import { WriteTurns } from './write-turns.ts';
import { WriterDialect } from './writer-dialect.ts';

/** Databases up to this size are checked for damage at the start, which takes a fraction of a second. */
const checkedBytes = 64 * 1024 * 1024;

/** Ten times SQLite's own figure: 40 MB of log. */
const gateCheckpointPages = 10_000;

/** The path of the database in a data directory. */
export const databaseIn = (dataDir: string): string => join(dataDir, 'sekisho.db');

/**
 * Creates the directory (mode 0700) if needed, opens the file (mode 0600), and migrates. `patienceMs`: how long a write
 * waits for another process's, which blocks this whole process. `user`: a gate or a move holds the directory
 * (`lockDirectory`); a gate writes the ledger in a thread of its own, and a move may find another one that was interrupted.
 * @throws StoreUnusable.
 */
export async function openSqlite(
  dataDir: string,
  patienceMs = 5_000,
  user: 'command' | 'gate' | 'move' = 'command',
): Promise<Store> {
  const file = databaseIn(dataDir);
  let opened: Database.Database | undefined;
  try {
    openDirectory(dataDir);
    makePrivate(file);
    const database = new Database(file, { timeout: patienceMs });
    opened = database;
    database.pragma('journal_mode = WAL');
    // A commit is on the disk before anybody learns of it. A gateway waits for that beside its thread (log-sync.ts).
    const log = user === 'gate' ? new LogSync(file) : undefined;
    database.pragma(`synchronous = ${log ? 'NORMAL' : 'FULL'}`);
    database.pragma('foreign_keys = ON');
    if (statSync(file).size <= checkedBytes && database.pragma('quick_check(1)', { simple: true }) !== 'ok')
      throw Object.assign(new Error('a page of it is damaged'), { code: 'SQLITE_CORRUPT' });
    const gone = lossOf(file);
    const loss = (): string | undefined => gone() ?? log?.loss();
    const turns = log && new WriteTurns();
    const db = new Kysely<Tables>({ dialect: new WriterDialect(database, loss, turns, log && (() => log.flush())) });
    await migrate(db, database, () => {
      if (user === 'command' && isHeld(dataDir))
        throw new StoreUnusable(
          `${file} was written by an older Sekisho, and a gateway of that version is using it. Restart that gateway with this version, then try again.`,
        );
    });
    if (user !== 'move' && database.prepare('select 1 from leases where name = ?').get(movingLease) !== undefined)
      throw unfinishedMove();
    const store = relationalStore(db, sqliteEngine(database, loss));
    if (!turns || !log) return store;
    await log.flush();
    // The thread writes nearly everything, so it is the thread that moves the log to the database and waits for the disk.
    database.pragma(`wal_autocheckpoint = ${gateCheckpointPages}`);
    return withThread(store, new LedgerThread({ file, patienceMs }, turns, loss), log);
  } catch (error) {
    opened?.close();
    throw unusable(file, error);
  }
}

function withThread(store: Store, thread: LedgerThread, log: LogSync): Store {
  return {
    ...store,
    appendLines: (lines) => thread.appendLines(lines),
    flushLines: () => log.flush(),
    touchKeys: (usedAt) => thread.touchKeys(usedAt),
    close: async () => {
      await thread.close();
      await store.close();
      log.close();
    },
  };
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
