// What becomes of a call that waited while its service was changed or removed: it is sent as the route is now, never as it was, so
// that it does not reach what the route no longer publishes with a right that no longer opens it.
import { GatewayError } from '../../domain/error.ts';
import type { Published, ServiceOperation } from './published.ts';
import type { PublishedServices } from './published-services.ts';

/** @throws GatewayError `unknown_route` if it is gone; `draining` if it decides differently who may call it, and how. */
export function stillPublished<Call extends { readonly operation: ServiceOperation }>(
  call: Call,
  services: Pick<PublishedServices, 'table'>,
): Call {
  const before = call.operation.service;
  if (!before.isReplaced) return call;
  const now = services.table.routes.find(({ name }) => name === before.name);
  if (!now) throw new GatewayError('unknown_route');
  if (!decidesAlike(before, now))
    throw new GatewayError('draining', { message: 'The service was changed while this call waited. Send it again.' });
  return { ...call, operation: now.operation };
}

/** What was decided by the route before the call waited. */
const decidesAlike = (a: Published, b: Published): boolean => decisionsOf(a) === decisionsOf(b);

const decisionsOf = ({ route }: Published): string => {
  const { match, scope, methods, credential, mcp, bodyBytes, cors } = route;
  return JSON.stringify([match, scope, methods, credential, mcp, bodyBytes, cors, route.webSocket?.origins]);
};
