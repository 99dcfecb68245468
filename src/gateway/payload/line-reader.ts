// Splits a byte stream into lines, independent of chunk boundaries. A line is passed on without its terminator. Lines
// of up to `heldLineBytes` are held; longer ones are passed on in pieces as they arrive, so memory use does not depend
// on what the model server sends.
import { Pieces } from './chunk-buffer.ts';

export const heldLineBytes = 64 * 1024;

/** Receives a line that is too long to be held. */
export interface LongLine {
  push(piece: Buffer): void;
  end(): void;
}

export interface LineOptions {
  /** Whether lines end with CR, LF or both, as in an event stream (HTML standard §9.2.6), or with LF only (NDJSON). */
  readonly carriageReturns?: boolean;
  /** Called for a line of more than `heldLineBytes`; without it such lines are skipped. */
  readonly onLong?: () => LongLine;
}

export class LineReader {
  readonly #onLine: (line: Buffer) => void;
  readonly #onLong: (() => LongLine) | undefined;
  readonly #carriageReturns: boolean;
  #rest: Pieces | undefined;
  #long: LongLine | undefined;
  #skipping = false;
  /** The last byte was a CR: a following LF belongs to it. */
  #afterReturn = false;

  constructor(onLine: (line: Buffer) => void, { carriageReturns = false, onLong }: LineOptions = {}) {
    this.#onLine = onLine;
    this.#onLong = onLong;
    this.#carriageReturns = carriageReturns;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    let from = 0;
    if (this.#afterReturn) {
      this.#afterReturn = false;
      if (chunk[0] === 0x0a) from = 1;
    }
    // One search per chunk is usually enough, because most streams have no CR.
    let carriage = this.#carriageReturns ? chunk.indexOf(0x0d, from) : -1;
    for (;;) {
      const feed = chunk.indexOf(0x0a, from);
      if (carriage >= 0 && (feed < 0 || carriage < feed)) {
        this.#complete(chunk.subarray(from, carriage));
        from = carriage + 1;
        if (from === chunk.length) this.#afterReturn = true;
        else if (chunk[from] === 0x0a) from++;
        carriage = chunk.indexOf(0x0d, from);
      } else if (feed >= 0) {
        this.#complete(chunk.subarray(from, feed));
        from = feed + 1;
      } else break;
    }
    if (from < chunk.length) this.#keep(from === 0 ? chunk : chunk.subarray(from));
  }

  /** Passes on the remaining bytes: the last line need not be terminated. */
  end(): void {
    if (this.#rest !== undefined || this.#long !== undefined) this.#complete(nothing);
    this.#skipping = false;
  }

  #complete(tail: Buffer): void {
    const rest = this.#rest;
    if (this.#skipping) this.#skipping = false;
    else if (this.#long) {
      const long = this.#long;
      this.#long = undefined;
      if (tail.length > 0) long.push(tail);
      long.end();
    } else if (rest && rest.length + tail.length > heldLineBytes) {
      this.#keep(tail);
      this.#complete(nothing);
    } else if (rest === undefined) this.#whole(tail);
    else {
      this.#rest = undefined;
      rest.add(tail);
      this.#onLine(rest.bytes());
    }
  }

  #whole(line: Buffer): void {
    if (line.length <= heldLineBytes) {
      this.#onLine(line);
      return;
    }
    const long = this.#onLong?.();
    long?.push(line);
    long?.end();
  }

  #keep(piece: Buffer): void {
    if (this.#skipping) return;
    if (this.#long) {
      this.#long.push(piece);
      return;
    }
    const rest = (this.#rest ??= new Pieces());
    if (rest.length + piece.length <= heldLineBytes) {
      rest.add(piece);
      return;
    }
    this.#rest = undefined;
    if (!this.#onLong) {
      this.#skipping = true;
      return;
    }
    this.#long = this.#onLong();
    if (rest.length > 0) this.#long.push(rest.bytes());
    this.#long.push(piece);
  }
}

const nothing = Buffer.alloc(0);
