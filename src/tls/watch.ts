// Watches files that may change while the gateway runs, every few seconds and on SIGHUP. New content is applied as a whole; if
// it cannot be read or used, the reason is reported, and the last usable content stays in use.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { PairUnusable } from './pair.ts';

export type Contents = ReadonlyMap<string, Buffer>;

export interface WatchTools {
  /** Applies the content of the files. @throws PairUnusable if it cannot be used. */
  readonly use: (contents: Contents, first: boolean) => void;
  readonly onRefuse: (sentence: string) => void;
  /** Reads one file; from the file system by default. @throws PairUnusable if it cannot be read. */
  readonly read?: (path: string) => Buffer;
}

const lookMs = 2_000;
/** Larger than any certificate file. */
const mostBytes = 1024 * 1024;

export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #tools: WatchTools;
  readonly #timer: NodeJS.Timeout;
  /** The content that was last applied or refused; the same content is not applied again. */
  #seen: string;
  #stamp: string;

  /** @throws PairUnusable if the content cannot be used at the start. */
  constructor(paths: readonly string[], tools: WatchTools) {
    this.#paths = paths;
    this.#tools = tools;
    // Before reading, so that a change in between is noticed by the next check.
    this.#stamp = this.#stampOf();
    const contents = this.#read();
    this.#seen = fingerprint(contents);
    tools.use(contents, true);
    this.#timer = setInterval(() => this.#look(), lookMs).unref();
  }

  /** Checks now, regardless of file times. */
  reload(): void {
    this.#stamp = '';
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      const stamp = this.#stampOf();
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      const last = this.#seen;
      // When unreadable files return, even unchanged, they are applied again.
      this.#seen = '';
      const contents = this.#read();
      const seen = fingerprint(contents);
      this.#seen = seen;
      if (seen !== last) this.#tools.use(contents, false);
    } catch (error) {
      this.#tools.onRefuse(error instanceof PairUnusable ? error.message : 'it cannot be read');
    }
  }

  /** Changes when a file changes, or when a link leads elsewhere. */
  #stampOf(): string {
    return this.#paths
      .map((path) => {
        const found = statSync(path, { throwIfNoEntry: false });
        return found ? `${found.ino}/${found.mtimeMs}/${found.ctimeMs}/${found.size}` : 'gone';
      })
      .join(' ');
  }

  #read(): Contents {
    const { read = readBounded } = this.#tools;
    return new Map(this.#paths.map((path) => [path, read(path)] as const));
  }
}

function readBounded(path: string): Buffer {
  try {
    if (statSync(path).size > mostBytes) throw new PairUnusable(`${path}: it is too large for a certificate`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof PairUnusable) throw error;
    throw new PairUnusable(`${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function fingerprint(contents: Contents): string {
  const hash = createHash('sha256');
  for (const [path, content] of contents) hash.update(path).update(String(content.length)).update(content);
  return hash.digest('hex');
}
