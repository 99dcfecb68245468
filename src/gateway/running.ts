// The exchanges that are running now: who holds a model server's time. It ends them when their key is revoked, when the
// gate stops, when they outlast their total time, or when their reader has stopped reading; each with a last frame that
// its client can understand. It starts nothing.
import { GatewayError, toGatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import { type Member, Roster } from '../domain/roster.ts';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { Comments } from './comments.ts';
import type { Exchange } from './exchange.ts';
import { checkStanding } from './identify.ts';
import type { KeyRing } from './key-ring.ts';
import { missingScope, refuseSuspended } from './permit.ts';

export interface Run extends Member {
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

export class Running {
  readonly #runs = new Roster<Run>();
  #idle: (() => void) | undefined;

  get size(): number {
    return this.#runs.size;
  }

  add(run: Run): void {
    this.#runs.add(run);
  }

  remove(run: Run): void {
    this.#runs.remove(run);
    if (this.#runs.size === 0) this.#idle?.();
  }

  /**
   * Asks again whether each caller may still be here. To be called when the store has changed. Rejects, after all have been
   * asked about, where the store did not answer for one of them: that ends nobody, but it is not done either.
   */
  async recheck(ring: KeyRing, now: WallMs, appealContact: string): Promise<void> {
    let unanswered: unknown;
    for (const run of this.#runs.list()) {
      const { principal } = run.exchange;
      if (!principal) continue;
      try {
        const found = await again(principal, ring);
        checkStanding(found ?? principal, now);
        refuseSuspended(found ?? principal, now, appealContact);
      } catch (error) {
        const refusal = toGatewayError(error);
        if (refusal.code === 'internal') unanswered = error;
        else run.end(refusal);
      }
    }
    if (unanswered !== undefined) throw unanswered;
  }

  /**
   * Has the caller's standing changed since he was identified, while a body was read or he waited? Asks nothing where
   * the ring still holds what it gave then. Keys of the settings never change.
   */
  recheckOne(
    { principal, operation }: Exchange,
    ring: KeyRing,
    now: WallMs,
    appealContact: string,
  ): void | Promise<void> {
    if (!principal || principal.readAt === 0) return undefined;
    const found = again(principal, ring);
    // Nothing was changed, but the key may have ended meanwhile.
    if (found === principal) return checkStanding(principal, now);
    const judge = (fresh: Principal | undefined): void => {
      checkStanding(fresh ?? principal, now);
      refuseSuspended(fresh ?? principal, now, appealContact);
      if (fresh && operation && !fresh.scopes.has(operation.scope)) throw missingScope(operation.scope, appealContact);
    };
    return found instanceof Promise ? found.then(judge) : judge(found);
  }

  /**
   * Ends what is over its time, has a reader that took nothing for `readerMs`, or an upload that brought nothing for
   * `uploadMs`, and lets quiet streams say that they are there. To be called every so often.
   */
  sweep(nowMs: MonotonicMs, { readerMs, uploadMs }: Stalls, comments: Pick<Comments, 'say'>): void {
    for (const run of this.#runs.list()) {
      comments.say(run.exchange, nowMs);
      if (nowMs >= run.deadlineMs) {
        run.end(new GatewayError('upstream_timeout', { message: 'The answer took longer than this gate allows.' }));
        continue;
      }
      const { response, operation, bytesIn, bytesOut, firstByteMs } = run.exchange;
      const waiting = response.writableLength;
      const uploading = operation?.body === 'blob' && firstByteMs === null;
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

const again = ({ kind, keyId, digest }: Principal, ring: KeyRing): ReturnType<KeyRing['find']> =>
  kind === 'secret' ? ring.find(keyId) : ring.findByDigest(digest);
