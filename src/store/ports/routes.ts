// Published services that are added, changed and removed at run time.
import type { AuditEvent } from '../../domain/audit.ts';
import type { RouteId } from '../../domain/id.ts';
import type { StoredRoute } from '../../domain/stored-route.ts';

export interface RouteStore {
  /** By name. */
  listRoutes(): Promise<StoredRoute[]>;
  findRoute(id: RouteId): Promise<StoredRoute | undefined>;
  findRouteByName(name: string): Promise<StoredRoute | undefined>;
  /**
   * Stores a new route (version 1), or the next version of one. `name`: another route has it. `gone`: the route is
   * missing, or was changed meanwhile. Undefined: it is stored.
   */
  putRoute(route: StoredRoute, event: AuditEvent): Promise<'name' | 'gone' | undefined>;
  /** False if there is no such route. */
  deleteRoute(id: RouteId, event: AuditEvent): Promise<boolean>;
}
