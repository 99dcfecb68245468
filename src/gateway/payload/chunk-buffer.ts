// Collects a body in chunks. A Buffer costs a few hundred bytes however small its content: for a client that sends
// single bytes, the gateway would hold hundreds of times what was sent and counted. So small chunks are copied
// together.

const smallBytes = 4 * 1024;
const leastBlockBytes = 512;
const mostBlockBytes = 64 * 1024;

export class Pieces {
  #pieces: Buffer[] = [];
  #block: Buffer | undefined;
  /** Range of the block that is not yet in `#pieces`. */
  #from = 0;
  #to = 0;
  length = 0;

  add(piece: Buffer): void {
    this.length += piece.length;
    // Most bodies are a single chunk, which is kept without copying.
    if (piece.length >= smallBytes || this.#pieces.length === 0) {
      this.#close();
      this.#pieces.push(piece);
      return;
    }
    if (this.#block === undefined || this.#to + piece.length > this.#block.length) {
      this.#close();
      // As large as what has arrived: thousands of bodies that stall after two bytes must not hold a large block each.
      const size = Math.min(mostBlockBytes, Math.max(leastBlockBytes, this.length));
      this.#block = Buffer.allocUnsafeSlow(size);
      this.#from = 0;
      this.#to = 0;
    }
    this.#to += piece.copy(this.#block, this.#to);
  }

  /** Everything in one Buffer. The chunks are released, so nothing is held twice. */
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
