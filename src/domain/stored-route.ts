// A published service that is added at run time: what was said of it, as it was said, so that a default that changes later
// applies to it too. And the description of any route, with every option.
import type { RouteId } from './id.ts';
import { writtenTools } from './mcp-tools.ts';
import type { ServiceCost, ServiceRoute } from './service-route.ts';

/** The options of a route as an operator writes them (read-service-route.ts). */
export type RouteOptions = Readonly<Record<string, unknown>>;

export interface StoredRoute {
  readonly id: RouteId;
  readonly name: string;
  /** Without `name`. */
  readonly options: RouteOptions;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly version: number;
}

/** The most routes that can be stored. */
export const mostRoutes = 200;

/** All options of a route, in the form in which they are read. */
export function optionsOf({ match, times, webSocket, tls, requestHeaders, responseHeaders, ...rest }: ServiceRoute) {
  const { name: _name, cost, mcp, upstreams, methods, credential, cookies, cors, ...plain } = rest;
  return {
    path: match.kind === 'path' ? match.prefix : null,
    hostName: match.kind === 'host' ? match.hostName : null,
    ...plain,
    upstreams: [...upstreams],
    methods: [...methods],
    credential: [...credential],
    cookies: [...cookies],
    cors: [...cors],
    headers: { request: [...requestHeaders], response: [...responseHeaders] },
    timeouts: {
      connect: times.connectSeconds,
      head: times.headSeconds,
      idle: times.idleSeconds,
      total: times.totalSeconds,
    },
    websocket: webSocket && {
      origins: [...webSocket.origins],
      maxFrameBytes: webSocket.maxFrameBytes,
      idle: webSocket.idleSeconds,
      maxSeconds: webSocket.maxSeconds,
      perKey: webSocket.perKey,
    },
    mcp: mcp && {
      tools: mcp.tools.map((each) => writtenTools(each, each.scope)),
      ...(mcp.issuer && {
        issuer: mcp.issuer.url,
        subjects: mcp.issuer.subjects.map(({ subject, account }) => `${subject}=${account}`),
      }),
    },
    cost: costOf(cost),
    tls: { ...tls },
  };
}

function costOf(cost: ServiceCost | null) {
  switch (cost?.kind) {
    case undefined:
      return null;
    case 'fixed':
      return {
        unit: cost.unit,
        fixed: cost.units,
        ...(cost.tools.length > 0 ? { tools: cost.tools.map((each) => writtenTools(each, each.units)) } : {}),
      };
    case 'second':
      return { unit: cost.unit, perSecond: cost.units };
    case 'header':
      return { unit: cost.unit, header: cost.header, cap: cost.cap };
  }
}
