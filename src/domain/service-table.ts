// All published services of a gate, and which of them a request is for. The look-up reads the path and the Host, and
// nothing else: no X-Forwarded-Uri, no query, no User-Agent (oauth2-proxy CVE-2026-40575, CVE-2025-54576, CVE-2026-34457).
import { Unreadable } from './sentences.ts';
import { isUnder } from './service-path.ts';
import { prefixOf, type ServiceRoute } from './service-route.ts';

/** First segments of the gate's own addresses. A house test compares them with what the gate answers. */
export const ownSegments: ReadonlySet<string> = new Set([
  'api',
  'v1',
  'k',
  'healthz',
  'readyz',
  'metrics',
  'portal',
  'management',
  'favicon.ico',
  'robots.txt',
]);

/** @throws Unreadable if these routes cannot stand beside each other, or not on this gate. */
export function refuseClashes(routes: readonly ServiceRoute[], ownHosts: ReadonlySet<string>): void {
  const names = new Set<string>();
  for (const [at, route] of routes.entries()) {
    const { name, match } = route;
    if (names.has(name)) throw new Unreadable('clash_name', { name });
    names.add(name);
    if (match.kind === 'host' && ownHosts.has(match.hostName))
      throw new Unreadable('clash_own_host', { name, host: match.hostName });
    if (match.kind === 'path') refuseOwn(name, match.prefix);
    for (const other of routes.slice(0, at)) refuseOverlap(route, other);
  }
}

function refuseOwn(name: string, prefix: string): void {
  const [, first = ''] = prefix.split('/');
  if (ownSegments.has(first.toLowerCase())) throw new Unreadable('clash_own_path', { name, first });
}

/** Also one prefix under another: which of two scopes an address needs must not depend on its length. */
function refuseOverlap(a: ServiceRoute, b: ServiceRoute): void {
  if (a.match.kind === 'host' && b.match.kind === 'host' && a.match.hostName === b.match.hostName)
    throw new Unreadable('clash_host', { one: b.name, other: a.name });
  if (a.match.kind !== 'path' || b.match.kind !== 'path') return;
  if (a.match.prefix === b.match.prefix) throw new Unreadable('clash_path', { one: b.name, other: a.name });
  if (isUnder(a.match.prefix, b.match.prefix) || isUnder(b.match.prefix, a.match.prefix))
    throw new Unreadable('clash_overlap', { one: b.name, other: a.name });
}

/** What the look-up reads of a route. */
type Matching = Pick<ServiceRoute, 'match'>;

export interface ServiceTable<Route extends Matching = ServiceRoute> {
  readonly routes: readonly Route[];
  /** `target`: the request target as it was sent; `host`: the Host header. */
  routeOf(target: string, host: string | undefined): Route | undefined;
  /** Whether a route has this Host to itself, with every path. */
  ownsHost(host: string | undefined): boolean;
}

/** Routes that do not clash. */
export function tableOf<Route extends Matching>(routes: readonly Route[]): ServiceTable<Route> {
  if (routes.length === 0) return { routes, routeOf: () => undefined, ownsHost: () => false };
  const byHost = new Map<string, Route>();
  const bySegment = new Map<string, Route[]>();
  for (const route of routes) {
    if (route.match.kind === 'host') byHost.set(route.match.hostName, route);
    else {
      const segment = firstSegment(route.match.prefix);
      bySegment.set(segment, [...(bySegment.get(segment) ?? []), route]);
    }
  }
  return {
    routes,
    ownsHost: (host) => byHost.size > 0 && host !== undefined && byHost.has(hostNameOf(host)),
    routeOf: (target, host) => {
      if (byHost.size > 0 && host !== undefined) {
        const found = byHost.get(hostNameOf(host));
        if (found) return found;
      }
      const path = withoutKey(pathOf(target));
      const under = bySegment.get(firstSegment(path));
      return under?.find((route) => isUnder(path, prefixOf(route)));
    },
  };
}

/** Without the query, which decides nothing. */
const pathOf = (target: string): string => {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
};

/** The text between the first slash and the next one. */
const firstSegment = (path: string): string => /^\/([^/]*)/.exec(path)?.[1] ?? '';

/** Without /k/<key>. */
function withoutKey(path: string): string {
  if (!path.startsWith('/k/')) return path;
  const slash = path.indexOf('/', 3);
  return slash < 0 ? '/' : path.slice(slash);
}

function hostNameOf(host: string): string {
  const colon = host.indexOf(':');
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
