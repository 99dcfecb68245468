// What a caller who waits is told: the position at which the wait began in a header of the answer, and in comments of an event
// stream how it stands now.
import type { Exchange } from '../exchange.ts';

/** Where the wait begins; a call that waits several times says only the first of them. */
export function notePosition(exchange: Exchange, position: number, leftMs: number | undefined): void {
  if (exchange.queuePosition !== 0) return;
  exchange.queuePosition = position;
  // Before the wait, because the head may be sent with a comment while it lasts.
  exchange.lines.push('x-sekisho-queue-position', String(position));
  if (leftMs !== undefined) exchange.lines.push('x-sekisho-queue-estimate-ms', String(Math.round(leftMs)));
}

/** A comment line. `what`: fixed words. */
export function waitComment(what: string, position: number, leftMs: number | undefined): string {
  const left = leftMs === undefined ? '' : `, about ${Math.ceil(leftMs / 1000)} s left`;
  return `: ${what}, position ${position}${left}\n`;
}
