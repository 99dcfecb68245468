// Finds what a request asks of a published service: the method must be one of the route's, and the key in a place that the
// route allows.
import { GatewayError } from '../../domain/error.ts';
import type { Received } from '../receive.ts';
import type { Published, ServiceOperation } from './published.ts';

/** @throws GatewayError `method_not_allowed`, `no_web_socket`, `path_key_not_allowed`, `invalid_api_key`. */
export function matchPublished(
  { operation, route }: Published,
  { method, target, request }: Pick<Received, 'method' | 'target' | 'request'>,
): { readonly operation: ServiceOperation; readonly parameter: string } {
  if (!(route.methods as readonly string[]).includes(method))
    throw new GatewayError('method_not_allowed', { allow: [...route.methods, 'OPTIONS'].join(', ') });
  if (request.headers.upgrade?.toLowerCase().includes('websocket') === true) throw new GatewayError('no_web_socket');
  const isInPath = target.pathKey !== undefined;
  if (isInPath && !route.credential.includes('path'))
    throw new GatewayError('path_key_not_allowed', {
      message: 'This service does not take a key in its address. Send it as x-api-key.',
    });
  if (!isInPath && !route.credential.includes('header')) throw new GatewayError('invalid_api_key');
  return { operation, parameter: textOf(target) };
}

/** The checked target as one text, which readServicePath reads back. */
const textOf = ({ path, pathKey, query }: Received['target']): string =>
  `${pathKey === undefined ? '' : `/k/${pathKey}`}${path}${query === '' ? '' : `?${query}`}`;
