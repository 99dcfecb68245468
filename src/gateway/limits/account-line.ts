// The calls of one account that wait because the account runs as many calls as it may. A waiting call holds nothing: no request,
// no token, no place in the queue of a model. The line is first come, first served, except that a call overtakes calls whose key
// has no room when its own key has. The line is tried again whenever a call of the account ends. If the limits answer at once,
// that is in the same turn of the event loop, so that no newcomer can take the room.
import { isLater, type Soon } from '../../domain/soon.ts';
import type { MonotonicMs } from '../../domain/time.ts';

/** `left`: the call leaves the line. `waits`: it has no room, but others may. `none`: the account has room for no call. */
export type Attempt = 'left' | 'waits' | 'none';

/** A call that waits for room in its account. */
export interface InLine {
  readonly enteredMs: MonotonicMs;
  /** Takes what the call needs if there is room; a full window refuses the call. Never throws or rejects. */
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

  /** True while a call of the line is being tried: a newcomer that took from the limits now would overtake it. */
  get isTrying(): boolean {
    return this.#isTrying;
  }

  /** How many times `fill` was called. */
  get fills(): number {
    return this.#fills;
  }

  enter(call: InLine): void {
    this.#waiting.push(call);
  }

  /** 1 is the first. */
  positionOf(call: InLine): number {
    return this.#waiting.indexOf(call) + 1;
  }

  /** Does nothing if the call is no longer in the line. */
  leave(call: InLine): void {
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Tries each call, in order. Call it when a call of the account has ended. */
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

  /** The index of the call to try next. If the tried call has hung up meanwhile, its index is unknown: start at the front. */
  #behind(call: InLine, attempt: Attempt): number {
    if (attempt === 'none') return this.#waiting.length;
    const at = this.#waiting.indexOf(call);
    if (at < 0) return 0;
    if (attempt === 'left') this.#waiting.splice(at, 1);
    return attempt === 'left' ? at : at + 1;
  }

  /** Refuses calls that entered before a time, and tries the others: a changed plan makes room although no call has ended. */
  sweep(beforeMs: MonotonicMs): void {
    for (const call of this.#waiting.filter(({ enteredMs }) => enteredMs <= beforeMs)) {
      this.leave(call);
      call.refuse('queue_timeout');
    }
    this.fill();
  }
}

/** All lines with waiting calls. */
export class AccountLines {
  readonly #busy = new Set<AccountLine>();
  readonly #maxWaitMs: () => number;

  /** `maxWaitMs`: as it is now; it may change. */
  constructor(maxWaitMs: () => number) {
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

  /** Call periodically. */
  sweep(nowMs: MonotonicMs): void {
    for (const line of this.#busy) {
      line.sweep(nowMs - this.#maxWaitMs());
      if (line.length === 0) this.#busy.delete(line);
    }
  }
}
