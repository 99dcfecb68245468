// Limits the total bytes of request bodies, or of answers, that the gateway holds. Each has its own size limit, but
// many large ones together would still exhaust the memory; beyond the budget, callers are told to retry. An account may
// hold half of what the others leave, so that two or three accounts cannot lock out the rest; all accounts from one
// network may hold three quarters.

/** The account that the bytes are charged to. */
export interface Holder {
  heldBytes: number;
}

const sourceShare = 0.75;

export class BodyBudget {
  readonly #limitBytes: () => number;
  readonly #bySource = new Map<string, number>();
  #heldBytes = 0;

  /** `limitBytes`: as it is now; it may change. */
  constructor(limitBytes: () => number) {
    this.#limitBytes = limitBytes;
  }

  /** Reserves this many more bytes, or reserves nothing and returns false. `source`: the network they come from. */
  take(bytes: number, holder: Holder | undefined, source = ''): boolean {
    const limitBytes = this.#limitBytes();
    const left = limitBytes - this.#heldBytes;
    if (bytes > left) return false;
    // The holder's own bytes are on both sides, so the share is half of what the others leave.
    if (holder && holder.heldBytes + bytes > (left + holder.heldBytes) / 2) return false;
    if (source !== '') {
      const held = (this.#bySource.get(source) ?? 0) + bytes;
      if (held > limitBytes * sourceShare) return false;
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
