// What is asked. Takes a request that no browser made by opening a page; proves that its address names one operation of the
// closed table, and that no key stands in its query. The record knows the operation from here on.
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import type { Fetched } from './browser.ts';
import type { Exchange } from './exchange.ts';
import { type Matched, matchOperation } from './operation.ts';

declare class Mark {
  protected readonly asked: true;
}
/** A known operation is meant. */
export interface Asked extends Matched, Mark {
  readonly received: Fetched;
}

declare class CleanMark {
  protected readonly addressed: true;
}
/** A known operation is meant, and the query holds no key. */
export interface Addressed extends Asked, CleanMark {}

/** @throws GatewayError `unknown_route`, `method_not_allowed` or `no_web_socket`. */
export function ask(received: Fetched, exchange: Pick<Exchange, 'notes' | 'frames'>): Asked {
  const { method, target, request } = received;
  const { operation, parameter } = matchOperation(method, target, asksForWebSocket(request));
  exchange.notes.noteOperation(operation);
  exchange.frames = operation.frames;
  return { operation, parameter, target, received } as Asked;
}

/** Codex opens one on /v1/responses first, and falls back to a POST where the answer is 426 (RFC 9110, section 15.5.22). */
function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase().includes('websocket') === true;
}

const keyNames = new Set([
  'key',
  'api_key',
  'apikey',
  'api-key',
  'x-api-key',
  'token',
  'access_token',
  'authorization',
]);

/**
 * A key in a query string ends up in histories, logs and Referer headers; it is refused before it is looked at.
 * @throws GatewayError `key_in_query`.
 */
export function refuseKeyInQuery(asked: Asked): Addressed {
  const { query } = asked.target;
  if (query === '') return asked as Addressed;
  for (const pair of query.split('&')) {
    const name = (pair.split('=', 1)[0] as string).toLowerCase();
    if (keyNames.has(name)) throw new GatewayError('key_in_query');
  }
  if (query.includes('sekisho_')) throw new GatewayError('key_in_query');
  return asked as Addressed;
}
