// Sends a refusal in the caller's dialect. Before the first byte of an answer: status, body, Retry-After if waiting
// helps, and the request id. After it: the dialect's last frame, then a cut connection, since a clean end would look
// like a complete answer. Other files decide whether to refuse.
import type { GatewayError } from '../domain/error.ts';
import { cutOff } from './answer/cut-off.ts';
import { endWith, noteWhole } from './answer/unread.ts';
import type { Exchange } from './exchange.ts';
import { ModelNotFound } from './model-access.ts';
import type { Settled } from './record.ts';

/** Common settings of all answers. */
export interface AnswerSettings {
  /** Response lines, as name, value, name, value. */
  readonly ownHeaders: readonly string[];
  /** How long a reader may stall. */
  readonly readerStallMs: number;
}

const jsonType = 'application/json; charset=utf-8';
/** How long, and for how many bytes, a refused body is still read, so that its sender can read the refusal. */
const lingerMs = 2_000;
const lingerBytes = 4 * 1024 * 1024;
/** How long a caller who lost access has to take the last frame: a revocation takes effect within a second. */
const dismissMs = 500;

/** The record must exist before the caller can see the end, so only a settled exchange can be refused. */
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
  const challenge = error.status === 401 ? exchange.challenge : scopeChallenge(error, exchange);
  if (challenge !== undefined) lines.push('www-authenticate', challenge);
  if (error.allow !== undefined) lines.push('allow', error.allow);
  if (error.status === 426) lines.push('upgrade', 'HTTP/1.1', 'connection', 'upgrade');
  // The official SDKs would otherwise retry twice.
  if (error.retryIsIdle) lines.push('x-should-retry', 'false');
  lines.push('cache-control', 'no-store', ...ownHeaders, ...exchange.cors, ...exchange.lines);
  const pending = !request.complete && hasBody(exchange);
  if (pending || error.code === 'draining') lines.push('connection', 'close');
  response.writeHead(error.status, lines);
  if (!pending || request.method === 'HEAD') {
    endWith(exchange, request.method === 'HEAD' ? undefined : body, readerStallMs);
    return exchange;
  }
  // With the declared length, the answer is now complete for its reader; end() would close the connection while the
  // sender is still writing, and the resulting reset could overtake the answer.
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

/** Whether the error revokes what the caller was allowed when the call began. */
export const takesAway = (error: GatewayError): boolean =>
  error.owner === 'policy' || error instanceof ModelNotFound || error.code === 'blob_not_found';

/**
 * Ends a stream that has begun, with the dialect's last frame. Closing the connection discards buffered bytes, so the
 * frame must first reach the socket; if the reader does not take it, the timer cuts the connection.
 */
export function breakOff(exchange: Exchange, error: GatewayError, midLine: boolean): void {
  const { response } = exchange;
  const timer = setTimeout(() => cutOff(response), takesAway(error) ? dismissMs : lingerMs);
  response.write(exchange.frames.spellError(error, exchange.id, midLine), () => {
    clearTimeout(timer);
    cutOff(response);
  });
}

/** A client can ask its authorization server for more (RFC 6750 §3.1). */
const scopeChallenge = ({ code }: GatewayError, exchange: Exchange): string | undefined =>
  code === 'missing_scope' ? exchange.scopeChallenge : undefined;

function hasBody({ request }: Exchange): boolean {
  const declared = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (declared !== undefined && declared !== '0');
}
