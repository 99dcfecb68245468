// A published service as the data plane uses it: its route, and everything that is made of the route once.
import { type AllowList, allowListOf } from '../../domain/header-names.ts';
import { operationNameOf, prefixOf, type ServiceRoute } from '../../domain/service-route.ts';
import type { ServiceServer } from '../../upstream/service-server.ts';
import { type CorsPolicy, servicePolicy } from '../answer/cors.ts';
import type { Operation } from '../dialects/dialect.ts';
import { plain } from '../dialects/reply.ts';
import type { McpSessions } from './mcp/mcp-sessions.ts';
import { type ResourceServer, resourceServerOf } from './mcp/resource-server.ts';
import type { Seat } from './seat.ts';
import { servicesDialect } from './services-dialect.ts';

/** The operation of a service. Every call of it, whatever its method and path, is one row of the ledger. */
export interface ServiceOperation extends Operation {
  readonly service: Published;
}

export class Published {
  readonly route: ServiceRoute;
  readonly operation: ServiceOperation;
  /** Gives a ticket for a WebSocket; the service is not asked. */
  readonly ticketOperation: ServiceOperation;
  readonly servers: readonly ServiceServer[];
  readonly requestHeaders: AllowList;
  readonly responseHeaders: AllowList;
  readonly cors: CorsPolicy;
  /** The route was changed or removed since. */
  isReplaced = false;
  /** Calls that run or wait, by account; only if the route limits them. */
  readonly #running: Map<string, number>;
  /** Of an MCP server. */
  readonly sessions: McpSessions;
  /** Of an MCP server that takes access tokens. */
  readonly resource: ResourceServer | undefined;
  /** For calls that only one server can answer: the same array for all of them. */
  readonly alone: ReadonlyMap<ServiceServer, readonly ServiceServer[]>;

  /** `own`: where callers find the gate; `before`: the same route until it was changed, whose calls keep their places. */
  constructor(
    route: ServiceRoute,
    servers: readonly ServiceServer[],
    sessions: McpSessions,
    own: URL,
    before: Published | undefined,
  ) {
    this.route = route;
    this.servers = servers;
    this.sessions = sessions;
    this.resource = resourceServerOf(route, own);
    this.alone = new Map(servers.map((server) => [server, [server]]));
    this.#running = before ? before.#running : new Map<string, number>();
    this.requestHeaders = allowListOf(
      route.mcp ? [...route.requestHeaders, ...mcpHeaders] : route.requestHeaders,
      'request',
    );
    this.responseHeaders = allowListOf(route.responseHeaders, 'response');
    this.cors = servicePolicy(route, this.requestHeaders);
    this.operation = {
      name: operationNameOf(route),
      methods: route.methods,
      path: prefixOf(route) || '/',
      dialect: servicesDialect,
      scope: route.scope,
      body: 'stream',
      model: 'none',
      takesAliases: false,
      streamDefault: null,
      reply: plain,
      frames: servicesDialect.frames,
      time: 'transfer',
      service: this,
    };
    this.ticketOperation = { ...this.operation, name: `ticket:${route.name}`, body: 'none', time: 'metadata' };
  }

  get name(): string {
    return this.route.name;
  }

  get match(): ServiceRoute['match'] {
    return this.route.match;
  }

  /** It has a host name of its own, so its pages cannot reach the portal. */
  get hasOwnHost(): boolean {
    return this.route.match.kind === 'host';
  }

  /** Takes one of the places that the route has for an account; undefined: all are taken. */
  takeSeat(accountId: string): Seat | undefined {
    const { concurrent } = this.route;
    if (concurrent === null) return noSeat;
    const running = this.#running.get(accountId) ?? 0;
    if (running >= concurrent) return undefined;
    this.#running.set(accountId, running + 1);
    let isLeft = false;
    return {
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        const left = (this.#running.get(accountId) ?? 1) - 1;
        if (left > 0) this.#running.set(accountId, left);
        else this.#running.delete(accountId);
      },
    };
  }
}

const mcpHeaders = ['mcp-protocol-version', 'mcp-method', 'mcp-name', 'mcp-param-*'];

const noSeat: Seat = { leave: () => undefined };

export const isPublished = (operation: Operation): operation is ServiceOperation => operation.service !== undefined;
