// Keeps a quiet stream alive: while a call waits for its turn or its first token, a comment goes out every so often, since
// proxies on the way give up on an answer that does not begin. Only where the caller reads server-sent events, which have
// comments (HTML standard, section 9.2.6); a line of NDJSON has none. The first comment sends the head, with what is known
// by then; whatever goes wrong after it is told in the dialect's error frame.
import type { MonotonicMs } from '../../domain/time.ts';
import type { Exchange } from '../exchange.ts';

const comment = ': keep-alive\n\n';

export class Comments {
  readonly #everyMs: number;
  readonly #ownHeaders: readonly string[];

  /** `everyMs`: 0 is never. */
  constructor(everyMs: number, ownHeaders: readonly string[]) {
    this.#everyMs = everyMs;
    this.#ownHeaders = ownHeaders;
  }

  /** To be called every so often for each call that waits or runs. */
  say(exchange: Exchange, nowMs: MonotonicMs): void {
    const { response } = exchange;
    if (this.#everyMs === 0 || !exchange.streamed || !exchange.frames.areEvents || !exchange.takesComments) return;
    // The answer has begun: it keeps itself alive.
    if (exchange.bytesOut !== exchange.commentBytes || nowMs - exchange.quietSinceMs < this.#everyMs) return;
    if (exchange.recorded || response.destroyed || response.writableEnded) return;
    exchange.quietSinceMs = nowMs;
    if (!response.headersSent) {
      exchange.beganEarly = true;
      response.writeHead(200, [
        'content-type',
        'text/event-stream',
        'cache-control',
        'no-cache',
        'x-accel-buffering',
        'no',
        'x-request-id',
        exchange.id,
        ...this.#ownHeaders,
        ...exchange.cors,
        ...exchange.lines,
      ]);
    }
    exchange.bytesOut += comment.length;
    exchange.commentBytes = exchange.bytesOut;
    response.write(comment);
  }
}
