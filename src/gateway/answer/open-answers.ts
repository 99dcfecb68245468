// Answers without authentication or a model server: the root, and OPTIONS. Neither reveals anything about keys, and
// neither is recorded.

import type { Exchange } from '../exchange.ts';
import type { Received } from '../receive.ts';
import { leaveUnrecorded, type Settled } from '../record.ts';
import type { AnswerSettings } from '../refuse.ts';
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
