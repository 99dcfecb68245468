// The orderly end of a gate that serves: no new calls are accepted, running answers may finish, and what does not finish in time
// gets the last frame of its dialect. What was opened is closed afterwards, by the start's stack.
import type { MonotonicMs } from '../domain/time.ts';
import type { Gate } from '../gateway/pipeline.ts';
import { type Listener, stopListening, within } from '../listener/server.ts';

/** How long last frames may take to be written. */
const lastFramesMs = 2_500;

/** The time until which a stop may take; over as long as no stop has begun. */
export class Deadline {
  readonly #nowMs: () => MonotonicMs;
  #endsMs: MonotonicMs = -Infinity;

  constructor(nowMs: () => MonotonicMs) {
    this.#nowMs = nowMs;
  }

  begin(ms: number): void {
    this.#endsMs = this.#nowMs() + ms;
  }

  get leftMs(): number {
    return Math.max(0, this.#endsMs - this.#nowMs());
  }
}

export async function drain(gate: Gate, listener: Listener, drainMs: number): Promise<void> {
  const { running } = gate;
  gate.draining = true;
  running.endWaiting('draining');
  const closed = stopListening(listener);
  if (!(await within(drainMs, running.whenIdle()))) {
    running.endAll('draining');
    await within(lastFramesMs, running.whenIdle());
  }
  listener.closeIdleConnections();
  // Last frames are written; connections whose callers still do not read are cut.
  if (!(await within(lastFramesMs, closed))) listener.closeAllConnections();
}
