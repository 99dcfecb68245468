// The calls of one account that wait because it runs as many at once as it may. They hold nothing: no request, no token, no
// place in the queue of a model. First come, first served, but that a call passes those whose key has no room while its own
// has. Whoever waits is told when there is room, in the very moment in which something of the account ends, so that
// nobody else can take it.

/** A call that waits for room in its account. */
export interface InLine {
  readonly enteredMs: number;
  /** Is there room now, in the account and in the key? */
  fits(): boolean;
  /** Takes the room at once, or is refused by another limit; never throws. */
  take(): void;
  refuse(code: 'queue_timeout'): void;
}

export class AccountLine {
  readonly #waiting: InLine[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  enter(call: InLine): void {
    this.#waiting.push(call);
  }

  /** Also of one that is not there any more. */
  leave(call: InLine): void {
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** To be called when something of the account has ended. */
  fill(): void {
    for (let at = 0; at < this.#waiting.length; ) {
      const call = this.#waiting[at] as InLine;
      if (call.fits()) {
        this.#waiting.splice(at, 1);
        call.take();
      } else at++;
    }
  }

  /** Refuses those that came before a time, and looks for room that came without an end, as when a plan was changed. */
  sweep(beforeMs: number): void {
    for (const call of this.#waiting.filter(({ enteredMs }) => enteredMs <= beforeMs)) {
      this.leave(call);
      call.refuse('queue_timeout');
    }
    this.fill();
  }
}

/** The lines in which somebody waits. */
export class AccountLines {
  readonly #busy = new Set<AccountLine>();
  readonly #maxWaitMs: number;

  constructor(maxWaitMs: number) {
    this.#maxWaitMs = maxWaitMs;
  }

  get waiting(): number {
    let sum = 0;
    for (const { length } of this.#busy) sum += length;
    return sum;
  }

  enter(line: AccountLine, call: InLine): void {
    line.enter(call);
    this.#busy.add(line);
  }

  /** To be called every so often. */
  sweep(nowMs: number): void {
    for (const line of this.#busy) {
      line.sweep(nowMs - this.#maxWaitMs);
      if (line.length === 0) this.#busy.delete(line);
    }
  }
}
