// Why the store, or a file of the gateway, cannot be used: one sentence that says what is wrong and what to do, and the
// errors that carry it. Every engine throws these; only engines read a database's own error codes.
import { setTimeout as sleep } from 'node:timers/promises';

export class StoreUnusable extends Error {
  override name = 'StoreUnusable';
}

/** Another process holds the write lock, temporarily. */
export class StoreBusy extends StoreUnusable {
  override name = 'StoreBusy';
}

/** The database is on another machine and cannot be reached, temporarily. */
export class StoreAway extends StoreUnusable {
  override name = 'StoreAway';
}

/** A database that another one was being copied into. */
export const unfinishedMove = (): StoreUnusable =>
  new StoreUnusable(
    'An installation was being moved into this database and the move is not finished. Run `sekisho migrate` again.',
  );

/** A gateway holds the directory. */
export class DirectoryHeld extends StoreUnusable {
  override name = 'DirectoryHeld';
}

/** Why tables that this version does not know cannot be used. `what`: the database's own words. */
export const otherTables = (what: string): string =>
  `${what}. Its tables are not those of this version. Undo what was changed in them, or restore the database from a backup.`;

const againMs = 500;

/** Runs the work once the store is free and there; reports once that it waits, and for what. Rejects when `signal` ends the wait. */
export async function whenFree<T>(
  work: () => Promise<T>,
  tell: (sentence: string) => void,
  signal: AbortSignal,
): Promise<T> {
  let told = '';
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreBusy || error instanceof StoreAway)) throw error;
      if (error.name !== told) tell(`waiting to start: ${error.message}`);
      told = error.name;
      await sleep(againMs, undefined, { signal });
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

/** A disk that is full, read-only or inaccessible, at any part of the start; undefined for other errors. */
export function explained(error: unknown): StoreUnusable | undefined {
  if (error instanceof StoreUnusable) return error;
  const { code, path } = error as { code?: unknown; path?: unknown };
  if (typeof code !== 'string' || !reasons.some(([codes]) => codes.test(code))) return undefined;
  return unusableFile(typeof path === 'string' ? path : 'The data directory', error);
}

/** One sentence that says what is wrong with a file, and what to do. */
export function unusableFile(what: string, error: unknown): StoreUnusable {
  if (error instanceof StoreUnusable) return error;
  const { message, code } = error as { message: string; code?: unknown };
  const reason = reasons.find(([codes]) => codes.test(String(code)))?.[1];
  return new StoreUnusable(
    `${what} cannot be used: ${reason ?? `${message}. Check its owner and mode, or set DATA_DIR elsewhere.`}`,
    { cause: error },
  );
}
