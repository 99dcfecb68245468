// How many bytes of request bodies the gate holds at once, over all exchanges, and how many of answers. Each has a limit of
// its own, but a hundred large ones together would still take all the memory there is; beyond the budget a caller is told
// to come back. An account may hold half of what the others leave, so that no two and no three of them together keep
// everybody else out; and the accounts that come from one address hold three quarters, however many they are.

/** Whose bytes they are. */
export interface Holder {
  heldBytes: number;
}

const sourceShare = 0.75;

export class BodyBudget {
  readonly #limitBytes: number;
  readonly #bySource = new Map<string, number>();
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Takes room for so many bytes more, or none of it and gives false. `source`: the network that they come from. */
  take(bytes: number, holder: Holder | undefined, source = ''): boolean {
    const left = this.#limitBytes - this.#heldBytes;
    if (bytes > left) return false;
    // Both sides of the half grow with what the holder has already.
    if (holder && holder.heldBytes + bytes > (left + holder.heldBytes) / 2) return false;
    if (source !== '') {
      const held = (this.#bySource.get(source) ?? 0) + bytes;
      if (held > this.#limitBytes * sourceShare) return false;
      this.#bySource.set(source, held);
    }
    if (holder) holder.heldBytes += bytes;
    this.#heldBytes += bytes;
    return true;
  }

  give(bytes: number, holder: Holder | undefined, source = ''): void {
    this.#heldBytes -= bytes;
    if (holder) holder.heldBytes -= bytes;
    if (source === '') return;
    const held = (this.#bySource.get(source) ?? 0) - bytes;
    if (held > 0) this.#bySource.set(source, held);
    else this.#bySource.delete(source);
  }
}
