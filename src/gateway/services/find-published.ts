// Finds the published service that a request is for, or whose metadata it asks for, and reads its path by the services' rule. From here on,
// a refusal is written as those of services are.
import { GatewayError } from '../../domain/error.ts';
import { readServicePath } from '../../domain/service-path.ts';
import { corsLines } from '../answer/cors.ts';
import type { Exchange } from '../exchange.ts';
import type { Target } from '../operation.ts';
import { metadataPath } from './mcp/resource-server.ts';
import type { Published } from './published.ts';
import type { PublishedServices } from './published-services.ts';
import { servicesDialect } from './services-dialect.ts';

interface Found {
  readonly published: Published | undefined;
  /** The service whose metadata are asked for. */
  readonly described: Published | undefined;
  readonly target: Target;
}

type Heard = Pick<Exchange, 'request' | 'dialect' | 'cors' | 'challenge'>;
type Table = PublishedServices['table'];

export const nonePublished: Pick<Found, 'published' | 'described'> = { published: undefined, described: undefined };

const metadataTarget: Target = { path: metadataPath, pathKey: undefined, query: '' };

/** Undefined for everything else. @throws GatewayError `bad_target`; `unknown_route` for metadata that nothing has. */
export function findPublished(raw: string, exchange: Heard, table: Table): Found | undefined {
  const { host } = exchange.request.headers;
  const described = raw.startsWith(metadataPath) ? describedBy(raw, host, table) : undefined;
  if (described) return { published: undefined, described, target: metadataTarget };
  const published = table.routeOf(raw, host);
  return published && { published, described, target: targetOf(published, raw, exchange) };
}

/** A service has its own origins, too. */
function targetOf({ cors, hasOwnHost, resource }: Published, raw: string, exchange: Heard): Target {
  exchange.dialect = servicesDialect;
  exchange.cors = corsLines(cors, exchange.request.headers.origin);
  // A browser asks its user for a key only for Basic, and only a service on its own host may have pages.
  if (resource) exchange.challenge = resource.challenges.missing;
  else if (hasOwnHost) exchange.challenge = 'Basic realm="sekisho", charset="UTF-8"';
  return readServicePath(raw);
}

/** The service whose metadata stand at this address (RFC 9728 §3.1). */
function describedBy(raw: string, host: string | undefined, table: Table): Published | undefined {
  const path = raw.slice(metadataPath.length);
  const found = table.ownsHost(host)
    ? table.routeOf(raw, host)
    : table.routes.find(({ match }) => match.kind === 'path' && match.prefix === path);
  if (found?.resource !== undefined && (!found.hasOwnHost || path === '')) return found;
  // A service with a host of its own has every other path.
  if (found?.hasOwnHost === true) return undefined;
  throw new GatewayError('unknown_route');
}
