// Leaves the beginning of an answer out that the caller has sent, where the server repeats it.
export class Repeated {
  #beginning: string;
  /** Text that may be the beginning. */
  #held = '';

  /** `beginning`: empty if the server repeats nothing. */
  constructor(beginning: string) {
    this.#beginning = beginning;
  }

  /** What of the text is new, as far as that can be said yet. */
  after(piece: string): string {
    const beginning = this.#beginning;
    if (beginning === '') return piece;
    const held = this.#held + piece;
    if (held.length < beginning.length && beginning.startsWith(held)) {
      this.#held = held;
      return '';
    }
    this.#held = this.#beginning = '';
    return held.startsWith(beginning) ? held.slice(beginning.length) : held;
  }

  /** Nothing more of the beginning will come: what was held back is new after all. */
  rest(): string {
    const held = this.#held;
    this.#held = this.#beginning = '';
    return held;
  }
}
