// Cuts a byte stream into lines, whatever the chunk boundaries: a line may come in pieces, a chunk may hold many.
// A line is handed over without its line feed. The remainder is bounded: a line longer than `maxLineBytes` is passed
// over, since concatenating and searching an endless one again and again cost 96 s of CPU for 125 MB when measured.

/** Ollama's own client gives up on longer lines. */
export const maxLineBytes = 8 * 1024 * 1024;

export class LineReader {
  readonly #onLine: (line: Buffer) => void;
  #rest: Buffer[] = [];
  #restLength = 0;
  #skipping = false;

  constructor(onLine: (line: Buffer) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const feed = chunk.indexOf(0x0a, from);
      if (feed < 0) break;
      this.#complete(chunk.subarray(from, feed));
      from = feed + 1;
    }
    if (from < chunk.length) this.#keep(from === 0 ? chunk : chunk.subarray(from));
  }

  /** What is left counts as a line: a last line need not end with a line feed. */
  end(): void {
    if (this.#restLength > 0) this.#complete(Buffer.alloc(0));
  }

  #complete(tail: Buffer): void {
    if (this.#skipping) this.#skipping = false;
    else if (this.#restLength === 0) this.#onLine(tail);
    else this.#onLine(Buffer.concat([...this.#rest, tail], this.#restLength + tail.length));
    this.#rest = [];
    this.#restLength = 0;
  }

  #keep(piece: Buffer): void {
    if (this.#skipping) return;
    this.#rest.push(piece);
    this.#restLength += piece.length;
    if (this.#restLength > maxLineBytes) {
      this.#skipping = true;
      this.#rest = [];
      this.#restLength = 0;
    }
  }
}
