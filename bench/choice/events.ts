// A clock that stands until something is due: events in the order of their times, and the time between them costs nothing.

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const isBefore = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export class Events {
  nowMs = 0;
  #order = 0;
  /** A heap: each parent is due before its children. */
  readonly #due: Due[] = [];

  in(ms: number, run: () => void): void {
    this.at(this.nowMs + Math.max(0, ms), run);
  }

  at(atMs: number, run: () => void): void {
    const due = this.#due;
    const event = { atMs, order: this.#order++, run };
    let at = due.length;
    due.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, due[parent] as Due)) break;
      due[at] = due[parent] as Due;
      at = parent;
    }
    due[at] = event;
  }

  /** Runs what is due until this time. */
  runUntil(endMs: number): void {
    for (let next = this.#due[0]; next !== undefined && next.atMs <= endMs; next = this.#due[0]) {
      this.#removeFirst();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }

  #removeFirst(): void {
    const due = this.#due;
    const last = due.pop() as Due;
    if (due.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= due.length) break;
      if (child + 1 < due.length && isBefore(due[child + 1] as Due, due[child] as Due)) child++;
      if (!isBefore(due[child] as Due, last)) break;
      due[at] = due[child] as Due;
      at = child;
    }
    due[at] = last;
  }
}
