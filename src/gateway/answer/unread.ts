// The end of an answer that its reader has not taken yet: what is left of it waits in our memory. Decides how long, and
// tells when it is gone, so that whatever stands for that memory in a budget is given back then and not before.
import type { ServerResponse } from 'node:http';
import type { Exchange } from '../exchange.ts';
import { cutOff } from './cut-off.ts';

type Answering = Pick<Exchange, 'request' | 'response'>;

/** Everything of it is with the system, or there is nobody to send it to. */
const isGone = ({ request, response }: Answering): boolean =>
  response.writableLength === 0 || response.destroyed || request.socket.destroyed;

/** Calls back once, as soon as nothing of the answer waits here any more; at once where that is so already. */
export function whenGone(exchange: Answering, then: () => void): void {
  if (isGone(exchange)) then();
  else onceOver(exchange, then);
}

/** Cuts the connection of a reader who takes nothing of an ended answer for so long. A refusal is an answer. */
export function cutUnread(exchange: Answering, stallMs: number): void {
  if (isGone(exchange)) return;
  const { response } = exchange;
  let waiting = response.writableLength;
  const timer = setInterval(() => {
    // Behind another answer on its connection nobody could have read it; that one has a limit of its own.
    if (response.socket !== null && response.writableLength >= waiting) cutOff(response);
    else waiting = response.writableLength;
  }, stallMs);
  onceOver(exchange, () => clearInterval(timer));
}

/**
 * Calls back once the answer has gone or its connection has. A response that stands behind another on its connection does
 * not hear of a hang-up by itself; its socket does.
 */
export function onceOver({ request: { socket }, response }: Answering, then: () => void): void {
  let told = false;
  const over = (): void => {
    // A socket that closes tells its response in the midst of telling everybody else.
    if (told) return;
    told = true;
    response.off('close', over);
    socket.off('close', over);
    then();
  };
  response.once('close', over);
  // As many may wait there as stand behind each other.
  socket.setMaxListeners(0).once('close', over);
}

const whole = new WeakSet<ServerResponse>();

/** Every byte of the declared body is written, although the answer has not been ended. */
export function noteWhole(response: ServerResponse): void {
  whole.add(response);
}

/** Nothing is missing of the answer: its reader must not find the connection reset before it has read it. */
export const isWhole = (response: ServerResponse): boolean => response.writableEnded || whole.has(response);

/** Ends an answer, with the time for its reader that every answer has. */
export function endWith(exchange: Answering, body: string | Buffer | undefined, stallMs: number): void {
  exchange.response.end(body);
  cutUnread(exchange, stallMs);
}
