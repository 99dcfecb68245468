// Counts what an answer cost, from the answer's own bytes. It only looks: what it is shown has already been relayed, and
// it never changes, delays or drops a byte. Takes the chunks of one answer; gives prompt and completion tokens, where
// they come from, and whether the answer's end mark was seen.
// Streams are read by line, over chunk boundaries; a line's JSON is parsed only where it can hold a figure. What is held
// of any answer is bounded by `heldLineBytes`: longer lines and answers are read for their figures as they go by.

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
 * The meter for an answer with the status of an error. Most say one sentence and cost nothing that is known; but a
 * server can break after it has generated, and what it then says it generated, or shows, is counted.
 */
export function failedMeterFor(
  reply: Reply,
  contentType: string | undefined,
  prompt: Prompt,
  nowMs = monotonicMs,
): Meter {
  const type = contentType ?? '';
  // The error page of something in front of the model server.
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

/** A stream with the status of an error: what it shows counts, and where it shows nothing it cost nothing. */
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
