// Reports each change of a server's state once. If a server keeps changing, most of the changes are only counted, so that they
// cannot fill the log; the state that it has when the minute is over is reported with their number.

const windowMs = 60_000;
const mostInWindow = 10;

/** `changes`: since the last report, this one included. */
export type Report<State> = (state: State, reason: string, changes: number) => void;

export class TurnReports<State> {
  readonly #report: Report<State>;
  #windowFromMs = -Infinity;
  #reported = 0;
  #heldBack = 0;

  constructor(report: Report<State>) {
    this.#report = report;
  }

  note(state: State, reason: string, nowMs: number): void {
    if (nowMs - this.#windowFromMs >= windowMs) {
      this.#windowFromMs = nowMs;
      this.#reported = 0;
    }
    this.#heldBack++;
    if (this.#reported >= mostInWindow) return;
    this.#reported++;
    this.#report(state, reason, this.#heldBack);
    this.#heldBack = 0;
  }

  /** Call regularly, with the state that was noted last. */
  catchUp(state: State, reason: string, nowMs: number): void {
    if (this.#heldBack === 0 || nowMs - this.#windowFromMs < windowMs) return;
    this.#heldBack--;
    this.note(state, reason, nowMs);
  }
}
