// Cross-origin requests, answered before authentication: a preflight has no key and must not need one. Takes the Origin
// header and the operator's list; returns the response lines for that origin, or none. No credentials mode: keys travel
// in headers, and cookies never open the data plane. Fetch standard §3.2.
import type { IncomingMessage } from 'node:http';
import type { AllowList } from '../../domain/header-names.ts';
import type { ServiceRoute } from '../../domain/service-route.ts';
import { dialects } from '../dialects/dialects.ts';

export interface CorsPolicy {
  readonly any: boolean;
  readonly origins: ReadonlySet<string>;
  /** For preflights. */
  readonly methods: string;
  readonly mayAsk: (header: string) => boolean;
  /** Response headers that pages may read. */
  readonly exposed: string;
}

/** Origins as configured; `*` is any. Compared whole: a suffix match would admit evil-example.com. */
export function corsPolicy(origins: readonly string[]): CorsPolicy {
  const any = origins.includes('*');
  return {
    any,
    origins: new Set(origins),
    methods: 'GET, HEAD, POST, DELETE',
    mayAsk: (name) => (any ? headerName.test(name) : allowedHeaders.has(name) || stainless.test(name)),
    exposed,
  };
}

/** The policy of a published service, whose pages may send what the route lets through, and a key. */
export function servicePolicy(
  { cors, methods, responseHeaders, mcp }: ServiceRoute,
  requestHeaders: AllowList,
): CorsPolicy {
  // The gate itself reads and writes the id of a session.
  const session = mcp ? ['mcp-session-id'] : [];
  const credentials = new Set(['authorization', 'x-api-key', 'api-key', ...session]);
  const readable = [
    'content-range',
    'etag',
    ...session,
    ...(mcp ? ['www-authenticate'] : []),
    ...responseHeaders.filter((name) => !name.endsWith('*')),
  ];
  return {
    any: false,
    origins: new Set(cors),
    methods: methods.join(', '),
    mayAsk: (name) => requestHeaders.allows(name) || credentials.has(name),
    exposed: `${exposed}, ${readable.join(', ')}`,
  };
}

// Listed one by one: `*` is no wildcard where a page sends credentials (Fetch standard §3.3.3).
const exposed =
  'X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, X-Should-Retry, X-Sekisho-Error-Owner, ' +
  'X-Sekisho-Error-Code, X-Sekisho-Changed, X-Sekisho-Announcement, X-Sekisho-Model, X-Sekisho-Fallback, X-Sekisho-Warning, X-Sekisho-Queue-Position, X-Sekisho-Queue-Wait-Ms, ' +
  [...new Set(dialects.flatMap(({ headers }) => headers.limits))].join(', ');
const none: readonly string[] = [];

/** Response lines for an actual request, as name, value, name, value. */
export function corsLines(policy: CorsPolicy, origin: string | undefined): readonly string[] {
  if (origin === undefined || (!policy.any && policy.origins.size === 0)) return none;
  if (policy.any) return ['access-control-allow-origin', '*', 'access-control-expose-headers', policy.exposed];
  if (!policy.origins.has(origin)) return ['vary', 'Origin'];
  return ['access-control-allow-origin', origin, 'vary', 'Origin', 'access-control-expose-headers', policy.exposed];
}

// Headers that the official SDKs send from a browser; the x-stainless family grows and is matched by prefix.
const allowedHeaders = new Set(
  (
    'accept accept-language authorization cache-control content-type x-api-key x-requested-with x-request-id ' +
    'idempotency-key traceparent tracestate baggage sentry-trace user-agent dangerously-allow-browser http-referer ' +
    'x-title api-key'
  )
    .split(' ')
    .concat(dialects.flatMap(({ headers }) => [...headers.onward, ...headers.ofPages])),
);

const stainless = /^x-stainless-[a-z0-9-]{1,40}$/;
/** A header name (RFC 9110 §5.1) of realistic length. */
const headerName = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/;

/**
 * Response lines for a preflight; only for an origin that corsLines admits. If every origin is admitted, so is every
 * header name: only listed headers are forwarded to model servers.
 */
export function preflightLines({ methods, mayAsk }: CorsPolicy, request: IncomingMessage): string[] {
  const asked = request.headers['access-control-request-headers'] ?? '';
  const granted = asked
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .slice(0, 100)
    .filter(mayAsk);
  const lines = ['access-control-allow-methods', methods, 'access-control-max-age', '7200'];
  if (granted.length > 0) lines.push('access-control-allow-headers', granted.join(', '));
  if (request.headers['access-control-request-private-network'] === 'true') {
    lines.push('access-control-allow-private-network', 'true');
  }
  return lines;
}
