// Checks the request head. Takes what Node's parser accepted; proves a single Host, a bounded number of headers, a
// known HTTP version, unambiguous framing, and no loop. Measured: Node shows only the first of two Host headers, drops
// headers beyond its limit while they still frame the body (CVE-2026-58044), and passes HTTP/2.0 version lines to the
// application.
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import { readServicePath } from '../domain/service-path.ts';
import { corsLines } from './answer/cors.ts';
import type { Exchange } from './exchange.ts';
import { canonicalTarget, dialectOf, type Target } from './operation.ts';
import { metadataPath } from './services/mcp/resource-server.ts';
import type { Published } from './services/published.ts';
import type { PublishedServices } from './services/published-services.ts';
import { servicesDialect } from './services/services-dialect.ts';

declare class Mark {
  protected readonly received: true;
}
/** A request with a valid head. */
export interface Received extends Mark {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly target: Target;
  /** The published service that it is for; undefined for models. */
  readonly published: Published | undefined;
  /** The service whose metadata are asked for. */
  readonly described: Published | undefined;
  /** Lower-case names of watched headers that occur more than once. */
  readonly repeated: ReadonlySet<string>;
}

export const maxHeaders = 100;
export const viaName = 'sekisho';

const hostShape = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
const none: ReadonlySet<string> = new Set();

/**
 * From here on, a refusal uses the dialect of the canonical path.
 * @throws GatewayError about the head only; the body has not been read.
 */
export function receive(
  exchange: Pick<Exchange, 'request' | 'dialect' | 'cors' | 'challenge'>,
  { table }: Pick<PublishedServices, 'table'>,
): Received {
  const { request } = exchange;
  const { rawHeaders, headers, httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new GatewayError('http_version');
  // At the limit, Node may already have dropped headers, so the limit itself is refused.
  if (rawHeaders.length / 2 >= maxHeaders) throw new GatewayError('too_many_headers');
  const repeated = findRepeated(rawHeaders);
  if (repeated.has('host') || !(headers.host === undefined ? httpVersion === '1.0' : hostShape.test(headers.host))) {
    throw new GatewayError('bad_host');
  }
  const coding = headers['transfer-encoding'];
  if (
    coding !== undefined &&
    (coding.toLowerCase() !== 'chunked' || httpVersion === '1.0' || headers['content-length'] !== undefined)
  ) {
    throw new GatewayError('bad_request_head');
  }
  if (headers.via !== undefined && headers.via.split(viaName).length > 2) throw new GatewayError('loop_detected');
  const raw = request.url ?? '';
  const described = raw.startsWith(metadataPath) ? describedBy(raw, headers.host, table) : undefined;
  if (described)
    return {
      request,
      method: request.method ?? '',
      target: { path: metadataPath, pathKey: undefined, query: '' },
      published: undefined,
      described,
      repeated,
    } as Received;
  const published = table.routeOf(raw, headers.host);
  const target = published ? publishedTarget(published, raw, exchange) : canonicalTarget(raw);
  if (!published) exchange.dialect = dialectOf(target.path);
  return { request, method: request.method ?? '', target, published, described, repeated } as Received;
}

/** A service has its own rule for paths, and its own origins. @throws GatewayError `bad_target`. */
function publishedTarget(
  { cors, hasOwnHost, resource }: Published,
  raw: string,
  exchange: Pick<Exchange, 'request' | 'dialect' | 'cors' | 'challenge'>,
): Target {
  exchange.dialect = servicesDialect;
  exchange.cors = corsLines(cors, exchange.request.headers.origin);
  // A browser asks its user for a key only for Basic, and only a service on its own host may have pages.
  if (resource) exchange.challenge = resource.challenges.missing;
  else if (hasOwnHost) exchange.challenge = 'Basic realm="sekisho", charset="UTF-8"';
  return readServicePath(raw);
}

/** The service whose metadata stand at this address (RFC 9728 §3.1). @throws GatewayError `unknown_route` if there is none. */
function describedBy(raw: string, host: string | undefined, table: PublishedServices['table']): Published | undefined {
  const path = raw.slice(metadataPath.length);
  const found = table.ownsHost(host)
    ? table.routeOf(raw, host)
    : table.routes.find(({ match }) => match.kind === 'path' && match.prefix === path);
  const isThere = found?.resource !== undefined && (found.hasOwnHost ? path === '' : true);
  if (isThere) return found;
  // A service with a host of its own has every other path.
  if (found?.hasOwnHost === true) return undefined;
  throw new GatewayError('unknown_route');
}

/** Finds security-relevant headers that occur twice. Node joins or drops repeats, so only the raw list shows them. */
function findRepeated(rawHeaders: readonly string[]): ReadonlySet<string> {
  let seen = 0;
  let repeated: Set<string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const bit = watched.get(name.length);
    if (bit === undefined) continue;
    const lower = name.toLowerCase();
    if (lower !== bit.name) continue;
    if ((seen & bit.bit) !== 0) (repeated ??= new Set()).add(lower);
    seen |= bit.bit;
  }
  return repeated ?? none;
}

/** Watched names by length, which is different for each. */
const watched = new Map(
  ['host', 'x-api-key', 'authorization', 'content-encoding', 'content-type', 'api-key'].map((name, i) => [
    name.length,
    { name, bit: 1 << i },
  ]),
);
