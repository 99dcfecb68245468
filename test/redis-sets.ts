// Sets of Redis servers for tests: a primary with its replica behind Sentinels, and a Cluster, each of the installed package.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, freePorts } from './free-ports.ts';
import { eventually, temporaryDirectory } from './gate.ts';
import { askRedis, type RedisServer, startRedis } from './redis.ts';

export const passwords = { servers: 'word-of-servers', sentinels: 'word-of-sentinels' } as const;

export interface SentinelSet {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  /** For REDIS_URL. */
  url(changed?: { readonly servers?: string; readonly sentinels?: string }): string;
  /** The replica gets nothing that is written from now on. */
  cutReplica(): Promise<void>;
  stop(): Promise<void>;
}

/** Certificates for servers that speak TLS, and the authority of them. */
export interface SetTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** The settings of a server that speaks TLS on a port of its own, also to other servers. */
const tlsSettings = ({ cert, key, ca }: SetTls, port: number): Readonly<Record<string, string>> => ({
  'tls-port': String(port),
  'tls-cert-file': cert,
  'tls-key-file': key,
  'tls-ca-cert-file': ca,
  'tls-auth-clients': 'no',
  'tls-replication': 'yes',
});

/**
 * Three Sentinels of which two decide, and both servers with passwords. With `tls`, every connection of the address is encrypted, and
 * the Sentinels know a user of their own.
 */
export async function startSentinels(tls?: SetTls): Promise<SentinelSet> {
  const plain = { requirepass: passwords.servers, masterauth: passwords.servers, 'repl-diskless-sync-delay': '0' };
  const secured = async (): Promise<Record<string, string>> =>
    tls ? { ...plain, ...tlsSettings(tls, await freePort()) } : plain;
  const [ofPrimary, ofReplica] = [await secured(), await secured()];
  // Replicas have a user of their own, so that they can be shut out.
  const primary = await startRedis({ ...ofPrimary, user: `copy on >${passwords.servers} +psync +replconf +ping` });
  const replica = await startRedis({
    ...ofReplica,
    masteruser: 'copy',
    replicaof: `127.0.0.1 ${ofPrimary['tls-port'] ?? primary.port}`,
  });
  await eventually(async () => {
    const text = await replica.ask('INFO', 'replication');
    if (!text.includes('master_link_status:up')) throw new Error(text);
  });
  const ports = await freePorts(3);
  const encrypted = tls ? await freePorts(3) : [];
  const primaryPort = Number(ofPrimary['tls-port'] ?? primary.port);
  const sentinels = ports.map((port, i) =>
    startSentinel(port, primaryPort, tls ? tlsSettings(tls, encrypted[i] as number) : {}),
  );
  for (const port of ports)
    await eventually(async () => {
      const text = await askRedis(port, ['SENTINEL', 'CKQUORUM', 'main'], passwords.sentinels);
      if (!text.includes('3 usable')) throw new Error(text);
      const known = await askRedis(port, ['SENTINEL', 'REPLICAS', 'main'], passwords.sentinels);
      if (!known.includes(`127.0.0.1:${ofReplica['tls-port'] ?? replica.port}`)) throw new Error(known);
    });
  const hosts = (tls ? encrypted : ports).map((port) => `127.0.0.1:${port}`).join(',');
  return {
    primary,
    replica,
    url: ({ servers = passwords.servers, sentinels: own = passwords.sentinels } = {}) =>
      tls
        ? `rediss+sentinel://:${servers}@${hosts}/main/0?sentinel_user=watcher&sentinel_password=${own}&ca=${tls.ca}`
        : `redis+sentinel://:${servers}@${hosts}/main/0?sentinel_password=${own}`,
    cutReplica: async () => {
      await primary.ask('ACL', 'SETUSER', 'copy', 'off');
      await primary.ask('CLIENT', 'KILL', 'TYPE', 'REPLICA');
    },
    stop: async () => {
      await Promise.all(sentinels.map((sentinel) => sentinel.stop()));
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

function startSentinel(
  port: number,
  primary: number,
  more: Readonly<Record<string, string>>,
): { stop(): Promise<void> } {
  const data = temporaryDirectory();
  const file = join(data, 'sentinel.conf');
  // Debian's unit has it write its state into this file, too.
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${data}`,
    `requirepass ${passwords.sentinels}`,
    `sentinel sentinel-pass ${passwords.sentinels}`,
    ...Object.entries(more).map(([name, value]) => `${name} ${value}`),
    `user watcher on >${passwords.sentinels} ~* &* +@all`,
    `sentinel monitor main 127.0.0.1 ${primary} 2`,
    `sentinel auth-pass main ${passwords.servers}`,
    'sentinel down-after-milliseconds main 1000',
    'sentinel failover-timeout main 5000',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  return { stop: () => ended(child, data) };
}

export interface RedisCluster {
  readonly servers: readonly RedisServer[];
  /** For REDIS_URL: names one server, which knows the others. */
  readonly url: string;
  /** Begins to move the hash slot of a key, in the steps that `redis-cli --cluster reshard` takes. The rest is done by the answer. */
  move(key: string, source: RedisServer, target: RedisServer): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

const slotCount = 16_384;

/** Three servers with all slots among them, and a fourth one that is the replica of the first. */
export async function startCluster(tls?: SetTls): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  const ports: number[] = [];
  const buses: number[] = [];
  for (let i = 0; i < 4; i++) {
    const bus = await freePort();
    buses.push(bus);
    const encrypted: Readonly<Record<string, string>> = tls ? tlsSettings(tls, await freePort()) : {};
    servers.push(
      await startRedis({
        'cluster-enabled': 'yes',
        'cluster-port': String(bus),
        'cluster-node-timeout': '2000',
        'repl-diskless-sync-delay': '0',
        ...encrypted,
        ...(tls ? { 'tls-cluster': 'yes' } : {}),
      }),
    );
    ports.push(Number(encrypted['tls-port'] ?? servers[i]?.port));
  }
  const [first, , , replica] = servers as [RedisServer, RedisServer, RedisServer, RedisServer];
  const idOf = async (server: RedisServer): Promise<string> =>
    (await server.ask('CLUSTER', 'MYID')).split('\r\n')[1] as string;
  for (let i = 0; i < 3; i++) {
    const [from, to] = [Math.floor((slotCount * i) / 3), Math.floor((slotCount * (i + 1)) / 3) - 1];
    await servers[i]!.ask('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    await servers[i]!.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
  }
  for (const i of servers.keys())
    if (i > 0) await first.ask('CLUSTER', 'MEET', '127.0.0.1', String(ports[i]), String(buses[i]));
  const id = await idOf(first);
  await eventually(async () => {
    const said = await replica.ask('CLUSTER', 'REPLICATE', id);
    if (!said.startsWith('+OK')) throw new Error(said);
  });
  for (const server of servers)
    await eventually(async () => {
      const text = await server.ask('CLUSTER', 'INFO');
      if (!text.includes('cluster_state:ok') || !text.includes('cluster_known_nodes:4')) throw new Error(text);
    });
  await eventually(async () => {
    const text = await replica.ask('INFO', 'replication');
    if (!text.includes('master_link_status:up')) throw new Error(text);
  });
  return {
    servers,
    url: tls ? `rediss+cluster://127.0.0.1:${ports[0]}?ca=${tls.ca}` : `redis+cluster://127.0.0.1:${first.port}`,
    move: async (key, source, target) => {
      const slot = /:(\d+)/.exec(await source.ask('CLUSTER', 'KEYSLOT', key))![1]!;
      const targetId = await idOf(target);
      await target.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(source));
      await source.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
      return async () => {
        for (const each of (await source.ask('CLUSTER', 'GETKEYSINSLOT', slot, '1000')).matchAll(/\r\n(sk1:[^\r]+)/g))
          await source.ask('MIGRATE', '127.0.0.1', String(target.port), each[1]!, '0', '1000');
        for (const server of [target, source]) await server.ask('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
      };
    },
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function ended(child: ChildProcess, data: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
  rmSync(data, { recursive: true, force: true });
}
