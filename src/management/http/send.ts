// Sends shared bytes in small chunks, each after the previous one was sent, so that a stalled reader costs hardly more than its
// connection. Bytes per address and minute are limited, because the operating system may buffer everything for a stalled reader.
import type { Request, Response } from 'express';
import type { Paces } from './pace.ts';
import { Problem, sendProblem } from './problem.ts';

const pieceBytes = 16 * 1024;

export class SharedAnswers {
  readonly #paces: Pick<Paces, 'bytesTo'>;
  readonly #addressOf: (request: Request) => string;

  constructor(paces: Pick<Paces, 'bytesTo'>, addressOf: (request: Request) => string) {
    this.#paces = paces;
    this.#addressOf = addressOf;
  }

  /** Sends a whole answer of public bytes, or the problem `too_many_requests`. The response has the request id. */
  send(bytes: Buffer, type: string, request: Request, response: Response): void {
    try {
      if (request.method !== 'HEAD') this.#paces.bytesTo(this.#addressOf(request), bytes.length);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      for (const name of ['cache-control', 'content-encoding', 'etag', 'vary']) response.removeHeader(name);
      sendProblem(response, error, String(response.getHeader('x-request-id')));
      return;
    }
    sendShared(bytes, type, request, response);
  }
}

function sendShared(bytes: Buffer, type: string, request: Request, response: Response): void {
  response.setHeader('content-type', type).setHeader('content-length', bytes.length);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  let at = 0;
  const more = (): void => {
    while (at < bytes.length && !response.destroyed) {
      const piece = bytes.subarray(at, at + pieceBytes);
      at += piece.length;
      if (!response.write(piece)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}
