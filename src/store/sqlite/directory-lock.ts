// Reserves a data directory for one gateway process. The lock is SQLite's own, on a separate file: the system releases
// it however the process ends.
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { inodeOf, makePrivate } from '../data-directory.ts';
import { DirectoryHeld, type StoreUnusable, unusableFile } from '../unusable.ts';
import { isBusy } from './errors.ts';

export interface DirectoryLock {
  /** Call periodically: recreates the lock if its file was deleted. Returns a sentence if that happened. */
  look(): string | undefined;
  release(): void;
}

/**
 * Reserves the data directory for one gateway process. The `sekisho` command does not take the lock: it may write while
 * a gateway runs. If there is a database but no lock file, the file of a running gateway may have been deleted. That
 * gateway replaces it, so this one checks after `doubtMs`, longer than that takes, whether its own file is still there.
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
        return `${file} was deleted or replaced; it is made again, since this gateway holds the directory`;
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

/** Whether a running gateway holds this directory. Must not be called by that gateway itself. */
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
  new DirectoryHeld(`Another gateway is already using ${dataDir}. Stop it first, or give this one its own DATA_DIR.`);
