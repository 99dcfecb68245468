// A body must be small and come in time: the listener has no limit of its own, since blobs for models may take hours.
import type { Request, Response } from 'express';
import { Problem } from './problem.ts';

const bodyMs = 20_000;

/** Cuts the connection if the body is not whole after 20 s. @throws Problem `body_too_large` where it says so itself. */
export function limitBody(request: Request, response: Response, bytes: number): void {
  if (Number(request.headers['content-length'] ?? 0) > bytes) {
    // What is still on its way is not waited for.
    response.set('connection', 'close');
    throw new Problem('body_too_large');
  }
  const timer = setTimeout(() => request.destroy(), bodyMs);
  const stop = (): void => clearTimeout(timer);
  request.once('end', stop).once('close', stop);
  response.once('finish', stop);
}

/** Discards a body that no row reads, and cuts the connection if there is more of it, or if it is not over after 20 s. */
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
