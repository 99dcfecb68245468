// Finds the requested operation. Takes a request that is not a browser navigation; proves that its path names one
// operation of the closed table, and that its query holds no key. From here on, the record has the operation.
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import type { Fetched } from './browser.ts';
import type { Exchange } from './exchange.ts';
import { type Matched, matchOperation } from './operation.ts';
import { matchPublished } from './services/match-published.ts';

declare class Mark {
  protected readonly asked: true;
}
/** Proof that the operation is known. */
export interface Asked extends Matched, Mark {
  readonly received: Fetched;
}

declare class CleanMark {
  protected readonly addressed: true;
}
/** Proof that the operation is known and the query holds no key. */
export interface Addressed extends Asked, CleanMark {}

/** @throws GatewayError `unknown_route`, `method_not_allowed`, `no_web_socket`, or what `matchPublished` throws. */
export function ask(received: Fetched, exchange: Pick<Exchange, 'notes' | 'frames' | 'upgrade'>): Asked {
  const { method, target, request, published } = received;
  const { operation, parameter } = published
    ? matchPublished(published, received, exchange.upgrade !== undefined)
    : matchOperation(method, target, asksForWebSocket(request));
  exchange.notes.noteOperation(operation);
  exchange.frames = operation.frames;
  return { operation, parameter, target, received } as Asked;
}

/** Codex first tries a WebSocket on /v1/responses, and falls back to POST on 426 (RFC 9110 §15.5.22). */
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
 * Refuses a key in a query string, without checking it: query strings end up in histories, logs and Referer headers.
 * @throws GatewayError `key_in_query`.
 */
export function refuseKeyInQuery(asked: Asked): Addressed {
  const { query: sent } = asked.target;
  if (sent === '') return asked as Addressed;
  const query = sent.includes('%') ? decoded(sent) : sent;
  for (const pair of query.split('&')) {
    const name = (pair.split('=', 1)[0] as string).toLowerCase();
    if (keyNames.has(name)) throw new GatewayError('key_in_query');
  }
  if (query.includes('sekisho_')) throw new GatewayError('key_in_query');
  return asked as Addressed;
}

/** A query whose escapes cannot be decoded is read as it is. */
function decoded(query: string): string {
  try {
    return decodeURIComponent(query);
  } catch {
    return query;
  }
}
