// The use cases of published services in the store: add, change, remove. Every gateway on the store follows within a second.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { newRouteId, type RouteId } from '../../domain/id.ts';
import { readServiceRoute } from '../../domain/read-service-route.ts';
import type { RouteStatus } from '../../domain/route-status.ts';
import type { ServiceRoute } from '../../domain/service-route.ts';
import { refuseClashes } from '../../domain/service-table.ts';
import { mostRoutes, optionsOf, type RouteOptions, type StoredRoute } from '../../domain/stored-route.ts';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import type { RouteRules } from './route-rules.ts';
import type { routeSchema } from './schemas.ts';

/** The options of a route; null restores the default of an option. */
export type RouteFields = Readonly<Record<string, unknown>>;

/** By id or name. @throws Fault. */
export async function requireRoute(store: Store, named: string): Promise<StoredRoute> {
  const found = named.startsWith('rte_') ? await store.findRoute(named as RouteId) : await store.findRouteByName(named);
  if (found) return found;
  throw new Fault('route_missing', { name: named }, 'not_found');
}

/** @throws Fault. */
export function createRoute(
  store: Store,
  fields: RouteFields,
  rules: RouteRules,
  author: Author,
): Promise<StoredRoute> {
  return store.atomically(async (within) => {
    const others = await within.listRoutes();
    if (others.length >= mostRoutes) throw new Fault('routes_full', { most: mostRoutes }, 'conflict');
    const blank = { id: newRouteId(), options: {}, createdAt: author.at, changedAt: author.at, version: 1 };
    const route = withFields({ ...blank, name: '' }, fields, others, rules);
    const event = auditEvent(author, 'route.create', route.id, null, audited(route));
    refuseTaken(await within.putRoute(route, event), route);
    return route;
  });
}

/** @throws Fault. */
export function changeRoute(
  store: Store,
  named: string,
  fields: RouteFields,
  rules: RouteRules,
  author: Author,
): Promise<StoredRoute> {
  return store.atomically(async (within) => {
    const before = await requireRoute(within, named);
    const others = (await within.listRoutes()).filter(({ id }) => id !== before.id);
    const changed = withFields(before, fields, others, rules);
    const after = { ...changed, changedAt: author.at, version: before.version + 1 };
    const event = auditEvent(author, 'route.set', after.id, audited(before), audited(after));
    refuseTaken(await within.putRoute(after, event), after);
    return after;
  });
}

/** Its running calls may continue until the deadline of the settings. @throws Fault. */
export function deleteRoute(store: Store, named: string, author: Author): Promise<StoredRoute> {
  return store.atomically(async (within) => {
    const route = await requireRoute(within, named);
    await within.deleteRoute(route.id, auditEvent(author, 'route.delete', route.id, audited(route), null));
    return route;
  });
}

function refuseTaken(taken: 'name' | 'gone' | undefined, { name }: StoredRoute): void {
  if (taken === 'name') throw new Fault('route_taken', { name }, 'conflict');
  if (taken === 'gone') throw new Fault('route_changed', { name }, 'conflict');
}

/** @throws Fault. */
function withFields(
  before: StoredRoute,
  { name: given, ...fields }: RouteFields,
  others: readonly StoredRoute[],
  rules: RouteRules,
): StoredRoute {
  const name = typeof given === 'string' ? given : before.name;
  const merged = Object.entries({ ...before.options, ...fields }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  const options: RouteOptions = Object.fromEntries(merged);
  const route = reading(() => readServiceRoute({ ...options, name }));
  refuseFiles(route, rules);
  for (const address of route.upstreams) if (rules.isOwn(address)) throw new Fault('address_is_gate', { address });
  const beside = [...rules.fixed, ...others.flatMap((other) => readable(other) ?? []), route];
  reading(() => refuseClashes(beside, rules.ownHosts), 'conflict');
  return { ...before, name, options };
}

/** Undefined for a route that another version of the gateway has stored. */
function readable({ name, options }: StoredRoute): ServiceRoute | undefined {
  try {
    return readServiceRoute({ ...options, name });
  } catch {
    return undefined;
  }
}

/** Plain names in one directory, so that files outside it, such as the gateway's own secrets, cannot be sent to a service. */
function refuseFiles({ secretFile, tls }: ServiceRoute, { hasFiles }: RouteRules): void {
  for (const file of [secretFile, tls.caFile, tls.certificateFile, tls.keyFile]) {
    if (file === null) continue;
    if (!hasFiles) throw new Fault('route_files_unset', {});
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/.test(file)) throw new Fault('file_name', {});
  }
}

const audited = ({ name, options }: StoredRoute): Record<string, unknown> => ({ name, ...options });

type Shown = z.output<typeof routeSchema>;

/** As the management API shows it; without a status if it is unknown because no gateway runs. */
export function showRoute(stored: StoredRoute, status: RouteStatus | undefined): Shown {
  const route = readable(stored);
  return {
    id: stored.id,
    name: stored.name,
    fixed: false,
    options: route ? optionsOf(route) : { ...stored.options },
    createdAt: iso(stored.createdAt),
    changedAt: iso(stored.changedAt),
    version: stored.version,
    ...showStatus(status),
  };
}

/** A route of the file. */
export const showFixedRoute = (route: ServiceRoute, status: RouteStatus | undefined): Shown => ({
  id: null,
  name: route.name,
  fixed: true,
  options: optionsOf(route),
  createdAt: null,
  changedAt: null,
  version: null,
  ...showStatus(status),
});

const showStatus = (status: RouteStatus | undefined) => ({
  state: status?.state ?? ('unknown' as const),
  reason: status?.reason ?? null,
  said: status?.said ?? null,
  servers: (status?.servers ?? []).map((server) => ({ ...server, since: iso(server.since) })),
});
