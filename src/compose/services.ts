// Publishes the services of the routes file: reads their secrets and certificates, and refuses those that lead back to the
// gate itself.
import { operationNameOf, type ServiceRoute } from '../domain/service-route.ts';
import { PublishedServices, type ServiceEntry } from '../gateway/services/published-services.ts';
import { isOwnAddress, type Listening } from '../management/servers/own-address.ts';
import type { Config } from '../settings/config.ts';
import { ownHostsOf, readRoutesFile } from '../settings/routes-file.ts';
import type { QueueSettings } from '../store/ports/turn-queue.ts';
import { readOwnCredentials } from '../upstream/credentials.ts';
import { rankServers, type ServiceServer } from '../upstream/service-server.ts';

export const openServices = (config: Config): PublishedServices =>
  new PublishedServices(config.serverDrainSeconds * 1000);

/** @throws Error with a sentence if a route cannot be published; then nothing changes. */
export function publishFromFile(services: PublishedServices, config: Config, listening: Listening): void {
  const routes = readRoutesFile(config.routes, ownHostsOf(config));
  services.publish(routes.map((route) => entryOf(route, listening, (file) => file)));
}

/** `pathOf`: the path of a file that the route names. @throws Error with a sentence. */
function entryOf(route: ServiceRoute, listening: Listening, pathOf: (file: string) => string): ServiceEntry {
  const { name, upstreams, tls, secretFile } = route;
  const path = (file: string | null): string | undefined => (file === null ? undefined : pathOf(file));
  for (const address of upstreams)
    if (isOwnAddress(address, listening))
      throw new Error(`route "${name}": ${address} is this gate itself; a route must lead to another service`);
  try {
    const credentials = upstreams.map((address) => {
      const files = { ca: path(tls.caFile), cert: path(tls.certificateFile), key: path(tls.keyFile) };
      const all = { ...files, headers: path(secretFile), secret: undefined };
      return [address, readOwnCredentials(new URL(address), all)] as const;
    });
    return { route, credentials: new Map(credentials) };
  } catch (error) {
    throw new Error(`route "${name}": ${(error as Error).message}`, { cause: error });
  }
}

/** The queue in front of services: a lane for each route, with slots on each of its servers. */
export function serviceQueue(config: Config, services: PublishedServices): QueueSettings<ServiceServer> {
  const routeOf = (lane: string) => services.table.routes.find(({ route }) => operationNameOf(route) === lane);
  return {
    serversFor: (lane) => rankServers(routeOf(lane)?.servers ?? []),
    slotsFor: (lane) => routeOf(lane)?.route.slots ?? 1,
    maxWaiting: config.queueLength,
    maxWaitMs: config.queueSeconds * 1000,
  };
}
