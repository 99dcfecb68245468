// Says no, in the caller's dialect. Before the first byte: status, body, Retry-After where waiting helps, and the
// request id. After it: the dialect's last frame and then a cut connection, since a clean end would look like a complete
// answer. Whether to say no is decided elsewhere.
import type { GatewayError } from '../domain/error.ts';
import { cutOff } from './answer/cut-off.ts';
import { endWith, noteWhole } from './answer/unread.ts';
import type { Exchange } from './exchange.ts';
import { ModelNotFound } from './model-access.ts';
import type { Settled } from './record.ts';

/** What every answer has, whoever it comes from. */
export interface AnswerSettings {
  /** Response lines, as name, value, name, value. */
  readonly ownHeaders: readonly string[];
  /** How long a reader may take nothing. */
  readonly readerStallMs: number;
}

const jsonType = 'application/json; charset=utf-8';
/** How long, and for how many bytes, we go on reading a body that was refused, so that its sender can read why. */
const lingerMs = 2_000;
const lingerBytes = 4 * 1024 * 1024;
/** How long a caller who has lost access has to take the last frame: a revocation holds within a second. */
const dismissMs = 500;

/** The record stands before the caller can see the end: only an exchange that is settled can be refused. */
export function refuse(exchange: Settled, error: GatewayError, { ownHeaders, readerStallMs }: AnswerSettings): Settled {
  const { request, response } = exchange;
  if (response.destroyed) return exchange;
  if (response.headersSent) {
    if (exchange.beganEarly) breakOff(exchange, error, false);
    return exchange;
  }
  const { dialect, id } = exchange;
  const isMissing = error instanceof ModelNotFound;
  const body = Buffer.from(isMissing ? dialect.spellMissingModel(error.model, id) : dialect.spellError(error, id));
  const type = isMissing ? dialect.missingModelType : jsonType;
  const lines = ['content-type', type, 'content-length', String(body.length), 'x-request-id', id];
  if (!isMissing) lines.push('x-sekisho-error-owner', error.owner, 'x-sekisho-error-code', error.code);
  if (error.retryAfterSeconds !== undefined) lines.push('retry-after', String(error.retryAfterSeconds));
  if (error.status === 401) lines.push('www-authenticate', 'Bearer realm="sekisho"');
  if (error.allow !== undefined) lines.push('allow', error.allow);
  if (error.status === 426) lines.push('upgrade', 'HTTP/1.1', 'connection', 'upgrade');
  // What the official SDKs would otherwise try again twice.
  if (error.retryIsIdle) lines.push('x-should-retry', 'false');
  lines.push('cache-control', 'no-store', ...ownHeaders, ...exchange.cors, ...exchange.lines);
  const pending = !request.complete && hasBody(exchange);
  if (pending || error.code === 'draining') lines.push('connection', 'close');
  response.writeHead(error.status, lines);
  if (!pending || request.method === 'HEAD') {
    endWith(exchange, request.method === 'HEAD' ? undefined : body, readerStallMs);
    return exchange;
  }
  // With the length declared the answer is complete for its reader now; end() would cut the connection under a sender
  // that is still writing, and the reset could overtake our answer.
  response.write(body);
  noteWhole(response);
  let read = 0;
  const stop = (): void => {
    clearTimeout(timer);
    if (!response.writableEnded) endWith(exchange, undefined, readerStallMs);
  };
  const timer = setTimeout(stop, lingerMs);
  request.on('data', (chunk: Buffer) => {
    read += chunk.length;
    if (read > lingerBytes) stop();
  });
  request.on('end', stop).on('close', stop).on('error', stop).resume();
  return exchange;
}

/** Does it say that the caller may not any more what they might when the call began? */
export const takesAway = (error: GatewayError): boolean =>
  error.owner === 'policy' || error instanceof ModelNotFound || error.code === 'blob_not_found';

/**
 * Ends a stream that has begun with the dialect's last frame. What is still buffered would be thrown away with the
 * connection, so the frame must have reached the socket first; a reader that does not take it is cut off by the timer.
 */
export function breakOff(exchange: Exchange, error: GatewayError, midLine: boolean): void {
  const { response } = exchange;
  const timer = setTimeout(() => cutOff(response), takesAway(error) ? dismissMs : lingerMs);
  response.write(exchange.frames.spellError(error, exchange.id, midLine), () => {
    clearTimeout(timer);
    cutOff(response);
  });
}

function hasBody({ request }: Exchange): boolean {
  const declared = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (declared !== undefined && declared !== '0');
}
