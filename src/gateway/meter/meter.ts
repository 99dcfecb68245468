// Measures the cost of an answer from its bytes. It only observes: the bytes it sees are already relayed, and it never
// changes, delays or drops one. Takes the chunks of one answer; returns prompt and completion tokens, their source, and
// whether the end mark was seen.
// Streams are read by line, across chunk boundaries; a line's JSON is parsed only if it can hold a figure. At most
// `heldLineBytes` of an answer are held: longer lines and answers are scanned for their figures as they pass.

import type { Reply } from '../dialects/reply.ts';
import { type Meter, nothingRead, type Prompt, type Reading } from './token-counts.ts';

/** The meter for an answer of this kind, streamed or whole. `nowMs` is monotonic. */
export function meterFor(reply: Reply, streamed: boolean, prompt: Prompt, nowMs = monotonicMs): Meter {
  return (
    (streamed ? reply.streamMeter?.(prompt, nowMs) : undefined) ??
    reply.wholeMeter?.(prompt, nowMs, false) ??
    silentMeter
  );
}

/**
 * The meter for an answer with the status of an error. Most have one sentence and no known cost; but a server can fail
 * after it has generated text, and the text or the figures that it then sends are counted.
 */
export function failedMeterFor(
  reply: Reply,
  contentType: string | undefined,
  prompt: Prompt,
  nowMs = monotonicMs,
): Meter {
  const type = contentType ?? '';
  // The error page of a proxy in front of the model server.
  if (type.startsWith('text/html')) return silentMeter;
  const isStream = type.startsWith('text/event-stream') || type.startsWith('application/x-ndjson');
  const stream = isStream ? reply.streamMeter?.(prompt, nowMs) : undefined;
  return stream ? new FailedStream(stream) : (reply.wholeMeter?.(prompt, nowMs, true) ?? silentMeter);
}

const monotonicMs = (): number => performance.now();

/** For answers that generate nothing. */
export const silentMeter: Meter = {
  see: () => undefined,
  read: () => nothingRead,
  end: () => true,
  done: false,
  errorSeen: false,
};

/** A stream with the status of an error: its figures and text count; without any, it costs nothing. */
class FailedStream implements Meter {
  readonly done = false;
  readonly errorSeen = true;
  readonly #stream: Meter;

  constructor(stream: Meter) {
    this.#stream = stream;
  }

  see(chunk: Buffer): void {
    this.#stream.see(chunk);
  }

  end(): boolean {
    this.#stream.end();
    return true;
  }

  read(): Reading {
    const reading = this.#stream.read();
    return reading.source === 'estimated' && reading.completionTokens === 0 ? nothingRead : reading;
  }
}
