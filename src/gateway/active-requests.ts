// The exchanges that are running now: who holds a model server's time. It ends them when what their caller may is taken
// away, when the gate stops, when they outlast their total time, or when their reader has stopped reading; each with a last
// frame that its client can understand. It starts nothing.
import { GatewayError } from '../domain/error.ts';
import { type Member, SwapSet } from '../domain/swap-set.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Comments } from './answer/keep-alive-comments.ts';
import type { Decisions } from './decide-again.ts';
import type { Exchange } from './exchange.ts';
import type { Intended } from './intent.ts';

export interface Run extends Member {
  readonly call: Intended;
  readonly exchange: Exchange;
  /** When it must be over; Infinity for transfers. */
  readonly deadlineMs: MonotonicMs;
  /** Bytes that had come in and gone out when some last did, and when that was. */
  moved: number;
  movedAtMs: MonotonicMs;
  /** Ends it with the dialect's last frame, or with a plain refusal where nothing was sent yet. */
  end(error: GatewayError): void;
}

export interface Stalls {
  readonly readerMs: number;
  readonly uploadMs: number;
}

export class ActiveRequests {
  readonly #decisions: Pick<Decisions, 'again' | 'ended'>;
  readonly #runs = new SwapSet<Run>();
  #idle: (() => void) | undefined;

  constructor(decisions: Pick<Decisions, 'again' | 'ended'>) {
    this.#decisions = decisions;
  }

  get size(): number {
    return this.#runs.size;
  }

  /**
   * Asks about the caller once more: a change may have been looked for between the last look at them and this moment, and
   * nobody would look again.
   */
  add(run: Run): void {
    this.#runs.add(run);
    try {
      const again = this.#decisions.again(run.call, run.exchange);
      if (again instanceof Promise)
        again.catch((error: unknown) => {
          if (run.slot >= 0) run.end(endingOf(error));
        });
    } catch (error) {
      run.end(endingOf(error));
    }
  }

  remove(run: Run): void {
    this.#runs.remove(run);
    if (this.#runs.size === 0) this.#idle?.();
  }

  /**
   * Asks again whether each caller may still be here. To be called when the store has changed. Rejects, after all have been
   * asked about, where the store did not answer for one of them: that ends nobody, but it is not done either.
   */
  async recheck(): Promise<void> {
    let unanswered: unknown;
    for (const run of this.#runs.list()) {
      try {
        const again = this.#decisions.again(run.call, run.exchange);
        if (again instanceof Promise) await again;
      } catch (error) {
        if (error instanceof GatewayError) run.end(error);
        else unanswered = error;
      }
    }
    if (unanswered !== undefined) throw unanswered;
  }

  /**
   * Ends what is over its time or its key's, has a reader that took nothing for `readerMs`, or an upload that brought nothing for
   * `uploadMs`, and lets quiet streams say that they are there. To be called every so often.
   */
  sweep(nowMs: MonotonicMs, { readerMs, uploadMs }: Stalls, comments: Pick<Comments, 'say'>): void {
    for (const run of this.#runs.list()) {
      const ended = this.#decisions.ended(run.call, run.exchange);
      if (ended) {
        run.end(ended);
        continue;
      }
      comments.say(run.exchange, nowMs);
      if (nowMs >= run.deadlineMs) {
        run.end(new GatewayError('upstream_timeout', { message: 'The answer took longer than this gate allows.' }));
        continue;
      }
      const { response, bytesIn, bytesOut, firstByteMs } = run.exchange;
      const waiting = response.writableLength;
      const uploading = run.call.operation.body === 'blob' && firstByteMs === null;
      const moved = bytesIn + bytesOut - waiting;
      if (moved !== run.moved || (waiting === 0 && !uploading)) {
        run.moved = moved;
        run.movedAtMs = nowMs;
      } else if (waiting > 0 && nowMs - run.movedAtMs >= readerMs) run.end(new GatewayError('reader_stalled'));
      else if (uploading && nowMs - run.movedAtMs >= uploadMs) run.end(new GatewayError('request_timeout'));
    }
  }

  /** What runs and waits now. */
  exchanges(): readonly Exchange[] {
    return this.#runs.list().map((run) => run.exchange);
  }

  /** Those that this model server works on, which is to be taken away. */
  endOn(server: object): void {
    for (const run of this.#runs.list())
      if (run.exchange.server === server)
        run.end(new GatewayError('draining', { message: 'The model server of this call is taken out of service.' }));
  }

  endAll(code: 'draining'): void {
    for (const run of this.#runs.list()) run.end(new GatewayError(code));
  }

  /** Those that have not left yet cost nothing and need not be waited for. */
  endWaiting(code: 'draining'): void {
    for (const run of this.#runs.list()) if (!run.exchange.begun) run.end(new GatewayError(code));
  }

  /** Resolves when nothing runs any more. */
  whenIdle(): Promise<void> {
    if (this.#runs.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** A caller who cannot be asked about in the moment in which a call goes on does not go on with it. */
const endingOf = (error: unknown): GatewayError =>
  error instanceof GatewayError ? error : new GatewayError('identity_unavailable', { cause: error });
