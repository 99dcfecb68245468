// Makes connections to Redis as the address says: to one server, to whichever one the Sentinels name, or to a Cluster.
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { StoreUnusable } from '../unusable.ts';
import type { RedisAddress, RedisNode } from './address.ts';

export type Connection = Redis | Cluster;

const connectMs = 5_000;
const keepAliveAfterMs = 10_000;
const reconnectMs = 200;
const slotsMs = 10_000;

/**
 * `waits`: commands wait for a connection, as subscriptions do. `isKept`: false while one attempt is to fail that reaches no Sentinel;
 * otherwise they are asked until one of them answers.
 */
export function connectionOf(
  address: RedisAddress,
  answerMs: number,
  { waits = false, isKept = () => true }: { readonly waits?: boolean; readonly isKept?: () => boolean } = {},
): Connection {
  const { kind, nodes, name, user, password, database, tls } = address;
  const options = {
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
    connectionName: 'sekisho',
    lazyConnect: true,
    connectTimeout: connectMs,
    commandTimeout: answerMs,
    keepAlive: keepAliveAfterMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The package handles no error of its own subscribing, so a connection that is lost meanwhile would end the process.
    autoResubscribe: false,
  } satisfies RedisOptions;
  if (kind === 'cluster')
    return new Cluster([...nodes], {
      lazyConnect: true,
      enableOfflineQueue: waits,
      slotsRefreshTimeout: connectMs,
      slotsRefreshInterval: slotsMs,
      retryDelayOnFailover: 0,
      // A moved slot is asked for where it went; anything else is a failure of the call.
      maxRedirections: 2,
      clusterRetryStrategy: () => reconnectMs,
      redisOptions: options,
      dnsLookup: (host, callback) => callback(null, host),
    });
  const single = {
    ...options,
    db: database,
    enableOfflineQueue: waits,
    retryStrategy: () => reconnectMs,
  };
  if (kind === 'server') return new Redis({ ...single, ...(nodes[0] as RedisNode) });
  return new Redis({
    ...single,
    sentinels: [...nodes],
    ...(name === undefined ? {} : { name }),
    sentinelRetryStrategy: () => (isKept() ? reconnectMs : null),
    ...(address.sentinelUser === undefined ? {} : { sentinelUsername: address.sentinelUser }),
    ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
    ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
  });
}

const least = [6, 2] as const;

/** Channels in the rights of users came with this version. Other servers of the protocol name the one that they follow. @throws StoreUnusable */
export async function refuseOld(connection: Connection): Promise<void> {
  const nodes = connection instanceof Cluster ? connection.nodes('master') : [connection];
  for (const text of await Promise.all(nodes.map((node) => node.info('server')))) {
    const [, version = '', major, minor] = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(text) ?? [];
    if (Number(major) < least[0] || (Number(major) === least[0] && Number(minor) < least[1]))
      throw new StoreUnusable(`Redis ${version} is too old: Sekisho needs ${least.join('.')} or newer.`);
  }
}

/** A server that evicts keys forgets use, and so lets through more than a limit. @throws StoreUnusable */
export async function refuseEviction(connection: Connection): Promise<void> {
  const nodes = connection instanceof Cluster ? connection.nodes('master') : [connection];
  for (const text of await Promise.all(nodes.map((node) => node.info('memory')))) {
    const policy = /^maxmemory_policy:(\S+)/m.exec(text)?.[1];
    if (policy !== undefined && policy !== 'noeviction')
      throw new StoreUnusable(
        `Redis would forget limits when its memory is full: its maxmemory-policy is ${policy}. Set it to noeviction.`,
      );
  }
}
