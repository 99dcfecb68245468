// How many bytes of request bodies the gate holds at once, over all exchanges. Each body has a limit of its own, but a
// hundred large ones together would still take all the memory there is; beyond the budget a caller is told to come back.
// One account may hold half of it, so that nobody can keep everybody else out with bodies that never end.

/** Whose bodies they are. */
export interface Holder {
  heldBytes: number;
}

export class BodyBudget {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Takes room for so many bytes more, or none of it and gives false. */
  take(bytes: number, holder: Holder | undefined): boolean {
    if (this.#heldBytes + bytes > this.#limitBytes) return false;
    if (holder) {
      if (holder.heldBytes + bytes > this.#limitBytes / 2) return false;
      holder.heldBytes += bytes;
    }
    this.#heldBytes += bytes;
    return true;
  }

  give(bytes: number, holder: Holder | undefined): void {
    this.#heldBytes -= bytes;
    if (holder) holder.heldBytes -= bytes;
  }
}
