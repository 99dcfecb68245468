// Publishes the services of the routes file and of the store: reads their secrets and certificates, and refuses those that lead
// to the gateway itself.
import { hkdfSync } from 'node:crypto';
import { join } from 'node:path';
import { operationNameOf, type ServiceRoute } from '../domain/service-route.ts';
import type { Gate } from '../gateway/pipeline.ts';
import { McpSessions } from '../gateway/services/mcp/mcp-sessions.ts';
import { PublishedServices } from '../gateway/services/published-services.ts';
import { StoredRoutes } from '../jobs/stored-routes.ts';
import { isOwnAddress, type Listening } from '../management/servers/own-address.ts';
import type { Log } from '../observe/log.ts';
import { cookieSecretIn } from '../secret-file.ts';
import { type Config, pageUrl, plainPort } from '../settings/config.ts';
import { ownHostsOf, readRoutesFile } from '../settings/routes-file.ts';
import type { Store } from '../store/ports/store.ts';
import type { SharedQueueSettings } from '../store/ports/turn-queue.ts';
import { readOwnCredentials } from '../upstream/credentials.ts';
import type { ServiceEntry } from '../upstream/service-entry.ts';
import { rankServers, type ServiceServer } from '../upstream/service-server.ts';

export const openServices = (config: Config, dataDir: string): PublishedServices =>
  new PublishedServices(
    config.serverDrainSeconds * 1000,
    new McpSessions(
      Buffer.from(hkdfSync('sha256', cookieSecretIn(dataDir), '', 'sekisho sessions of MCP servers', 32)),
    ),
  );

/** Follows the routes in the store from the first `reconcile` on. */
export const openStoredRoutes = (
  config: Config,
  { logger }: Log,
  store: Store,
  { services, wallNow }: Pick<Gate, 'services' | 'wallNow'>,
): StoredRoutes =>
  new StoredRoutes({
    store,
    publish: (entries) => services.publish(entries),
    serversOf: (name) => services.table.routes.find((published) => published.name === name)?.servers ?? [],
    entryOf: (route) => entryOf(route, listenedOn(config, config.port), (file) => fileOf(file, config)),
    ownHosts: ownHostsOf(config),
    wallNow,
    onUnusable: (route, reason) =>
      logger.error({ route, reason }, 'a route cannot be published; the gateway keeps trying'),
  });

function fileOf(file: string, { serverFiles }: Config): string {
  if (serverFiles === '') throw new Error(`${file}: the setting server_files names no directory for it`);
  return join(serverFiles, file);
}

/** @throws Error with a sentence if a route of the file cannot be published; then nothing changes. */
export function publishFromFile(stored: StoredRoutes, config: Config, port: number): void {
  const routes = readRoutesFile(config.routes, ownHostsOf(config));
  stored.setFixed(routes.map((route) => entryOf(route, listenedOn(config, port), (file) => file)));
}

/** Reloads the routes file and all files of routes; unusable ones change nothing. */
export function reloadRoutes(stored: StoredRoutes, config: Config, port: number, { logger }: Log): void {
  try {
    publishFromFile(stored, config, port);
  } catch (error) {
    logger.error({ reason: (error as Error).message }, 'the routes file cannot be used; nothing changed');
    stored.reload();
  }
}

/** `port`: the one that was bound. */
export const listenedOn = (config: Config, port: number): Listening & { readonly page: URL } => ({
  host: config.host,
  ports: [port, plainPort(config)].filter((each) => each !== 0),
  publicUrl: config.publicUrl,
  page: pageUrl({ ...config, port }),
});

/** `pathOf`: the path of a file that the route names. @throws Error with a sentence. */
function entryOf(
  route: ServiceRoute,
  listening: ReturnType<typeof listenedOn>,
  pathOf: (file: string) => string,
): ServiceEntry {
  const { name, upstreams, tls, secretFile } = route;
  const path = (file: string | null): string | undefined => (file === null ? undefined : pathOf(file));
  for (const address of upstreams)
    if (isOwnAddress(address, listening))
      throw new Error(`route "${name}": ${address} is this gateway itself; a route must lead to another service`);
  try {
    const credentials = upstreams.map((address) => {
      const files = { ca: path(tls.caFile), cert: path(tls.certificateFile), key: path(tls.keyFile) };
      const all = { ...files, headers: path(secretFile), secret: undefined };
      return [address, readOwnCredentials(new URL(address), all)] as const;
    });
    return { route, credentials: new Map(credentials), page: listening.page };
  } catch (error) {
    throw new Error(`route "${name}": ${(error as Error).message}`, { cause: error });
  }
}

/** The queue in front of services: a lane for each route, with slots on each of its servers. */
export function serviceQueue({ live }: Config, services: PublishedServices): SharedQueueSettings<ServiceServer> {
  const routeOf = (lane: string) => services.table.routes.find(({ route }) => operationNameOf(route) === lane);
  return {
    serversFor: (lane, { reach }) => rankServers(reach ?? routeOf(lane)?.servers ?? []),
    slotsFor: (lane) => routeOf(lane)?.route.slots ?? 1,
    nameOf: ({ name, basePath }) => name + basePath,
    get maxWaiting() {
      return live.now.queueLength;
    },
    get maxWaitMs() {
      return live.now.queueSeconds * 1000;
    },
  };
}
