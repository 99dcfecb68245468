// Cuts a byte stream into lines, whatever the chunk boundaries: a line may come in pieces, a chunk may hold many.
// A line is handed over without what ended it. Only a line of up to `heldLineBytes` is held: a longer one is handed on
// in pieces as it comes, so a stream costs the same memory whatever the model server writes into it.
import { Pieces } from './chunk-buffer.ts';

export const heldLineBytes = 64 * 1024;

/** Takes a line that is too long to be held. */
export interface LongLine {
  push(piece: Buffer): void;
  end(): void;
}

export interface LineOptions {
  /** Lines end with CR, LF or both, as in an event stream (HTML standard §9.2.6); else with LF alone, as in NDJSON. */
  readonly carriageReturns?: boolean;
  /** Begins a line of more than `heldLineBytes`; without it such a line is passed over. */
  readonly onLong?: () => LongLine;
}

export class LineReader {
  readonly #onLine: (line: Buffer) => void;
  readonly #onLong: (() => LongLine) | undefined;
  readonly #carriageReturns: boolean;
  #rest: Pieces | undefined;
  #long: LongLine | undefined;
  #skipping = false;
  /** The last byte was a CR: a LF that follows belongs to it. */
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
    // Looked for once a chunk where there is none, as nearly always.
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

  /** What is left counts as a line: a last line need not have an end. */
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
