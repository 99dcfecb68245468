// The published services of this gate, which can change while it serves. A route that changes keeps its servers where their
// addresses and what it takes to reach them stay the same; running calls go on with what they began with.
import type { ServiceRoute } from '../../domain/service-route.ts';
import { type ServiceTable, tableOf } from '../../domain/service-table.ts';
import type { Credentials } from '../../upstream/credentials.ts';
import type { ServiceEntry } from '../../upstream/service-entry.ts';
import { ServiceServer } from '../../upstream/service-server.ts';
import type { McpSessions } from './mcp/mcp-sessions.ts';
import { Published } from './published.ts';

/** Ends the calls of a server that has been taken out. */
export type EndCalls = (server: ServiceServer) => void;
/** Ends the calls of a removed service that have not been sent. */
export type EndWaiting = (published: Published) => void;

export class PublishedServices {
  table: ServiceTable<Published> = tableOf<Published>([]);
  readonly #drainMs: number;
  readonly #sessions: McpSessions;
  #endCalls: EndCalls = () => undefined;
  #endWaiting: EndWaiting = () => undefined;
  #retiring = new Set<ServiceServer>();

  constructor(drainMs: number, sessions: McpSessions) {
    this.#drainMs = drainMs;
    this.#sessions = sessions;
  }

  /** Called for a server whose calls have not ended in time. */
  onLate(endCalls: EndCalls): void {
    this.#endCalls = endCalls;
  }

  /** Called for a service that was removed. */
  onGone(endWaiting: EndWaiting): void {
    this.#endWaiting = endWaiting;
  }

  /** From now on these are published, and no others. They do not clash. */
  publish(entries: readonly ServiceEntry[]): void {
    const before = new Map<string, ServiceServer>();
    for (const { route, servers } of this.table.routes)
      for (const [at, server] of servers.entries())
        before.set(serverKey(route, route.upstreams[at] as string, server.credentials), server);
    const earlier = new Map(this.table.routes.map((published) => [published.name, published]));
    const published = entries.map(({ route, credentials, page }) => {
      const servers = route.upstreams.map((address) => {
        const own = credentials.get(address) as Credentials;
        const key = serverKey(route, address, own);
        const kept = before.get(key);
        before.delete(key);
        return kept ?? new ServiceServer({ ...settingsOf(route), address, credentials: own });
      });
      const same = earlier.get(route.name);
      const isSame = same?.servers.every((server, at) => server === servers[at]) && sameRoute(same.route, route);
      return same && isSame === true ? same : new Published(route, servers, this.#sessions, page, same);
    });
    this.table = tableOf(published);
    for (const server of before.values()) this.#retire(server);
    this.#replace(earlier);
  }

  #replace(earlier: ReadonlyMap<string, Published>): void {
    const now = new Map(this.table.routes.map((published) => [published.name, published]));
    for (const [name, published] of earlier) {
      if (now.get(name) === published) continue;
      published.isReplaced = true;
      if (!now.has(name)) this.#endWaiting(published);
    }
  }

  #retire(server: ServiceServer): void {
    this.#retiring.add(server);
    server
      .retire(this.#drainMs, () => this.#endCalls(server))
      .catch(() => undefined)
      .finally(() => this.#retiring.delete(server));
  }

  async close(): Promise<void> {
    const servers = [...this.table.routes.flatMap((published) => published.servers), ...this.#retiring];
    await Promise.all(servers.map((server) => server.close()));
  }
}

const sameRoute = (a: ServiceRoute, b: ServiceRoute): boolean => JSON.stringify(a) === JSON.stringify(b);

const settingsOf = ({ host, healthPath, times }: ServiceRoute) => ({ host, healthPath, times });

/** Equal for servers that are reached in the same way for the same route. */
function serverKey(route: ServiceRoute, address: string, { headers, tls }: Credentials): string {
  const files = [tls.ca, tls.cert, tls.key].map((each) => String(each));
  return JSON.stringify([route.name, address, settingsOf(route), headers, files]);
}
