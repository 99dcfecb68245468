// The exchanges that are running. Ends them when the caller's access is revoked, when the gateway stops, when they
// exceed their total time, or when their reader stalls; each with a last frame in the caller's dialect. It starts
// nothing.
import { GatewayError } from '../domain/error.ts';
import { type Member, SwapSet } from '../domain/swap-set.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { ChangedAccounts } from '../store/ports/change-feed.ts';
import type { Comments } from './answer/keep-alive-comments.ts';
import type { Decisions } from './decide-again.ts';
import type { Exchange } from './exchange.ts';
import type { Intended } from './intent.ts';
import type { Published } from './services/published.ts';

export interface Run extends Member {
  readonly call: Intended;
  readonly exchange: Exchange;
  /** When it must be finished; Infinity for transfers. */
  readonly deadlineMs: MonotonicMs;
  /** It is over when its caller says so, such as a WebSocket: no use in waiting for it. */
  readonly isEndless?: boolean;
  /** Bytes transferred in both directions at the last progress, and when that was. */
  moved: number;
  movedAtMs: MonotonicMs;
  /** Ends it with the dialect's last frame, or with an ordinary refusal if nothing was sent. */
  end(error: GatewayError): void;
}

/** Each asks the store, which other work needs, too. */
const checkedAtOnce = 4;

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
   * Checks the caller again: a change may have been processed between the last check and this moment, and would not be
   * processed again.
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
   * Checks again whether each call of these accounts is still allowed. Call when the store has changed. If the store fails for a
   * caller, that call continues, and the promise rejects after all others were checked.
   */
  async recheck(accounts: ChangedAccounts = 'all'): Promise<void> {
    let unanswered: unknown;
    const runs = this.#runs.list().values();
    const checkAll = async (): Promise<void> => {
      for (const run of runs) {
        if (accounts !== 'all' && !accounts.has(run.call.caller.principal.accountId)) continue;
        try {
          const again = this.#decisions.again(run.call, run.exchange);
          if (again instanceof Promise) await again;
        } catch (error) {
          if (error instanceof GatewayError) run.end(error);
          else unanswered = error;
        }
      }
    };
    await Promise.all(Array.from({ length: checkedAtOnce }, checkAll));
    if (unanswered !== undefined) throw unanswered;
  }

  /**
   * Ends calls that exceed their time or their key's, whose reader took nothing for `readerMs`, or whose upload sent
   * nothing for `uploadMs`; sends keep-alive comments in quiet streams. Call periodically.
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
        run.end(new GatewayError('upstream_timeout', { message: 'The answer took longer than this gateway allows.' }));
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

  /** Running and waiting exchanges. */
  exchanges(): readonly Exchange[] {
    return this.#runs.list().map((run) => run.exchange);
  }

  /** Ends the calls of a model server that is being removed. */
  endOn(server: object): void {
    for (const run of this.#runs.list())
      if (run.exchange.server === server)
        run.end(new GatewayError('draining', { message: 'The server of this call is being taken out of service.' }));
  }

  /** Ends the calls of a published service that is gone, if they have not been sent. */
  endWaitingFor(published: Published): void {
    for (const run of this.#runs.list())
      if (run.call.operation.service === published && !run.exchange.begun) run.end(new GatewayError('unknown_route'));
  }

  endAll(code: 'draining'): void {
    for (const run of this.#runs.list()) run.end(new GatewayError(code));
  }

  /** Calls that have not been sent cost nothing, so there is no need to wait for them; nor for those without an end. */
  endWaiting(code: 'draining'): void {
    for (const run of this.#runs.list())
      if (!run.exchange.begun || run.isEndless === true) run.end(new GatewayError(code));
  }

  /** Resolves when no call is running. */
  whenIdle(): Promise<void> {
    if (this.#runs.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** If the caller cannot be checked, the call does not continue. */
const endingOf = (error: unknown): GatewayError =>
  error instanceof GatewayError ? error : new GatewayError('identity_unavailable', { cause: error });
