// The end of an answer that its reader has not taken yet: the rest is in memory. Limits how long, and reports when it
// is gone, so that memory is returned to its budget exactly then.
import type { ServerResponse } from 'node:http';
import type { Exchange } from '../exchange.ts';
import { cutOff } from './cut-off.ts';

type Answering = Pick<Exchange, 'request' | 'response'>;

/** Everything was passed to the system, or the connection is closed. */
const isGone = ({ request, response }: Answering): boolean =>
  response.writableLength === 0 || response.destroyed || request.socket.destroyed;

/** Calls back once, when no part of the answer is in memory any more; at once if there is none. */
export function whenGone(exchange: Answering, then: () => void): void {
  if (isGone(exchange)) then();
  else onceOver(exchange, then);
}

/** Cuts the connection of a reader who takes nothing of an ended answer for this long. A refusal is an answer. */
export function cutUnread(exchange: Answering, stallMs: number): void {
  if (isGone(exchange)) return;
  const { response } = exchange;
  let waiting = response.writableLength;
  const timer = setInterval(() => {
    // Queued behind another answer on its connection, it cannot be read yet; that answer has its own limit.
    if (response.socket !== null && response.writableLength >= waiting) cutOff(response);
    else waiting = response.writableLength;
  }, stallMs);
  onceOver(exchange, () => clearInterval(timer));
}

/**
 * Calls back once the answer is sent or its connection is closed. A response queued behind another gets no 'close'
 * event by itself, but its socket does.
 */
export function onceOver({ request: { socket }, response }: Answering, then: () => void): void {
  let called = false;
  const over = (): void => {
    // A closing socket also closes its response while notifying its listeners.
    if (called) return;
    called = true;
    response.off('close', over);
    socket.off('close', over);
    then();
  };
  response.once('close', over);
  // One listener per response queued on the connection.
  socket.setMaxListeners(0).once('close', over);
}

const whole = new WeakSet<ServerResponse>();

/** Notes that every byte of the declared body is written, although the answer was not ended. */
export function noteWhole(response: ServerResponse): void {
  whole.add(response);
}

/** The answer is complete: its connection must not be reset before the reader has read it. */
export const isWhole = (response: ServerResponse): boolean => response.writableEnded || whole.has(response);

/** Ends an answer, with the usual time limit for its reader. */
export function endWith(exchange: Answering, body: string | Buffer | undefined, stallMs: number): void {
  exchange.response.end(body);
  cutUnread(exchange, stallMs);
}
