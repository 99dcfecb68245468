// What the head of an answer says about how it is to be carried.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { replaceLength } from '../../upstream/headers.ts';
import type { Exchange } from '../exchange.ts';
import { ModelNotFound } from '../model-access.ts';
import type { Routed } from '../route.ts';

/** Is part of the request's body still unread? Then the connection cannot carry another request. */
export function bodyPending({ request }: Exchange): boolean {
  const declared = request.headers['content-length'];
  return (
    !request.complete &&
    (request.headers['transfer-encoding'] !== undefined || (declared !== undefined && declared !== '0'))
  );
}

/** What is said instead of an answer of this status; undefined where it is carried. */
export function refusalOf(status: number, { models, operation, stream }: Routed): GatewayError | undefined {
  // Of a server that lacks the route a 404 says nothing of the model.
  if (operation.reply.isOptional && (status === 404 || status === 405 || status === 501))
    return new GatewayError('upstream_lacks_route');
  const known = models.find((model) => model.name !== undefined);
  // Said in our own bytes, so that a missing model and a hidden one cannot be told apart (house: hidden models).
  if (status === 404 && known) return new ModelNotFound(known.text);
  // The model server refuses the gate, not the caller: a 401 would send people to look for a fault in their key, and
  // Ollama's carries a sign-in address of the operator's account.
  if (status === 401 || status === 403) return new GatewayError('upstream_refused', { cause: `status ${status}` });
  // Nobody is asked for a part, or for what has changed (RFC 9110, sections 13 and 14); and an answer that was to be
  // generated is not none at all, which could not even hold the sentence that says so.
  const isNone = (status === 204 || status === 205) && (stream || operation.time === 'inference');
  if (status < 200 || status === 206 || (status >= 300 && status < 400) || status > 599 || isNone)
    return new GatewayError('upstream_failed', { cause: `status ${status}` });
  return undefined;
}

/**
 * How the answer is carried: an error and a list that is to be filtered are read whole; a stream goes on as it comes; a
 * whole answer is glanced at, since it may be an error under a good status; and of the rest nothing is read.
 */
export type Carriage = 'error' | 'list' | 'stream' | 'glance' | 'plain';

export function carriageOf(routed: Routed, exchange: Exchange, status: number, headers: IncomingHttpHeaders): Carriage {
  if (status >= 400) return 'error';
  if (filtersList(routed)) return 'list';
  if (routed.stream && !isNoStream(headers)) return 'stream';
  return routed.operation.body === 'blob' || exchange.request.method === 'HEAD' ? 'plain' : 'glance';
}

/**
 * Loading and unloading a model answers with one JSON object, whatever `stream` says; and what is encoded, though we ask
 * for no encoding, cannot be read as a stream. Both are carried as they come.
 */
function isNoStream(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('application/json') === true || headers['content-encoding'] !== undefined;
}

/** A stream ends with its mark, and not with a count, which what is taken out of it would make wrong. */
export function streamLines(lines: readonly string[]): string[] {
  const found = replaceLength(lines, undefined);
  if (!found.includes('cache-control')) found.push('cache-control', 'no-cache');
  found.push('x-accel-buffering', 'no');
  return found;
}

/** Of the head of an error nothing goes on but when to come again. */
export function errorLines(lines: readonly string[], length: number): string[] {
  const at = lines.indexOf('retry-after');
  const found = at < 0 ? [] : lines.slice(at, at + 2);
  found.push('content-type', 'application/json; charset=utf-8', 'content-length', String(length));
  found.push('x-sekisho-error-owner', 'upstream');
  return found;
}

/** Is it a list of models, of which this key may not see all? */
function filtersList({ operation: { reply, methods }, caller: { principal } }: Routed): boolean {
  return (
    reply.list !== undefined && methods.includes('GET') && !(principal.models.all && principal.scopes.has('cloud'))
  );
}
