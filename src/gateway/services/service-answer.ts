// The head of a service's answer as its caller gets it: the listed headers, redirects and cookies written for the address under
// which the service is published, and nothing that reaches beyond it.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { isUnder } from '../../domain/service-path.ts';
import { prefixOf } from '../../domain/service-route.ts';
import type { ServiceServer } from '../../upstream/service-server.ts';
import type { Target } from '../operation.ts';
import { viaName } from '../receive.ts';
import type { Published } from './published.ts';
import { pathAt, publicPrefix } from './service-request.ts';

/** Whose answer it is, and to what. */
export interface Answered {
  readonly published: Published;
  readonly server: ServiceServer;
  readonly target: Target;
  /** The Host that the caller named. */
  readonly callersHost: string | undefined;
}

/**
 * The error to send instead of the answer; undefined if it is relayed. A 401 refuses the gate, not the caller: relayed, it
 * would make people look for a fault in their key.
 */
export function refusalOf(status: number): GatewayError | undefined {
  if (status === 401)
    return new GatewayError('upstream_refused', {
      message: 'The service refused the gateway.',
      cause: `status ${status}`,
    });
  if (status < 200 || status > 599 || status === 407)
    return new GatewayError('upstream_failed', { message: brokeOff, cause: `status ${status}` });
  return undefined;
}

export const brokeOff = 'The service broke off or sent an invalid answer.';

/**
 * Header lines as name, value, name, value. The HTTP client gives a field that came once as a text and one that came several
 * times as a list, whatever its name. @throws GatewayError `upstream_failed` for a redirect that is refused.
 */
export function answerLines(status: number, headers: IncomingHttpHeaders, answered: Answered): string[] {
  const { published, server } = answered;
  const nominated = new Set(
    joined(headers.connection)
      .split(',')
      .map((name) => name.trim().toLowerCase()),
  );
  const lines: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || !published.responseHeaders.allows(name) || nominated.has(name)) continue;
    const text = joined(value);
    if (showsSecret(text, server)) continue;
    lines.push(name, name === 'cache-control' ? privately(text) : text);
  }
  // Answers depend on the key, which no shared cache knows of.
  if (!lines.includes('cache-control')) lines.push('cache-control', 'private');
  const length = headers['content-length'];
  // A 204 has none (RFC 9110 §8.6); a client that counts it would wait for a body.
  if (typeof length === 'string' && headers['transfer-encoding'] === undefined && status !== 204)
    lines.push('content-length', length);
  lines.push('via', `1.1 ${viaName}`);
  if (headers.location !== undefined && (status === 201 || (status >= 300 && status < 400)))
    lines.push('location', redirectFor(joined(headers.location), answered));
  for (const cookie of each(headers['set-cookie'])) {
    const passed = showsSecret(cookie, server) ? undefined : cookieFor(cookie, answered);
    if (passed !== undefined) lines.push('set-cookie', passed);
  }
  return lines;
}

type Field = string | readonly string[] | undefined;

const each = (field: Field): readonly string[] =>
  field === undefined ? [] : typeof field === 'string' ? [field] : field;

const joined = (field: Field): string => (typeof field === 'string' ? field : each(field).join(', '));

/** Whether the gate's own secret is echoed, which must not reach a caller; also with escapes, as in a redirect. */
function showsSecret(text: string, { credentials: { secrets } }: ServiceServer): boolean {
  if (secrets.length === 0) return false;
  const plain = text.includes('%') ? unescaped(text) : text;
  return secrets.some((secret) => text.includes(secret) || plain.includes(secret));
}

const unescaped = (text: string): string =>
  text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/**
 * Without the permission to keep the answer in a shared cache. With names of fields, `private` is about these only, and gives
 * that permission for the rest (RFC 9111 §5.2.2.7).
 */
function privately(text: string): string {
  const kept = [...text.matchAll(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g)]
    .map(([directive]) => directive.trim())
    .filter((directive) => directive !== '' && !/^(?:public|s-maxage|private)(?:\s*=.*|$)/i.test(directive));
  return (kept.some((directive) => /^no-store$/i.test(directive)) ? kept : ['private', ...kept]).join(', ');
}

/** @throws GatewayError `upstream_failed` if it leads out of the service, or the route lets no redirect through. */
function redirectFor(location: string, answered: Answered): string {
  const { published, server, target, callersHost } = answered;
  const { route } = published;
  if (showsSecret(location, server))
    throw new GatewayError('upstream_failed', { message: 'The service redirects to an address with its secret.' });
  const asked = server.name + server.basePath + pathAt(route, target);
  const to = URL.canParse(location, asked) ? new URL(location, asked) : undefined;
  const isOwn =
    to !== undefined &&
    (to.origin === server.name || (/^https?:$/.test(to.protocol) && [server.host, callersHost].includes(to.host)));
  if (!isOwn || route.redirects === 'refuse')
    throw new GatewayError('upstream_failed', {
      message: isOwn
        ? 'The service redirects, which its route does not allow.'
        : 'The service redirects to another host.',
    });
  const path = publicPathOf(to.pathname, server, prefixOf(route), route.strip);
  // Where no prefix precedes it, a path with two slashes would name another host (RFC 3986 §4.2).
  if (path === undefined || path.startsWith('//'))
    throw new GatewayError('upstream_failed', { message: 'The service redirects to a path that is not published.' });
  return publicPrefix(route, target) + path + to.search + to.hash;
}

/**
 * The path under the public prefix; undefined if it lies outside. A service that honours X-Forwarded-Prefix has put the prefix
 * in already.
 */
function publicPathOf(path: string, { basePath }: ServiceServer, prefix: string, strip: boolean): string | undefined {
  if (prefix !== '' && isUnder(path, prefix)) return path.slice(prefix.length);
  if (!strip || !isUnder(path, basePath)) return undefined;
  return path.slice(basePath.length) || '/';
}

/** A cookie of the route's list, kept to the published path; undefined for any other. */
function cookieFor(line: string, { published: { route, hasOwnHost }, server, target }: Answered): string | undefined {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
  if (!route.cookies.includes(pair.split('=', 1)[0] as string)) return undefined;
  let path = '/';
  const kept: string[] = [];
  for (const attribute of attributes) {
    const [name = '', value = ''] = attribute.split('=', 2);
    if (/^path$/i.test(name) && value.startsWith('/')) path = value;
    else if (/^(?:secure|httponly|partitioned|max-age|expires|samesite|priority)$/i.test(name)) kept.push(attribute);
  }
  const own = publicPathOf(path, server, prefixOf(route), route.strip) ?? '/';
  const at = publicPrefix(route, target) + (own === '/' && !hasOwnHost ? '' : own);
  return [pair, ...kept, `Path=${at || '/'}`].join('; ');
}
