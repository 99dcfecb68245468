// What is answered to everybody, without a key and without a model server: the root, and what a browser asks before a call.
// Neither says anything about any key, and neither has a record.

import type { Exchange } from '../exchange.ts';
import type { Received } from '../receive.ts';
import { leaveUnrecorded, type Settled } from '../record.ts';
import type { AnswerSettings } from '../refuse.ts';
import { type CorsPolicy, preflightLines } from './cors.ts';
import { endWith } from './unread.ts';

export const asksForOptions = ({ method }: Received): boolean => method === 'OPTIONS';

export const asksForRoot = ({ method, target }: Received): boolean =>
  target.path === '/' && (method === 'GET' || method === 'HEAD');

/**
 * The Ollama CLI asks `HEAD <base>/` before it does anything else and gives up where that is refused, so it is answered
 * to everybody, under /k/<key>/ too, and says nothing about any key.
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

/** A preflight, or the plain question what a route answers; neither needs a key, neither reaches a model server. */
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
  else lines.push('allow', 'GET, HEAD, POST, DELETE, OPTIONS');
  response.writeHead(204, lines);
  endWith(exchange, undefined, readerStallMs);
  return leaveUnrecorded(exchange);
}
