// The files of the journal: appends lines to the newest segment, starts new segments, reads segments back line by line,
// and removes those whose content is stored elsewhere. Does not interpret lines.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const pieceBytes = 1024 * 1024;
/** Valid lines are shorter; a longer one is damage, and is skipped without being held. */
const mostLineBytes = 1024 * 1024;

export class Journal {
  readonly #directory: string;
  #file: number;
  #segment: number;
  #bytes = 0;
  #broken: unknown;

  private constructor(directory: string, segment: number) {
    this.#directory = directory;
    this.#segment = segment;
    this.#file = openSync(this.#path(segment), 'a', 0o600);
  }

  /** Resolves the directory once, to its real path: changing a link later has no effect. */
  static directoryIn(dataDir: string): string {
    const directory = join(dataDir, 'journal');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return realpathSync(directory);
  }

  /** The existing segments, oldest first. */
  static segmentsIn(directory: string): number[] {
    return readdirSync(directory)
      .filter((name) => /^\d{8}\.ndjson$/.test(name))
      .map((name) => Number(name.slice(0, 8)))
      .toSorted((a, b) => a - b);
  }

  /** Opens a new segment after these. */
  static open(directory: string, segments: readonly number[]): Journal {
    return new Journal(directory, (segments.at(-1) ?? 0) + 1);
  }

  get segment(): number {
    return this.#segment;
  }

  /** Bytes written to the newest segment. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends lines, each ending in a line feed. After a failed write, the next one starts on a new line. */
  append(lines: string): void {
    try {
      // After a failure the last line may be incomplete, so start a new one.
      this.#bytes += writeWhole(this.#file, this.#broken === undefined ? lines : `\n${lines}`);
      this.#broken = undefined;
    } catch (error) {
      this.#broken = error;
      throw error;
    }
  }

  /** Starts a new segment with these lines. @throws if they cannot be written completely; then nothing has changed. */
  rotate(lines: string): void {
    const path = this.#path(this.#segment + 1);
    const file = openSync(path, 'w', 0o600);
    try {
      writeWhole(file, lines);
    } catch (error) {
      closeSync(file);
      unlinkSync(path);
      throw error;
    }
    closeSync(this.#file);
    this.#file = file;
    this.#segment++;
    this.#bytes = 0;
    this.#broken = undefined;
  }

  read(segment: number): Generator<string> {
    return linesOf(this.#path(segment));
  }

  /** A missing segment is not an error. */
  remove(segment: number): void {
    rmSync(this.#path(segment), { force: true });
  }

  /** `keeps`: whether the newest segment holds something that is not stored elsewhere. */
  close(keeps: boolean): void {
    closeSync(this.#file);
    if (!keeps) this.remove(this.#segment);
  }

  #path(segment: number): string {
    return segmentPath(this.#directory, segment);
  }
}

export function segmentPath(directory: string, segment: number): string {
  return join(directory, `${String(segment).padStart(8, '0')}.ndjson`);
}

/** Reads a file's lines in pieces: a journal may exceed the longest string (512 MiB in V8), and memory. */
export function* linesOf(path: string): Generator<string> {
  const file = openSync(path, 'r');
  try {
    const piece = Buffer.allocUnsafe(pieceBytes);
    let begun: Buffer = Buffer.alloc(0);
    let isTooLong = false;
    for (;;) {
      const count = readSync(file, piece, 0, piece.length, null);
      if (count === 0) break;
      let from = 0;
      for (let end = piece.indexOf(10); end >= 0 && end < count; end = piece.indexOf(10, from)) {
        if (begun.length > 0) yield Buffer.concat([begun, piece.subarray(from, end)]).toString('utf8');
        else if (!isTooLong) yield piece.toString('utf8', from, end);
        begun = Buffer.alloc(0);
        isTooLong = false;
        from = end + 1;
      }
      if (!isTooLong) begun = Buffer.concat([begun, piece.subarray(from, count)]);
      if (begun.length > mostLineBytes) {
        begun = Buffer.alloc(0);
        isTooLong = true;
      }
    }
    if (begun.length > 0) yield begun.toString('utf8');
  } finally {
    closeSync(file);
  }
}

export function* linesOfAll(paths: readonly string[]): Generator<string> {
  for (const path of paths) yield* linesOf(path);
}

/**
 * Returns the number of bytes written. A disk that fills up accepts part of a line without an error; only the next
 * write fails. Usually the text is written at once, without copying it to a buffer first.
 */
function writeWhole(file: number, text: string): number {
  const length = Buffer.byteLength(text);
  let done = writeSync(file, text);
  if (done < length) {
    const bytes = Buffer.from(text);
    while (done < length) done += writeSync(file, bytes, done);
  }
  return length;
}
