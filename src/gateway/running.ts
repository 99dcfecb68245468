// The exchanges that are running now: who holds a model server's time. It ends them when their key is revoked, when the
// gate stops, when they outlast their total time, or when their reader has stopped reading; each with a last frame that
// its client can understand. It starts nothing.
import { GatewayError, toGatewayError } from '../domain/error.ts';
import type { Exchange } from './exchange.ts';
import { checkStanding } from './identify.ts';
import type { KeyRing } from './key-ring.ts';

export interface Run {
  readonly exchange: Exchange;
  /** Monotonic milliseconds at which it must be over; Infinity for transfers. */
  readonly deadlineMs: number;
  /** Ends it with the dialect's last frame, or with a plain refusal where nothing was sent yet. */
  end(error: GatewayError): void;
}

interface Watched {
  readonly run: Run;
  taken: number;
  takenAtMs: number;
}

export class Running {
  readonly #watched = new Map<Run, Watched>();
  #idle: (() => void) | undefined;

  get size(): number {
    return this.#watched.size;
  }

  add(run: Run, nowMs: number): void {
    this.#watched.set(run, { run, taken: 0, takenAtMs: nowMs });
  }

  remove(run: Run): void {
    this.#watched.delete(run);
    if (this.#watched.size === 0) this.#idle?.();
  }

  /** Asks again whether each caller may still be here. To be called when the store has changed. */
  async recheck(ring: KeyRing, now: number): Promise<void> {
    for (const { run } of this.#watched.values()) {
      const { principal } = run.exchange;
      if (!principal) continue;
      try {
        const found =
          principal.kind === 'signature' ? await ring.findSigner(principal.digest) : await ring.find(principal.keyId);
        checkStanding(found ?? principal, now);
      } catch (error) {
        const refusal = toGatewayError(error);
        // A store that does not answer ends nobody: that is said at their next call.
        if (refusal.code !== 'internal') run.end(refusal);
      }
    }
  }

  /** Ends what is over its time or has a reader that took nothing for `stallMs`. To be called every so often. */
  sweep(nowMs: number, stallMs: number): void {
    for (const watched of this.#watched.values()) {
      const { run } = watched;
      if (nowMs >= run.deadlineMs) {
        run.end(new GatewayError('upstream_timeout', { message: 'The answer took longer than this gate allows.' }));
        continue;
      }
      const waiting = run.exchange.response.writableLength;
      const taken = run.exchange.bytesOut - waiting;
      if (waiting === 0 || taken !== watched.taken) {
        watched.taken = taken;
        watched.takenAtMs = nowMs;
      } else if (nowMs - watched.takenAtMs >= stallMs) run.end(new GatewayError('reader_stalled'));
    }
  }

  endAll(code: 'draining'): void {
    for (const { run } of this.#watched.values()) run.end(new GatewayError(code));
  }

  /** Resolves when nothing runs any more. */
  whenIdle(): Promise<void> {
    if (this.#watched.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}
