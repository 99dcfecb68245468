// Answers without authentication or a server behind the gate: the root, OPTIONS, and the metadata of protected resources. None reveals
// anything about keys, and none is recorded.

import { GatewayError } from '../../domain/error.ts';
import type { Exchange } from '../exchange.ts';
import type { Received } from '../receive.ts';
import { leaveUnrecorded, type Settled } from '../record.ts';
import type { AnswerSettings } from '../refuse.ts';
import type { ResourceServer } from '../services/mcp/resource-server.ts';
import { type CorsPolicy, preflightLines } from './cors.ts';
import { endWith } from './unread.ts';

export const asksForOptions = ({ method }: Received): boolean => method === 'OPTIONS';

export const asksForRoot = ({ method, target, published }: Received): boolean =>
  target.path === '/' && (method === 'GET' || method === 'HEAD') && published === undefined;

/**
 * The Ollama CLI starts with `HEAD <base>/` and gives up if it fails, so it is always answered, under /k/<key>/ too,
 * and independently of the key.
 */
export function answerRoot(exchange: Exchange, { ownHeaders, readerStallMs }: AnswerSettings): Settled {
  const { request, response } = exchange;
  const lines = [
    'content-type',
    'text/plain; charset=utf-8',
    'content-length',
    String(rootText.length),
    'x-request-id',
    exchange.id,
  ];
  response.writeHead(200, [...lines, ...ownHeaders, ...exchange.cors]);
  endWith(exchange, request.method === 'HEAD' ? undefined : rootText, readerStallMs);
  return leaveUnrecorded(exchange);
}

const rootText = 'Sekisho is running\n';

/** @throws GatewayError `method_not_allowed`. */
export function answerMetadata(
  { metadata }: ResourceServer,
  exchange: Exchange,
  { ownHeaders, readerStallMs }: AnswerSettings,
): Settled {
  const { request, response } = exchange;
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new GatewayError('method_not_allowed', { allow: 'GET, HEAD, OPTIONS' });
  const lines = ['content-type', 'application/json', 'content-length', String(metadata.length)];
  // Public, also for clients that are pages.
  lines.push('cache-control', 'max-age=300', 'access-control-allow-origin', '*', 'x-request-id', exchange.id);
  response.writeHead(200, [...lines, ...ownHeaders]);
  endWith(exchange, request.method === 'HEAD' ? undefined : metadata, readerStallMs);
  return leaveUnrecorded(exchange);
}

/** Answers a preflight, or a plain OPTIONS request; neither needs a key or reaches a model server. */
export function answerOptions(
  exchange: Exchange,
  cors: CorsPolicy,
  { ownHeaders, readerStallMs }: AnswerSettings,
): Settled {
  const { request, response } = exchange;
  const lines = ['x-request-id', exchange.id, ...ownHeaders, ...exchange.cors];
  const admitted = exchange.cors.includes('access-control-allow-origin');
  if (admitted && request.headers['access-control-request-method'] !== undefined)
    lines.push(...preflightLines(cors, request));
  else lines.push('allow', `${cors.methods}, OPTIONS`);
  response.writeHead(204, lines);
  endWith(exchange, undefined, readerStallMs);
  return leaveUnrecorded(exchange);
}
