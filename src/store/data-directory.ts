// The data directory: made, found by its real path, and held by one gate; and the sentences that say why it cannot be used.
import { closeSync, existsSync, mkdirSync, openSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';

export class StoreUnusable extends Error {
  override name = 'StoreUnusable';
}

/** Somebody else holds the right to write; that passes. */
export class StoreBusy extends StoreUnusable {
  override name = 'StoreBusy';
}

/** A gate has the directory. */
export class DirectoryHeld extends StoreUnusable {
  override name = 'DirectoryHeld';
}

/** Makes it (mode 0700) if need be, and gives its real path: a link that leads elsewhere later changes nothing. @throws StoreUnusable */
export function openDirectory(dataDir: string): string {
  try {
    makeDirectory(dataDir);
    return realpathSync(dataDir);
  } catch (error) {
    throw unusableFile(`The data directory ${dataDir}`, error);
  }
}

/** One that is there already keeps its mode: it may be shared on purpose, and our files are 0600 anyway. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    // On a file system that can only be read Node says ENOENT; without `recursive` it says what is wrong.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') mkdirSync(directory, { mode: 0o700 });
    throw error;
  }
}

/** Makes the file for its owner alone before SQLite does; the files beside it (-wal, -shm) take over its mode. */
export function makePrivate(file: string): void {
  try {
    // One that is there is not opened: closing it would let go of this process's locks on it (POSIX fcntl).
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

export interface DirectoryLock {
  /** To be called every so often: a lock whose file was deleted is made again. Gives a sentence where that was so. */
  look(): string | undefined;
  release(): void;
}

/**
 * Holds the data directory for one gate: the lock is SQLite's own, on a file of its own, and the system lets go of it
 * however the process ends. The `sekisho` command does not take it: it may write beside a running gate.
 * Where there is a database and no lock file, somebody may have deleted the file of a gate that runs. That gate puts
 * another in its place, so this one looks again after `doubtMs`, longer than that takes, whether its own is still there.
 * @throws StoreUnusable
 */
export async function lockDirectory(dataDir: string, doubtMs = 2_000): Promise<DirectoryLock> {
  const file = join(dataDir, 'gate.lock');
  const isDoubtful = !existsSync(file) && existsSync(join(dataDir, 'sekisho.db'));
  let lock = acquire(file, dataDir);
  let inode = inodeOf(file);
  if (isDoubtful) await sleep(doubtMs);
  if (inode === undefined || inodeOf(file) !== inode) {
    lock.close();
    throw heldByAnother(dataDir);
  }
  return {
    look: () => {
      const fresh = `${file}.${process.pid}`;
      try {
        if (inodeOf(file) === inode) return undefined;
        rmSync(fresh, { force: true });
        const again = acquire(fresh, dataDir);
        renameSync(fresh, file);
        lock.close();
        lock = again;
        inode = inodeOf(file);
        return `${file} was deleted or replaced; it is made again, since this gate holds the directory`;
      } catch (error) {
        return `${file} cannot be looked at, or was deleted and cannot be made again (${(error as Error).message})`;
      }
    },
    release: () => lock.close(),
  };
}

function acquire(file: string, dataDir: string): Database.Database {
  let lock: Database.Database | undefined;
  try {
    makePrivate(file);
    lock = new Database(file, { timeout: 0 });
    lock.pragma('journal_mode = DELETE');
    lock.exec('begin exclusive');
    return lock;
  } catch (error) {
    lock?.close();
    throw isBusy(error) ? heldByAnother(dataDir) : unusableFile(file, error);
  }
}

/** Does a gate that runs now have this directory? Not to be asked by that gate itself. */
export function isHeld(dataDir: string): boolean {
  try {
    acquire(join(dataDir, 'gate.lock'), dataDir).close();
    return false;
  } catch (error) {
    if (error instanceof DirectoryHeld) return true;
    throw error;
  }
}

const heldByAnother = (dataDir: string): StoreUnusable =>
  new DirectoryHeld(`Another gate is already using ${dataDir}. Stop it first, or give this one its own DATA_DIR.`);

/** Of what the path leads to now. @throws where that cannot be looked at, which says nothing about what is there */
function inodeOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found && `${found.dev}/${found.ino}`;
}

/**
 * Gives, whenever it is asked, a sentence where the path no longer leads to the file that it leads to now. A process goes on
 * reading and writing a file that was deleted or replaced, and everything that it writes is gone with it: SQLite looks for
 * that in rollback mode alone (SQLITE_READONLY_DBMOVED, sqlite.org/rescode.html), not with a write-ahead log.
 */
export function lossOf(file: string): () => string | undefined {
  const opened = inodeOf(file);
  return () => {
    try {
      if (inodeOf(file) === opened) return undefined;
    } catch {
      return undefined;
    }
    return `${file} was deleted or replaced while it was in use. What is written to the one that is gone would be lost: start again.`;
  };
}

export function isBusy(error: unknown): boolean {
  return error instanceof StoreBusy || /^SQLITE_(BUSY|LOCKED)/.test(String((error as { code?: unknown }).code));
}

const againMs = 500;

/** Does it as soon as nobody else holds the right to write; tells once that it waits. */
export async function whenFree<T>(
  dataDir: string,
  work: () => Promise<T>,
  tell: (sentence: string) => void,
): Promise<T> {
  for (let isTold = false; ; isTold = true) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (!isTold)
        tell(
          `another program is writing to the database in ${dataDir} and holds it; the gate starts when that is over`,
        );
      await sleep(againMs);
    }
  }
}

const reasons: readonly (readonly [RegExp, string])[] = [
  [/^(ENOSPC|EDQUOT|SQLITE_FULL)/, 'the disk is full. Make room on it, or set DATA_DIR to another.'],
  [
    /^(EROFS|SQLITE_READONLY)/,
    'it can only be read. Mount its file system so that it can be written, check its mode, or set DATA_DIR elsewhere.',
  ],
  [/^(EACCES|EPERM)/, 'this user may not use it. Check its owner and mode, or set DATA_DIR elsewhere.'],
  [/^(ENOTDIR|EEXIST)/, 'it is not a directory. Set DATA_DIR to one.'],
  [
    /^SQLITE_(NOTADB|CORRUPT)/,
    'it is damaged or not a database. Restore it from a backup, or move it away to start empty.',
  ],
  [/^(EMFILE|ENFILE)/, 'too many files are open. Raise the limit (ulimit -n).'],
  [
    /^(EIO|SQLITE_IOERR)/,
    'the disk does not do what it should: it is full or failing. Look at it, or set DATA_DIR elsewhere.',
  ],
];

/** A disk that is full, read-only or closed to us, whichever part of a start has met it; undefined for anything else. */
export function explained(error: unknown): StoreUnusable | undefined {
  if (error instanceof StoreUnusable) return error;
  const { code, path } = error as { code?: unknown; path?: unknown };
  if (typeof code !== 'string' || !reasons.some(([codes]) => codes.test(code))) return undefined;
  return unusableFile(typeof path === 'string' ? path : 'The data directory', error);
}

/** One sentence that says what is wrong with a file of ours, and what to do. */
export function unusableFile(what: string, error: unknown): StoreUnusable {
  if (error instanceof StoreUnusable) return error;
  const { message, code } = error as { message: string; code?: unknown };
  const reason = reasons.find(([codes]) => codes.test(String(code)))?.[1];
  return new StoreUnusable(
    `${what} cannot be used: ${reason ?? `${message}. Check its owner and mode, or set DATA_DIR elsewhere.`}`,
    { cause: error },
  );
}
