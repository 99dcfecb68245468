// Reads the description of a published service as an operator wrote it: as JSON in a file, or through the management API.
// What is not said has a default (service-route.ts); what is not known is refused, since an option with a typo must not be
// taken for its default.
import { readHeaderNames } from './header-names.ts';
import { isIssuer } from './issuer.ts';
import { type Fields, readFields } from './json-fields.ts';
import { readMcpTools, readToolPrice, type ToolPrice } from './mcp-tools.ts';
import { isRouteScope, longestRouteName, type RouteScope, routeName } from './scope.ts';
import { Unreadable } from './sentences.ts';
import { readServicePath } from './service-path.ts';
import {
  credentialWays,
  type McpIssuer,
  type ServiceCost,
  type ServiceMatch,
  type ServiceMcp,
  type ServiceMethod,
  type ServiceRoute,
  type ServiceTimes,
  type ServiceTls,
  type ServiceWebSocket,
  serviceDefaults,
  serviceMethods,
  webSocketDefaults,
} from './service-route.ts';

/** GET opens the stream of a session, and DELETE ends it (2025-11-25). */
const mcpMethods: readonly ServiceMethod[] = ['GET', 'POST', 'DELETE'];
const tebibyte = 2 ** 40;
const mostSeconds = 7 * 86_400;
const mostUnits = 1_000_000_000;

/** @throws Unreadable, which names the route and the option. */
export function readServiceRoute(input: unknown): ServiceRoute {
  const fields = readFields(input);
  const name = fields.text('name');
  if (!routeName.test(name) || name.length > longestRouteName)
    throw new Unreadable('route_name', { name: name.slice(0, 80), most: longestRouteName });
  fields.call(name);
  const route: ServiceRoute = {
    name,
    match: readMatch(fields),
    upstreams: fields.texts('upstreams', [], 16).map(fields.reading('upstreams', readAddress)),
    strip: fields.flag('strip', serviceDefaults.strip),
    methods: fields.choices('methods', serviceMethods, fields.has('mcp') ? mcpMethods : serviceDefaults.methods),
    scope: fields.reading('scope', readScope)(fields.optionalText('scope') ?? `route:${name}`),
    credential: fields.choices('credential', credentialWays, serviceDefaults.credential),
    requestHeaders: readHeaders(fields, 'request'),
    responseHeaders: readHeaders(fields, 'response'),
    host: fields.matching('host', hostShape, 'option_host') ?? serviceDefaults.host,
    bodyBytes: fields.whole('bodyBytes', 0, tebibyte, serviceDefaults.bodyBytes),
    times: readTimes(fields.inside('timeouts')),
    webSocket: readWebSocket(fields),
    mcp: readMcp(fields),
    cookies: fields.texts('cookies', serviceDefaults.cookies, 32).map(fields.reading('cookies', readCookieName)),
    redirects: fields.choice('redirects', ['rewrite', 'refuse'], serviceDefaults.redirects),
    cost: readCost(fields),
    concurrent: fields.wholeOrNull('concurrent', 1, 100_000, serviceDefaults.concurrent),
    slots: fields.wholeOrNull('slots', 1, 100_000, serviceDefaults.slots),
    tls: readTls(fields.inside('tls')),
    secretFile: fields.optionalText('secretFile') ?? serviceDefaults.secretFile,
    healthPath: fields.reading('healthPath', readHealthPath)(fields.optionalText('healthPath')),
    cors: fields.texts('cors', serviceDefaults.cors, 100).map(fields.reading('cors', readOrigin)),
    recordPath: fields.choice('recordPath', ['no', 'template'], serviceDefaults.recordPath),
  };
  fields.refuseOthers();
  refuseContradictions(route, fields);
  return route;
}

function readHeaders(fields: Fields, direction: 'request' | 'response'): string[] {
  const inside = fields.inside('headers', ['request', 'response']);
  return fields.reading(`headers.${direction}`, (names: readonly string[]) => readHeaderNames(names, direction))(
    inside.texts(direction, [], 100),
  );
}

function readMatch(fields: Fields): ServiceMatch {
  const path = fields.optionalText('path');
  const hostName = fields.optionalText('hostName');
  if ((path === undefined) === (hostName === undefined)) throw fields.clash('route_path_or_host', {});
  if (path !== undefined) return { kind: 'path', prefix: fields.reading('path', readPrefix)(path) };
  return { kind: 'host', hostName: fields.reading('hostName', readHostName)(hostName as string) };
}

function readWebSocket(fields: Fields): ServiceWebSocket | null {
  const inside = fields.insideOrNull('websocket');
  if (!inside) return serviceDefaults.webSocket;
  const read: ServiceWebSocket = {
    origins: inside.texts('origins', webSocketDefaults.origins, 100).map(inside.reading('origins', readOrigin)),
    maxFrameBytes: inside.whole('maxFrameBytes', 1, 1024 * 1024 * 1024, webSocketDefaults.maxFrameBytes),
    idleSeconds: inside.whole('idle', 1, mostSeconds, webSocketDefaults.idleSeconds),
    maxSeconds: inside.whole('maxSeconds', 1, mostSeconds, webSocketDefaults.maxSeconds),
    perKey: inside.wholeOrNull('perKey', 1, 100_000, webSocketDefaults.perKey),
  };
  inside.refuseOthers();
  return read;
}

function readMcp(fields: Fields): ServiceMcp | null {
  const inside = fields.insideOrNull('mcp');
  if (!inside) return serviceDefaults.mcp;
  const read: ServiceMcp = {
    tools: inside.texts('tools', ['*'], 500).map(inside.reading('tools', readMcpTools)),
    issuer: readIssuer(inside),
  };
  inside.refuseOthers();
  return read;
}

function readIssuer(inside: Fields): McpIssuer | null {
  const url = inside.optionalText('issuer');
  const subjects = inside.texts('subjects', [], 10_000).map(inside.reading('subjects', readSubject));
  if (url === undefined && subjects.length > 0) throw inside.clash('route_subjects', {});
  if (url === undefined) return null;
  if (!isIssuer(url)) throw inside.fault('issuer', 'option_issuer', {});
  if (new Set(subjects.map(({ subject }) => subject)).size < subjects.length)
    throw inside.fault('subjects', 'option_subject_twice', {});
  return { url, subjects };
}

function readSubject(text: string): McpIssuer['subjects'][number] {
  const at = text.lastIndexOf('=');
  const [subject, account] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || subject.length > 255 || account === '' || account.length > 200)
    throw new Unreadable('option_subject', { text: text.slice(0, 80) });
  return { subject, account };
}

function readCost(fields: Fields): ServiceCost | null {
  const inside = fields.insideOrNull('cost');
  if (!inside) return serviceDefaults.cost;
  const unit = inside.matching('unit', /^[a-z][a-z-]{0,29}$/, 'option_unit') ?? 'units';
  const [kind, ...others] = (['fixed', 'perSecond', 'header'] as const).filter((each) => inside.has(each));
  if (kind === undefined || others.length > 0) throw inside.clash('route_cost', {});
  let cost: ServiceCost;
  if (kind === 'header') {
    const [header = ''] = inside.reading('header', (text: string) => readHeaderNames([text], 'response'))(
      inside.text('header'),
    );
    if (header.endsWith('*')) throw inside.fault('header', 'option_one_header', {});
    cost = { kind, unit, header, cap: inside.whole('cap', 1, mostUnits, undefined) };
  } else {
    const units = inside.whole(kind, kind === 'fixed' && inside.has('tools') ? 0 : 1, mostUnits, undefined);
    cost = kind === 'fixed' ? { kind, unit, units, tools: readPrices(inside) } : { kind: 'second', unit, units };
  }
  inside.refuseOthers();
  return cost;
}

const readPrices = (inside: Fields): readonly ToolPrice[] =>
  inside.texts('tools', [], 500).map(inside.reading('tools', readToolPrice));

function readTimes(inside: Fields): ServiceTimes {
  const { times } = serviceDefaults;
  const read: ServiceTimes = {
    connectSeconds: inside.whole('connect', 1, 300, times.connectSeconds),
    headSeconds: inside.whole('head', 1, mostSeconds, times.headSeconds),
    idleSeconds: inside.whole('idle', 1, mostSeconds, times.idleSeconds),
    totalSeconds: inside.wholeOrNull('total', 1, mostSeconds, times.totalSeconds),
  };
  inside.refuseOthers();
  return read;
}

function readTls(inside: Fields): ServiceTls {
  const read: ServiceTls = {
    caFile: inside.optionalText('caFile') ?? null,
    certificateFile: inside.optionalText('certificateFile') ?? null,
    keyFile: inside.optionalText('keyFile') ?? null,
  };
  inside.refuseOthers();
  if ((read.certificateFile === null) !== (read.keyFile === null)) throw inside.clash('route_certificate_pair', {});
  return read;
}

function refuseContradictions(route: ServiceRoute, fields: Fields): void {
  const { upstreams, match, strip, cookies, methods, credential, webSocket, mcp, cost } = route;
  if (upstreams.length === 0) throw fields.fault('upstreams', 'option_address_needed', {});
  if (new Set(upstreams).size < upstreams.length) throw fields.fault('upstreams', 'option_address_twice', {});
  if (methods.length === 0 || credential.length === 0) throw fields.clash('route_nothing_allowed', {});
  if (match.kind === 'host' && !strip) throw fields.clash('route_host_strip', {});
  if (!strip && upstreams.some((address) => new URL(address).pathname !== '/'))
    throw fields.clash('route_strip_path', {});
  if (match.kind === 'path' && cookies.some((name) => /^__host-/i.test(name)))
    throw fields.clash('route_host_cookie', {});
  if (mcp && (webSocket || methods.some((method) => !mcpMethods.includes(method))))
    throw fields.clash('route_mcp_methods', {});
  if (!mcp && cost?.kind === 'fixed' && cost.tools.length > 0) throw fields.clash('route_mcp_prices', {});
  if (credential.includes('ticket') && !webSocket) throw fields.clash('route_ticket_socket', {});
  if (webSocket && !methods.includes('GET')) throw fields.clash('route_socket_get', {});
  if (credential.includes('ticket') && !methods.includes('POST')) throw fields.clash('route_ticket_post', {});
  if (credential.every((way) => way === 'ticket')) throw fields.clash('route_ticket_alone', {});
}

function readAddress(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) throw new Unreadable('option_address', {});
  if (url.username !== '' || url.password !== '') throw new Unreadable('option_address_user', {});
  if (/[?#]/.test(text)) throw new Unreadable('option_address_end', {});
  return url.origin + url.pathname.replace(/\/+$/, '');
}

const segment = /^[A-Za-z0-9](?:[A-Za-z0-9._~-]*[A-Za-z0-9_~-])?$/;

function readPrefix(text: string): string {
  const plain = text.endsWith('/') ? text.slice(0, -1) : text;
  if (
    !plain.startsWith('/') ||
    plain.length > 200 ||
    !plain
      .slice(1)
      .split('/')
      .every((each) => segment.test(each))
  )
    throw new Unreadable('option_prefix', {});
  return plain;
}

const hostShape = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

function readHostName(text: string): string {
  const name = text.toLowerCase();
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/.test(name) || /^[\d.]+$/.test(name))
    throw new Unreadable('option_host_name', {});
  return name;
}

function readScope(text: string): RouteScope {
  if (!isRouteScope(text)) throw new Unreadable('option_scope', {});
  return text;
}

function readOrigin(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.origin !== text.toLowerCase())
    throw new Unreadable('option_origin', { text: text.slice(0, 80) });
  return url.origin;
}

function readCookieName(text: string): string {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text)) throw new Unreadable('option_cookie', {});
  if (/^(?:__(?:host|secure)-)?sekisho\./i.test(text)) throw new Unreadable('option_cookie_own', { text });
  return text;
}

function readHealthPath(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!isPlainPath(text)) throw new Unreadable('option_health_path', {});
  return text;
}

function isPlainPath(text: string): boolean {
  try {
    const { path, pathKey } = readServicePath(text);
    return pathKey === undefined && path === text;
  } catch {
    return false;
  }
}
