// Limits the size and the time of a body. The listener has no such limit, because uploads of models can take hours.
import type { Request, Response } from 'express';
import { Problem } from './problem.ts';

const bodyMs = 20_000;

/**
 * Cuts the connection if the body is not complete after 20 s. @throws Problem `body_too_large` if its declared length is too
 * large.
 */
export function limitBody(request: Request, response: Response, bytes: number): void {
  if (Number(request.headers['content-length'] ?? 0) > bytes) {
    // Does not wait for the rest of the body.
    response.set('connection', 'close');
    throw new Problem('body_too_large');
  }
  const timer = setTimeout(() => request.destroy(), bodyMs);
  const stop = (): void => clearTimeout(timer);
  request.once('end', stop).once('close', stop);
  response.once('finish', stop);
}

/** Discards a body that the endpoint does not read; cuts the connection if it is too large, or not complete after 20 s. */
export function dropBody(request: Request, bytes: number): void {
  let dropped = 0;
  const timer = setTimeout(() => request.destroy(), bodyMs);
  const stop = (): void => clearTimeout(timer);
  request.on('data', (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > bytes) request.destroy();
  });
  request.once('end', stop).once('close', stop);
}
