// Reads the address of Redis in REDIS_URL: one server, a set of Sentinels, or a Cluster. docs/redis.md shows every form. Nothing is
// connected here, and no sentence repeats the address, because it can hold a password.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { StoreUnusable } from '../unusable.ts';

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly kind: 'server' | 'sentinel' | 'cluster';
  /** The server, the Sentinels, or some servers of the Cluster. */
  readonly nodes: readonly RedisNode[];
  /** The name under which the Sentinels know the server. */
  readonly name: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUser: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly database: number;
  /** Undefined: not encrypted. `ca`: authorities to trust in place of the usual ones. */
  readonly tls: { readonly ca?: string } | undefined;
}

const form = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?]+)((?:\/[^/?]*)*)(?:\?(.*))?$/;
const serverPort = 6379;
const sentinelPort = 26_379;
const names: ReadonlySet<string> = new Set(['ca', 'sentinel_user', 'sentinel_password']);

/** @throws StoreUnusable if the text is not an address, or its authority cannot be read. */
export function addressIn(text: string): RedisAddress {
  const address = readAddress(text);
  if (!address) throw new StoreUnusable('REDIS_URL is not an address of Redis. docs/redis.md shows every form.');
  return address;
}

/** Names the place where limits are counted: the same for all gates that use the same servers and database. */
export function placeOf({ kind, nodes, name, database }: RedisAddress): string {
  const hosts = nodes.map(({ host, port }) => `${host.toLowerCase()}:${port}`).toSorted();
  return createHash('sha256')
    .update(JSON.stringify([kind, hosts, name, database]))
    .digest('hex')
    .slice(0, 32);
}

/** Undefined if the text is not an address. Reads the file that `ca` names. @throws StoreUnusable if that cannot be read. */
export function readAddress(text: string): RedisAddress | undefined {
  const found = form.exec(text);
  if (!found) return undefined;
  const [, secure = '', form_ = 'server', who, hosts = '', path = '', query = ''] = found;
  const kind = form_ as RedisAddress['kind'];
  const nodes = hosts.split(',').map((host) => readNode(host, kind === 'sentinel' ? sentinelPort : serverPort));
  const place = readPath(kind, path.split('/').slice(1));
  const options = new URLSearchParams(query);
  if (nodes.includes(undefined) || (kind === 'server' && nodes.length > 1) || !place) return undefined;
  if ([...options.keys()].some((name) => !names.has(name)) || (options.has('ca') && secure === '')) return undefined;
  const [user, password] = readUser(who);
  const ca = options.get('ca');
  return {
    kind,
    nodes: nodes as RedisNode[],
    ...place,
    user,
    password,
    sentinelUser: options.get('sentinel_user') ?? undefined,
    sentinelPassword: options.get('sentinel_password') ?? undefined,
    tls: secure === '' ? undefined : ca === null ? {} : { ca: readAuthority(ca) },
  };
}

function readNode(text: string, usualPort: number): RedisNode | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(found?.[3] ?? usualPort);
  const host = found?.[1] ?? found?.[2];
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** `/name/2` of Sentinels, `/2` of a server, nothing of a Cluster, which has one database. */
function readPath(
  kind: RedisAddress['kind'],
  parts: readonly string[],
): Pick<RedisAddress, 'name' | 'database'> | undefined {
  const [name, ...rest] = kind === 'sentinel' ? parts : [undefined, ...parts];
  const number = rest.length === 0 || rest[0] === '' ? '0' : (rest[0] as string);
  if (rest.length > 1 || !/^\d{1,5}$/.test(number) || name === '') return undefined;
  if (kind === 'sentinel' && name === undefined) return undefined;
  if (kind === 'cluster' && number !== '0') return undefined;
  return { name: name === undefined ? undefined : decoded(name), database: Number(number) };
}

function readUser(text: string | undefined): [string | undefined, string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined];
  const colon = text.indexOf(':');
  const user = decoded(colon < 0 ? text : text.slice(0, colon));
  return [user === '' ? undefined : user, colon < 0 ? undefined : decoded(text.slice(colon + 1))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StoreUnusable(
      `The file that REDIS_URL names as ca cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}. Check its path and mode.`,
    );
  }
}
