// The calls of one account that wait because it runs as many at once as it may. They hold nothing: no request, no token, no
// place in the queue of a model. First come, first served, but a call passes those whose key has no room while its own has.
// They are tried when something of the account ends, in that very moment where limits answer at once, so that no other call
// can take the room.
import { isLater, type Soon } from '../../domain/soon.ts';
import type { MonotonicMs } from '../../domain/time.ts';

/** `left`: the call leaves the line. `waits`: others may have room. `none`: no call of the account has. */
export type Attempt = 'left' | 'waits' | 'none';

/** A call that waits for room in its account. */
export interface InLine {
  readonly enteredMs: MonotonicMs;
  /** Takes what it needs where there is room, or is refused by another limit. Never fails. */
  attempt(): Soon<Attempt>;
  refuse(code: 'queue_timeout'): void;
}

export class AccountLine {
  readonly #waiting: InLine[] = [];
  #isTrying = false;
  #tryAgain = false;
  #fills = 0;

  get length(): number {
    return this.#waiting.length;
  }

  /** Is a call of the line being tried now? One that came later would overtake it. */
  get isTrying(): boolean {
    return this.#isTrying;
  }

  /** How often something of the account has ended. */
  get fills(): number {
    return this.#fills;
  }

  enter(call: InLine): void {
    this.#waiting.push(call);
  }

  /** A call that is not in the line any more is left alone. */
  leave(call: InLine): void {
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Tries each call, in order. To be called when something of the account has ended. */
  fill(): void {
    this.#fills++;
    this.#tryAgain = this.#isTrying;
    if (this.#isTrying) return;
    this.#isTrying = true;
    this.#tryFrom(0);
  }

  #tryFrom(from: number): void {
    for (let at = from; at < this.#waiting.length; ) {
      const call = this.#waiting[at] as InLine;
      const attempt = call.attempt();
      if (isLater(attempt)) {
        void attempt.then((answer) => this.#tryFrom(this.#behind(call, answer)));
        return;
      }
      at = this.#behind(call, attempt);
    }
    this.#isTrying = false;
    if (this.#tryAgain) this.fill();
  }

  /** The place of the next call. Of a call that left by itself meanwhile nobody knows where it stood: from the front, then. */
  #behind(call: InLine, attempt: Attempt): number {
    if (attempt === 'none') return this.#waiting.length;
    const at = this.#waiting.indexOf(call);
    if (at < 0) return 0;
    if (attempt === 'left') this.#waiting.splice(at, 1);
    return attempt === 'left' ? at : at + 1;
  }

  /** Refuses those that came before a time, and looks for room that came without an end, as when a plan was changed. */
  sweep(beforeMs: MonotonicMs): void {
    for (const call of this.#waiting.filter(({ enteredMs }) => enteredMs <= beforeMs)) {
      this.leave(call);
      call.refuse('queue_timeout');
    }
    this.fill();
  }
}

/** The lines in which calls wait. */
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
  sweep(nowMs: MonotonicMs): void {
    for (const line of this.#busy) {
      line.sweep(nowMs - this.#maxWaitMs);
      if (line.length === 0) this.#busy.delete(line);
    }
  }
}
