// Keeps a quiet stream alive: while a call waits for its turn or its first token, a comment is sent at intervals,
// because proxies time out if an answer does not begin; it says what a call waits for, if that is known. Only for server-sent events, which have comments (HTML standard
// §9.2.6); NDJSON has none. The first comment also sends the head, with what is known by then; later errors are
// reported in the dialect's error frame.
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

  /** Call periodically for each call that waits or runs. */
  say(exchange: Exchange, nowMs: MonotonicMs): void {
    const { response } = exchange;
    if (this.#everyMs === 0 || !exchange.streamed || !exchange.frames.areEvents || !exchange.takesComments) return;
    // Once the answer has begun, no comments are needed.
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
    const text = exchange.waitComment ? exchange.waitComment() + comment : comment;
    exchange.bytesOut += text.length;
    exchange.commentBytes = exchange.bytesOut;
    response.write(text);
  }
}
