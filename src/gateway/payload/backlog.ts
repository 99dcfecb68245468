// The part of an answer that waits for its reader: first in, first out, every byte charged to a budget. Small pieces
// are copied together, because each Buffer costs a few hundred bytes of overhead; large ones are kept as they are.
import type { BodyBudget, Holder } from './body-budget.ts';

const smallBytes = 4 * 1024;
const blockBytes = 64 * 1024;

interface Piece {
  readonly bytes: Buffer;
  readonly paid: number;
  /** Bytes of it in use. */
  length: number;
}

export class Backlog {
  readonly #budget: BodyBudget;
  readonly #holder: Holder | undefined;
  #pieces: Piece[] = [];
  /** Index of the next piece to send; the pieces before it are sent. */
  #first = 0;
  /** The last piece, if small pieces are copied into it. */
  #block: Piece | undefined;
  bytes = 0;

  constructor(budget: BodyBudget, holder: Holder | undefined) {
    this.#budget = budget;
    this.#holder = holder;
  }

  /** False if the budget has no room; the bytes are then not kept. */
  add(bytes: Buffer): boolean {
    if (bytes.length >= smallBytes) {
      if (!this.#push(bytes, bytes.length)) return false;
      this.#block = undefined;
    } else {
      if (this.#block === undefined || this.#block.length + bytes.length > blockBytes) {
        const block = this.#push(Buffer.allocUnsafeSlow(blockBytes), 0);
        if (!block) return false;
        this.#block = block;
      }
      this.#block.length += bytes.copy(this.#block.bytes, this.#block.length);
    }
    this.bytes += bytes.length;
    return true;
  }

  /** Removes the next piece and returns its room to the budget; undefined if the backlog is empty. */
  take(): Buffer | undefined {
    const piece = this.#pieces[this.#first++];
    if (!piece) {
      this.clear();
      return undefined;
    }
    if (piece === this.#block) this.#block = undefined;
    if (this.#first === 1024) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#first = 0;
    }
    this.bytes -= piece.length;
    this.#budget.give(piece.paid, this.#holder);
    return piece.bytes.subarray(0, piece.length);
  }

  /** Drops everything. */
  clear(): void {
    for (const { paid } of this.#pieces.slice(this.#first)) this.#budget.give(paid, this.#holder);
    this.#pieces = [];
    this.#first = 0;
    this.#block = undefined;
    this.bytes = 0;
  }

  #push(bytes: Buffer, length: number): Piece | undefined {
    if (!this.#budget.take(bytes.length, this.#holder)) return undefined;
    const piece = { bytes, paid: bytes.length, length };
    this.#pieces.push(piece);
    return piece;
  }
}
