// Which pages may open a WebSocket, or speak to an MCP server. Browsers let any page try, and send what they hold for the host with it; they name the page in
// Origin, which no page can change (RFC 6455 §10.2). Programs send none.
import { GatewayError } from '../../domain/error.ts';
import type { Published } from '../services/published.ts';

/**
 * Besides the listed origins, a service with its own host name is open to its own pages.
 * @throws GatewayError `origin_not_allowed`.
 */
export function refuseOrigin(
  origin: string,
  { route: { webSocket, mcp, cors }, hasOwnHost }: Pick<Published, 'route' | 'hasOwnHost'>,
  host: string | undefined,
): void {
  if ((mcp ? cors : webSocket?.origins)?.includes(origin) === true) return;
  if (hasOwnHost && isOriginOf(origin, host)) return;
  throw new GatewayError('origin_not_allowed');
}

/**
 * Whether it is the origin of the pages of this Host, written as browsers write it (RFC 6454 §6.2). A gateway behind a proxy does
 * not always know which scheme they have.
 */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  const name = host?.toLowerCase();
  return origin === `https://${name}` || origin === `http://${name}`;
}
