// Whose turn it is to write, among the connections of this process. SQLite has one writer at a time, and a connection that meets
// another one waits by blocking its thread: the main thread would wait for a batch of the ledger, with every stream. So the
// connections of a process ask here first, and wait their turn as a promise.

export class WriteTurns {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  async take(): Promise<void> {
    if (this.#isTaken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
  }

  /** The turn passes to the one who has waited longest, and is free in between to nobody. */
  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#isTaken = false;
  }
}
