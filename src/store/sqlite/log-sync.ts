// Brings the write-ahead log of a database to the disk. Waiting for a disk takes milliseconds, and on the connection of a gateway it
// would stop every stream, so SQLite commits there without waiting (`synchronous = NORMAL`), and this waits in Node's thread pool.
// What the log holds by then includes every earlier commit, those of other connections too (sqlite.org/wal.html §2.4).
import { closeSync, fdatasync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { unusableFile } from '../unusable.ts';

const sync = promisify(fdatasync);

export class LogSync {
  readonly #path: string;
  #file: number | undefined;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: Error | undefined;

  /** `database`: its path. It is open until this is closed, so the log keeps its inode. */
  constructor(database: string) {
    this.#path = `${database}-wal`;
  }

  /**
   * Resolves when everything that is committed is on the disk. Commits that come while the disk is busy share the next round.
   * @throws StoreUnusable, from then on always: a system may drop what it could not write and report success the next time.
   */
  flush(): Promise<void> {
    // A round that has begun may have missed the latest commit.
    this.#next ??= this.#running.then(
      () => this.#round(),
      () => this.#round(),
    );
    return this.#next;
  }

  /** A sentence once the disk has failed. */
  loss(): string | undefined {
    return this.#failure?.message;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  async #round(): Promise<void> {
    this.#running = this.#next ?? Promise.resolve();
    this.#next = undefined;
    if (this.#failure) throw this.#failure;
    try {
      await sync(this.#file ?? this.#open());
    } catch (error) {
      this.#failure = unusableFile(this.#path, error);
      throw this.#failure;
    }
  }

  /** SQLite has created the log by now, and brought its name to the disk. */
  #open(): number {
    // Windows flushes only what is open for writing. SQLite takes its locks on other files, so closing this one releases none.
    this.#file = openSync(this.#path, 'r+');
    return this.#file;
  }
}
