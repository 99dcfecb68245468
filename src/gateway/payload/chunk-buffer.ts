// A body as it comes. A piece of it weighs a few hundred bytes, however little is in it: of somebody who sends a byte at a
// time we would hold hundreds of times what they sent and what is counted. So small pieces are copied together.

const smallBytes = 4 * 1024;
const leastBlockBytes = 512;
const mostBlockBytes = 64 * 1024;

export class Pieces {
  #pieces: Buffer[] = [];
  #block: Buffer | undefined;
  /** Where in the block stands what is not yet among the pieces. */
  #from = 0;
  #to = 0;
  length = 0;

  add(piece: Buffer): void {
    this.length += piece.length;
    // Most bodies are one piece, which is taken as it is.
    if (piece.length >= smallBytes || this.#pieces.length === 0) {
      this.#close();
      this.#pieces.push(piece);
      return;
    }
    if (this.#block === undefined || this.#to + piece.length > this.#block.length) {
      this.#close();
      // As large as what has come: thousands of bodies that stop after two bytes must not hold a large one each.
      const size = Math.min(mostBlockBytes, Math.max(leastBlockBytes, this.length));
      this.#block = Buffer.allocUnsafeSlow(size);
      this.#from = 0;
      this.#to = 0;
    }
    this.#to += piece.copy(this.#block, this.#to);
  }

  /** All of it, in one; the pieces that it was made of are let go, so that nothing is held twice. */
  bytes(): Buffer {
    this.#close();
    if (this.#pieces.length !== 1) {
      this.#pieces = [Buffer.concat(this.#pieces, this.length)];
      this.#block = undefined;
    }
    return this.#pieces[0] as Buffer;
  }

  #close(): void {
    if (this.#block && this.#to > this.#from) this.#pieces.push(this.#block.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
