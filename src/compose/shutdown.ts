// Shuts a serving gateway down in order: no new connections are accepted, requests that clients have sent before they could know
// are answered, running answers may finish, and those that do not finish in time get the last frame of their dialect. The start's
// stack then closes everything.
import { setTimeout as sleep } from 'node:timers/promises';
import type { MonotonicMs } from '../domain/time.ts';
import type { Gate } from '../gateway/pipeline.ts';
import { acceptWaiting, type Servers, stopListening, within } from '../listener/server.ts';

/**
 * How often, and at which interval, the gateway looks for a request on open connections before it closes them: a client may have
 * sent one that has not arrived, and does not repeat a POST whose connection ends without an answer (RFC 9110 §9.2.2).
 */
const lastLooks = 10;
const lastLookMs = 10;

/** How long last frames may take to be written. */
const lastFramesMs = 2_500;

/** The deadline of a stop; in the past while no stop has started. */
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

export async function drain(gate: Gate, { listener, connections }: Servers, drainMs: number): Promise<void> {
  const { running } = gate;
  // A balancer keeps connections, and would send a call on one that this gateway refuses.
  connections.endAfterAnswers();
  await acceptWaiting(listener);
  const closed = stopListening(listener);
  for (let look = 0; look < lastLooks && connections.someIdle; look++) await sleep(lastLookMs);
  gate.draining = true;
  running.endWaiting('draining');
  listener.closeIdleConnections();
  if (!(await within(drainMs, running.whenIdle()))) {
    running.endAll('draining');
    await within(lastFramesMs, running.whenIdle());
  }
  listener.closeIdleConnections();
  // The last frames are written; connections of callers who still do not read are cut.
  if (!(await within(lastFramesMs, closed))) listener.closeAllConnections();
}
