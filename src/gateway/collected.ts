// What is read of an answer before anything of it goes on: a list that is to be filtered, the body of an error, or the
// first bytes of a whole answer, which may be an error under a good status. Bounded, always.
import { Pieces } from './pieces.ts';

/** A glance may end in passing on what was seen; the others are read to their end. */
export type Purpose = 'list' | 'error' | 'glance';

export class Collected {
  readonly purpose: Purpose;
  #most: number;
  readonly #pieces = new Pieces();

  constructor(purpose: Purpose, most: number) {
    this.purpose = purpose;
    this.#most = most;
  }

  /** False where that is more than may be collected; it was added all the same. */
  add(chunk: Buffer): boolean {
    this.#pieces.add(chunk);
    return this.#pieces.length <= this.#most;
  }

  bytes(): Buffer {
    return this.#pieces.bytes();
  }

  /** Is it worth looking on, up to that bound? Only where what was seen may belong to an error. */
  mayGrow(most: number, coding: string | undefined): boolean {
    if (this.#pieces.length > most || this.#most === most) return false;
    if (coding === undefined && !/"error"\s*:\s*[^\sn]/.test(this.bytes().toString('latin1'))) return false;
    this.#most = most;
    return true;
  }
}
