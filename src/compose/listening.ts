// The entry for callers: the certificates, the servers, and their ports.
import type { AddressInfo } from 'node:net';
import { ConnectionLimiter, roomFor } from '../listener/connection-limiter.ts';
import { listen, openServers, type Servers, stopListening } from '../listener/server.ts';
import type { Log } from '../observe/log.ts';
import { type Config, plainPort } from '../settings/config.ts';
import type { GateCertificates } from '../tls/certificate-manager.ts';

export interface Listening {
  readonly servers: Servers;
  /** The bound port. */
  readonly port: number;
}

/** Servers that listen but have no routes yet; nothing may be awaited before `servers.serve`. @throws ListenFailed */
export async function openListener(
  config: Config,
  log: Log,
  certificates: GateCertificates | undefined,
): Promise<Listening> {
  const servers = openServers(
    { headMs: config.headSeconds * 1000, idleMs: config.idleSeconds * 1000 },
    new ConnectionLimiter(roomOf(config, log)),
    certificates?.encryption,
  );
  await listen(servers.listener, config.port, config.host);
  return { servers, port: (servers.listener.address() as AddressInfo).port };
}

/** Only has an effect after a failed start; a gateway that served has already stopped listening. */
export async function closeListener({ servers: { listener } }: Listening): Promise<void> {
  if (!listener.listening) return;
  const closed = stopListening(listener);
  listener.closeAllConnections();
  await closed;
}

/** Also listens for plain HTTP, if configured and possible; returns whether it does. */
export async function openPlainPort(config: Config, { plain }: Servers, { logger }: Log): Promise<boolean> {
  if (!plain || plainPort(config) === 0) return false;
  try {
    await listen(plain, plainPort(config), config.host);
    return true;
  } catch (error) {
    logger.warn({ reason: (error as Error).message }, 'nothing listens for plain HTTP; the gateway goes on without');
    return false;
  }
}

/** The most connections: no more than the system has descriptors for. */
function roomOf({ maxConnections }: Config, { logger }: Log): number {
  const room = roomFor(maxConnections);
  if (room < maxConnections)
    logger.warn({ room }, 'max_connections is more than there are descriptors for (ulimit -n)');
  return room;
}
