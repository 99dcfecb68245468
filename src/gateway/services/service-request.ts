// Builds the request to a published service: from the route, the listed headers and the parsed path, never by copying the
// caller's head. The caller's key does not go on; the service's own secret does.
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Dispatcher } from 'undici';
import { type AddressBlocks, plainAddress } from '../../domain/address.ts';
import { type AllowList, foldName } from '../../domain/header-names.ts';
import { restOf } from '../../domain/service-path.ts';
import { prefixOf, type ServiceRoute } from '../../domain/service-route.ts';
import type { ServiceServer } from '../../upstream/service-server.ts';
import type { Target } from '../operation.ts';
import { viaName } from '../receive.ts';
import type { McpSession } from './mcp/mcp-sessions.ts';
import type { Published } from './published.ts';
import { hasBody, type RequestBody } from './request-body.ts';

/** What it is made of, besides the caller's request. */
export interface ServiceTarget {
  readonly published: Published;
  readonly target: Target;
  readonly proxies: AddressBlocks;
}

/** The path at the server, without its base path: what follows the prefix if the route strips it. */
export const pathAt = (route: ServiceRoute, { path }: Pick<Target, 'path'>): string =>
  route.strip ? restOf(path, prefixOf(route)) : path;

/** Where the service stands for this caller: redirects and cookies are written for it. */
export const publicPrefix = (route: ServiceRoute, { pathKey }: Pick<Target, 'pathKey'>): string =>
  (pathKey === undefined ? '' : `/k/${pathKey}`) + prefixOf(route);

export function requestOf(
  { published, target, proxies }: ServiceTarget,
  request: IncomingMessage,
  server: ServiceServer,
  body: RequestBody | Buffer | undefined,
  session?: McpSession,
): Dispatcher.DispatchOptions {
  const { route } = published;
  const length = request.headers['content-length'];
  const lines = serviceHeaders({ published, proxies }, request, server);
  if (published.route.mcp) addSession(lines, session);
  // The length of bytes that are held is known to the HTTP client.
  if (body && !Buffer.isBuffer(body) && length !== undefined) lines.push('content-length', length);
  return {
    method: request.method as Dispatcher.HttpMethod,
    path: pathOn(server, route, target) + (target.query === '' ? '' : `?${target.query}`),
    headers: lines,
    body: body ?? null,
    // The time to the head begins at the end of the request, which the HTTP client does not know (service-call.ts).
    headersTimeout: 0,
    bodyTimeout: route.times.idleSeconds * 1000,
  };
}

/**
 * The server gets its own id of the session. Without one, nothing may be resumed: the events of a server without sessions could
 * be those of another caller.
 */
function addSession(lines: string[], session: McpSession | undefined): void {
  if (session) lines.push('mcp-session-id', session.id);
  else dropLine(lines, 'last-event-id');
}

/** `lines`: name, value, name, value; only names are looked at. */
export function dropLine(lines: string[], name: string): void {
  for (let at = 0; at < lines.length; at += 2) if (lines[at] === name) lines.splice(at, 2);
}

/** An MCP server is a single address, such as /mcp, which many servers do not know with a slash at its end. */
function pathOn({ basePath }: ServiceServer, route: ServiceRoute, target: Pick<Target, 'path'>): string {
  const path = pathAt(route, target);
  return route.mcp && basePath !== '' && target.path === prefixOf(route) && path === '/' ? basePath : basePath + path;
}

/** Header lines as name, value, name, value; also those of an upgrade begin with these. */
export function serviceHeaders(
  { published, proxies }: Pick<ServiceTarget, 'published' | 'proxies'>,
  request: IncomingMessage,
  server: ServiceServer,
): string[] {
  const { route, requestHeaders } = published;
  const { headers } = request;
  const own = server.credentials.headers;
  const lines = [
    'host',
    server.host ?? new URL(server.name).host,
    'via',
    headers.via === undefined ? `1.1 ${viaName}` : `${headers.via}, 1.1 ${viaName}`,
    'x-forwarded-proto',
    schemeOf(request, proxies),
    ...own,
  ];
  if (headers.host !== undefined) lines.push('x-forwarded-host', headers.host);
  const prefix = publicPrefix(route, { pathKey: undefined });
  if (prefix !== '' && route.strip) lines.push('x-forwarded-prefix', prefix);
  addListed(lines, request, requestHeaders, own, hasBody(request));
  const isOurs = route.cookies.length === 0 || isSet('cookie', own);
  const cookies = isOurs ? '' : cookiesFor(route, headers.cookie ?? '');
  if (cookies !== '') lines.push('cookie', cookies);
  return lines;
}

/** The listed headers, without those that the Connection header nominates (RFC 9110 §7.6.1) or the secret replaces. */
function addListed(
  lines: string[],
  { headers }: IncomingMessage,
  listed: AllowList,
  own: readonly string[],
  withBody: boolean,
): void {
  const nominated = nominatedBy(headers.connection);
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || !listed.allows(name) || nominated.has(name) || isSet(name, own)) continue;
    if (!withBody && name.startsWith('content-')) continue;
    lines.push(name, Array.isArray(value) ? value.join(', ') : value);
  }
}

/** Whether the secret has this header, also as a server would read it that takes `_` for `-` (Traefik CVE-2026-54763). */
const isSet = (name: string, own: readonly string[]): boolean =>
  own.some((line, at) => at % 2 === 0 && foldName(line) === foldName(name));

const none: ReadonlySet<string> = new Set();

const nominatedBy = (connection: string | undefined): ReadonlySet<string> =>
  connection === undefined || /^(?:keep-alive|close)$/i.test(connection)
    ? none
    : new Set(connection.split(',').map((name) => name.trim().toLowerCase()));

/** Only a trusted proxy may state the protocol of its caller. */
function schemeOf({ socket, headers }: IncomingMessage, proxies: AddressBlocks): 'http' | 'https' {
  if ((socket as Partial<TLSSocket>).encrypted === true) return 'https';
  const isSaid = headers['x-forwarded-proto'] === 'https' && proxies.contains(plainAddress(socket.remoteAddress ?? ''));
  return isSaid ? 'https' : 'http';
}

function cookiesFor({ cookies }: ServiceRoute, sent: string): string {
  return sent
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => cookies.includes(pair.split('=', 1)[0] as string))
    .join('; ');
}
