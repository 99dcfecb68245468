// Decides from the head of an answer how the answer is relayed.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { replaceLength } from '../../upstream/headers.ts';
import type { Exchange } from '../exchange.ts';
import { ModelNotFound } from '../model-access.ts';
import type { Routed } from '../route.ts';

/** Whether part of the request's body is still unread. If so, the connection cannot carry another request. */
export function bodyPending({ request }: Exchange): boolean {
  const declared = request.headers['content-length'];
  return (
    !request.complete &&
    (request.headers['transfer-encoding'] !== undefined || (declared !== undefined && declared !== '0'))
  );
}

/** The error to send instead of an answer with this status; undefined if the answer is relayed. */
export function refusalOf(status: number, { models, operation, stream }: Routed): GatewayError | undefined {
  // On a server without the route, a 404 says nothing about the model.
  if (operation.reply.isOptional && (status === 404 || status === 405 || status === 501))
    return new GatewayError('upstream_lacks_route');
  const known = models.find((model) => model.name !== undefined);
  // Written by the gateway, so that a missing model and a hidden one cannot be told apart (house: hidden models).
  if (status === 404 && known) return new ModelNotFound(known.text);
  // The model server refuses the gateway, not the caller: a relayed 401 would make people look for a fault in their
  // key, and Ollama's contains a sign-in address of the operator's account.
  if (status === 401 || status === 403) return new GatewayError('upstream_refused', { cause: `status ${status}` });
  // The gateway sends no range or conditional requests (RFC 9110 §13 and §14), so it expects no such answers. And
  // generated text cannot come with a status that has no body.
  const isNone = (status === 204 || status === 205) && (stream || operation.time === 'inference');
  if (status < 200 || status === 206 || (status >= 300 && status < 400) || status > 599 || isNone)
    return new GatewayError('upstream_failed', { cause: `status ${status}` });
  return undefined;
}

/**
 * How the answer is relayed: errors and lists to be filtered are read whole; streams are relayed as they arrive; a
 * whole answer is inspected first, since it may be an error under a success status; a translated one is read to its end
 * (`whole`); anything else is not read.
 */
export type Carriage = 'error' | 'list' | 'stream' | 'glance' | 'plain' | 'whole';

export function carriageOf(routed: Routed, exchange: Exchange, status: number, headers: IncomingHttpHeaders): Carriage {
  if (status >= 400) return 'error';
  if (filtersList(routed)) return 'list';
  if (routed.stream && !isNoStream(headers)) return 'stream';
  return routed.operation.body === 'blob' || exchange.request.method === 'HEAD' ? 'plain' : 'glance';
}

/**
 * Loading and unloading a model answers with one JSON object, whatever `stream` says; and an encoded answer, although
 * no encoding is requested, cannot be read as a stream. Both are relayed as they arrive.
 */
export function isNoStream(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('application/json') === true || headers['content-encoding'] !== undefined;
}

/** A stream has no Content-Length: removing parts of it would make the length wrong. */
export function streamLines(lines: readonly string[]): string[] {
  const found = replaceLength(lines, undefined);
  if (!found.includes('cache-control')) found.push('cache-control', 'no-cache');
  found.push('x-accel-buffering', 'no');
  return found;
}

/** Of the head of an error, only Retry-After is relayed. */
export function errorLines(lines: readonly string[], length: number): string[] {
  const at = lines.indexOf('retry-after');
  const found = at < 0 ? [] : lines.slice(at, at + 2);
  found.push('content-type', 'application/json; charset=utf-8', 'content-length', String(length));
  found.push('x-sekisho-error-owner', 'upstream');
  return found;
}

/** Whether this is a model list with models that this key may not see. */
function filtersList({ operation: { reply, methods }, caller: { principal } }: Routed): boolean {
  return (
    reply.list !== undefined && methods.includes('GET') && !(principal.models.all && principal.scopes.has('cloud'))
  );
}
