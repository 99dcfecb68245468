// Files that may change while the gate runs: looked at every few seconds and on SIGHUP. What is new in them is handed
// over whole; where it cannot be read or used, a sentence says why, and the last usable ones stay in use.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { PairUnusable } from './pair.ts';

export type Contents = ReadonlyMap<string, Buffer>;

export interface WatchTools {
  /** Uses what is in the files. @throws PairUnusable where it cannot be used. */
  readonly use: (contents: Contents, first: boolean) => void;
  readonly onRefuse: (sentence: string) => void;
  /** Reads one file; the file system's own where absent. @throws PairUnusable where it cannot. */
  readonly read?: (path: string) => Buffer;
}

const lookMs = 2_000;
/** Beyond it nothing is a certificate. */
const mostBytes = 1024 * 1024;

export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #tools: WatchTools;
  readonly #timer: NodeJS.Timeout;
  /** What was used or refused last; the same again is not news. */
  #seen: string;
  #stamp: string;

  /** @throws PairUnusable where what is there at the start cannot be used. */
  constructor(paths: readonly string[], tools: WatchTools) {
    this.#paths = paths;
    this.#tools = tools;
    // Before the reading: what changes between the two is seen at the next look.
    this.#stamp = this.#stampOf();
    const contents = this.#read();
    this.#seen = fingerprint(contents);
    tools.use(contents, true);
    this.#timer = setInterval(() => this.#look(), lookMs).unref();
  }

  /** Looks now, whatever the files' times say. */
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
      // Files that cannot be read now are news when they come back, also as they were.
      this.#seen = '';
      const contents = this.#read();
      const seen = fingerprint(contents);
      this.#seen = seen;
      if (seen !== last) this.#tools.use(contents, false);
    } catch (error) {
      this.#tools.onRefuse(error instanceof PairUnusable ? error.message : 'it cannot be read');
    }
  }

  /** Changes where a file does, also where a link now leads elsewhere. */
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
