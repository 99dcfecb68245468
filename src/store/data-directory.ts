// The data directory, for any database: creates it for its owner only, resolves its real path, and detects whether an
// open file was replaced.
import { closeSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { unusableFile } from './unusable.ts';

/** Creates the directory (mode 0700) if needed; returns its real path: links may change later. @throws StoreUnusable */
export function openDirectory(dataDir: string): string {
  try {
    makeDirectory(dataDir);
    return realpathSync(dataDir);
  } catch (error) {
    throw unusableFile(`The data directory ${dataDir}`, error);
  }
}

/** An existing directory keeps its mode: it may be shared on purpose, and the files in it have mode 0600. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    // On a read-only file system, Node reports ENOENT; without `recursive` it reports the actual error.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') mkdirSync(directory, { mode: 0o700 });
    throw error;
  }
}

/** Creates the file for its owner only before SQLite does; the files beside it (-wal, -shm) inherit its mode. */
export function makePrivate(file: string): void {
  try {
    // An existing file is not opened: closing it would release this process's locks on it (POSIX fcntl).
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** The inode that the path leads to. @throws if it cannot be read, which says nothing about the file */
export function inodeOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found && `${found.dev}/${found.ino}`;
}

/**
 * Returns a function that gives a sentence if the path no longer leads to the file that it leads to now. A process can
 * keep using a file that was deleted or replaced, and everything it writes is lost: SQLite detects that only in
 * rollback mode (SQLITE_READONLY_DBMOVED, sqlite.org/rescode.html), not with a write-ahead log.
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
