// Synchronizes the published services of this gateway with the routes file and the store. A stored route that cannot be
// published is left out with its reason and does not affect others; the file takes precedence.
import type { RouteId } from '../domain/id.ts';
import { readServiceRoute } from '../domain/read-service-route.ts';
import type { RouteIntrospection, RouteStatus } from '../domain/route-status.ts';
import { type Said, Unreadable } from '../domain/sentences.ts';
import type { ServiceRoute } from '../domain/service-route.ts';
import { refuseClashes } from '../domain/service-table.ts';
import type { StoredRoute } from '../domain/stored-route.ts';
import type { RouteStore } from '../store/ports/routes.ts';
import type { ServiceEntry } from '../upstream/service-entry.ts';
import type { ServiceServer } from '../upstream/service-server.ts';

export interface StoredRoutesTools {
  readonly store: Pick<RouteStore, 'listRoutes'>;
  readonly publish: (entries: readonly ServiceEntry[]) => void;
  /** The servers of a published route. */
  readonly serversOf: (name: string) => readonly ServiceServer[];
  /** Reads the files of a stored route. @throws Error with a sentence if it cannot be published. */
  readonly entryOf: (route: ServiceRoute) => ServiceEntry;
  readonly ownHosts: ReadonlySet<string>;
  readonly wallNow: () => number;
  readonly onUnusable: (name: string, reason: string) => void;
}

interface Kept {
  readonly stored: StoredRoute;
  readonly entry: ServiceEntry | undefined;
  /** Why it is not published. */
  readonly problem: string | undefined;
  readonly said: Said | null;
}

export class StoredRoutes implements RouteIntrospection {
  readonly #tools: StoredRoutesTools;
  #fixed: readonly ServiceEntry[] = [];
  #kept: ReadonlyMap<RouteId, Kept> = new Map();

  constructor(tools: StoredRoutesTools) {
    this.#tools = tools;
  }

  /** Replaces the routes of the file. */
  setFixed(entries: readonly ServiceEntry[]): void {
    this.#fixed = entries;
    this.#apply([...this.#kept.values()].map(({ stored }) => stored));
  }

  /** Rejects if the store cannot be read; then nothing changes. */
  async reconcile(): Promise<void> {
    const stored = await this.#tools.store.listRoutes();
    const isSame = stored.length === this.#kept.size && stored.every(({ id, version }) => this.#has(id, version));
    if (!isSame) this.#apply(stored);
  }

  #has(id: RouteId, version: number): boolean {
    return this.#kept.get(id)?.stored.version === version;
  }

  /** Reloads the files of every route. */
  reload(): void {
    if (this.#kept.size > 0) this.#apply([...this.#kept.values()].map(({ stored }) => stored));
  }

  /** Retries routes that could not be published, because a missing file may have been added. */
  retry(): void {
    if ([...this.#kept.values()].some(({ problem }) => problem !== undefined)) this.reload();
  }

  #apply(stored: readonly StoredRoute[]): void {
    const { publish, onUnusable } = this.#tools;
    const entries = [...this.#fixed];
    const kept = new Map<RouteId, Kept>();
    for (const route of stored) {
      const read = this.#read(route, entries);
      kept.set(route.id, read);
      if (read.entry) entries.push(read.entry);
      else if (read.problem !== undefined && read.problem !== this.#kept.get(route.id)?.problem)
        onUnusable(route.name, read.problem);
    }
    this.#kept = kept;
    publish(entries);
  }

  #read(stored: StoredRoute, before: readonly ServiceEntry[]): Kept {
    const { entryOf, ownHosts } = this.#tools;
    try {
      const route = readServiceRoute({ ...stored.options, name: stored.name });
      refuseClashes([...before.map((entry) => entry.route), route], ownHosts);
      return { stored, entry: entryOf(route), problem: undefined, said: null };
    } catch (error) {
      const said = error instanceof Unreadable ? error.said : null;
      return { stored, entry: undefined, problem: (error as Error).message, said };
    }
  }

  fixed(): ReturnType<RouteIntrospection['fixed']> {
    return this.#fixed.map(({ route }) => ({ route, status: this.#published(route.name) }));
  }

  statusOf(id: RouteId): RouteStatus | undefined {
    const kept = this.#kept.get(id);
    if (!kept) return undefined;
    if (kept.problem !== undefined) return { state: 'unusable', reason: kept.problem, said: kept.said, servers: [] };
    return this.#published(kept.stored.name);
  }

  #published(name: string): RouteStatus {
    const now = this.#tools.wallNow();
    const servers = this.#tools.serversOf(name).map(({ name: origin, basePath, state, sinceMs, reason, inFlight }) => ({
      address: origin + basePath,
      state,
      since: Math.round(now - (performance.now() - sinceMs)),
      reason: reason ?? null,
      inFlight,
    }));
    return { state: 'published', reason: null, said: null, servers };
  }
}
