// How many bytes of request bodies the gate holds at once, over all exchanges. Each body has a limit of its own, but a
// hundred large ones together would still take all the memory there is; beyond the budget a caller is told to come back.

export class BodyBudget {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Takes room for so many bytes more, or none of it and gives false. */
  take(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#limitBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}
