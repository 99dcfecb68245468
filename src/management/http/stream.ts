// Streams an answer: CSV, an export, events. Stops when the caller disconnects, does not read, or loses the right to the answer.
import { once } from 'node:events';
import type { Response } from 'express';
import type { AnyCall, Endpoint } from './endpoint.ts';

/** How often a stream checks that its reader is still allowed to see it. */
const standingMs = 1_000;
/** How long a stream waits for a stalled reader. */
const readerMs = 30_000;

/** `stands`: whether the caller may still see the answer. Resolves when the answer has ended. */
export async function sendStream(
  { type, file, pieces }: NonNullable<Endpoint['stream']>,
  call: AnyCall,
  response: Response,
  stands: () => Promise<boolean>,
): Promise<void> {
  const lost = new AbortController();
  const gone = AbortSignal.any([response.locals['gone'] as AbortSignal, lost.signal]);
  response.status(200).set('content-type', `${type}; charset=utf-8`);
  if (file !== undefined) response.set('content-disposition', `attachment; filename="${file}"`);
  // For HEAD (RFC 9110 §9.3.2), no text is produced, and the answer ends even for events.
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  // A reader of events gets the head immediately, before the first event.
  if (type === 'text/event-stream') response.flushHeaders();
  const cut = (): void => {
    response.destroy();
  };
  const takeAway = (): void => {
    lost.abort();
    // Events may end anywhere, but an incomplete table must not look complete.
    if (type === 'text/event-stream') {
      response.end();
      setTimeout(cut, standingMs).unref();
    } else cut();
  };
  // Runs in parallel with the chunks, because there may be no chunk for a while, or the reader may stall on one.
  const watch = setInterval(() => {
    stands().then((still) => {
      if (!still && !gone.aborted) takeAway();
    }, cut);
  }, standingMs);
  try {
    for await (const piece of pieces(call, gone)) {
      if (gone.aborted) return;
      if (response.write(piece)) continue;
      const patience = AbortSignal.timeout(readerMs);
      await once(response, 'drain', { signal: AbortSignal.any([gone, patience]) }).catch(() => undefined);
      if (patience.aborted && !gone.aborted) cut();
    }
  } finally {
    clearInterval(watch);
  }
  if (!gone.aborted) response.end();
}
