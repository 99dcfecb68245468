// Finds what a request asks of a published service: the method must be one of the route's, and the credential in a place that the
// route allows. An upgrade must be a correct handshake, from a page that may open a WebSocket.
import type { IncomingHttpHeaders } from 'node:http';
import { readKeyId } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import { detail } from '../../domain/refusal-details.ts';
import { restOf } from '../../domain/service-path.ts';
import { type CredentialWay, prefixOf } from '../../domain/service-route.ts';
import type { Target } from '../operation.ts';
import type { Received } from '../receive.ts';
import { readHandshake, shownTicket } from '../websocket/handshake.ts';
import { refuseOrigin } from '../websocket/origin.ts';
import type { Published, ServiceOperation } from './published.ts';

/** The path under which a service with tickets gives them; the service itself is not asked. */
const ticketPath = '/sekisho-ticket';

/**
 * `isUpgrade`: the connection waits for a WebSocket.
 * @throws GatewayError `method_not_allowed`, `no_web_socket`, `bad_web_socket`, `origin_not_allowed`, `path_key_not_allowed`,
 * `invalid_api_key`.
 */
export function matchPublished(
  published: Published,
  { method, target, request: { headers } }: Pick<Received, 'method' | 'target' | 'request'>,
  isUpgrade: boolean,
): { readonly operation: ServiceOperation; readonly parameter: string } {
  const { operation, ticketOperation, route } = published;
  if (!(route.methods as readonly string[]).includes(method))
    throw new GatewayError('method_not_allowed', { allow: [...route.methods, 'OPTIONS'].join(', ') });
  if (isUpgrade) checkHandshake(published, headers);
  else if (headers.upgrade?.toLowerCase().includes('websocket') === true)
    throw new GatewayError(route.webSocket ? 'bad_web_socket' : 'no_web_socket');
  // A MUST of the protocol: a page of another site must not reach a server through its user's browser.
  if (route.mcp && headers.origin !== undefined) refuseOrigin(headers.origin, published, headers.host);
  refuseWay(wayOf(target, isUpgrade, headers), published);
  if (target.path.includes('sekisho_')) refuseKeyIn(target.path);
  const isTicket = !isUpgrade && asksForTicket(published, method, target);
  return { operation: isTicket ? ticketOperation : operation, parameter: textOf(target) };
}

/** Whether the request is for a ticket of this service. */
export const asksForTicket = ({ route }: Pick<Published, 'route'>, method: string, target: Target): boolean =>
  method === 'POST' && route.credential.includes('ticket') && restOf(target.path, prefixOf(route)) === ticketPath;

function checkHandshake(published: Published, headers: IncomingHttpHeaders): void {
  if (!published.route.webSocket) throw new GatewayError('no_web_socket');
  readHandshake(headers);
  if (headers.origin !== undefined) refuseOrigin(headers.origin, published, headers.host);
}

function wayOf({ pathKey }: Target, isUpgrade: boolean, headers: IncomingHttpHeaders): CredentialWay {
  if (pathKey !== undefined) return 'path';
  return isUpgrade && shownTicket(headers) !== undefined ? 'ticket' : 'header';
}

function refuseWay(way: CredentialWay, { route }: Published): void {
  if (route.credential.includes(way)) return;
  if (way !== 'path') throw new GatewayError(way === 'ticket' ? 'invalid_ticket' : 'invalid_api_key');
  throw new GatewayError('path_key_not_allowed', {
    message: detail('no_path_key', {}),
  });
}

/** A key after the prefix would go on to the service, and into its logs. @throws GatewayError `path_key_not_allowed`. */
function refuseKeyIn(path: string): void {
  if (path.split('/').some((segment) => readKeyId(segment) !== undefined))
    throw new GatewayError('path_key_not_allowed', {
      message: detail('late_path_key', {}),
    });
}

/** The checked target as one text, which readServicePath reads back. */
const textOf = ({ path, pathKey, query }: Target): string =>
  `${pathKey === undefined ? '' : `/k/${pathKey}`}${path}${query === '' ? '' : `?${query}`}`;
