// The data directory, whatever database there is: made for its owner alone, found by its real path, and whether a file in it is
// still the one that was opened.
import { closeSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { unusableFile } from './unusable.ts';

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

/** Of what the path leads to now. @throws where that cannot be looked at, which says nothing about what is there */
export function inodeOf(file: string): string | undefined {
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
