// Synchronizes the model servers behind this gateway with the store: adds new ones, changes them in place if possible, and
// drains and removes deleted ones. An unusable server is left out with its reason and does not affect others.

import type { ServerId } from '../domain/id.ts';
import type { ModelServer } from '../domain/model-server.ts';
import type { NotedState, ServerIntrospection, ServerState, ServerStatus } from '../domain/server-status.ts';
import type { ServerStore } from '../store/ports/servers.ts';
import type { RunningCalls, UpstreamRegistry } from '../upstream/registry.ts';
import type { ServerEntry, Upstream } from '../upstream/server.ts';

export interface StoredServersTools {
  readonly store: Pick<ServerStore, 'listServers'>;
  readonly registry: UpstreamRegistry;
  readonly running: RunningCalls;
  /** Converts it for the registry. @throws Error with a sentence if it cannot be used. */
  readonly entryOf: (server: ModelServer) => ServerEntry;
  /** Addresses of the settings, which stored servers cannot have. */
  readonly fixed: ReadonlySet<string>;
  /** How long calls may continue at a removed server. */
  readonly drainMs: number;
  readonly wallNow: () => number;
  readonly onUnusable: (server: ModelServer, reason: string) => void;
  readonly onError: (error: unknown) => void;
}

interface Kept {
  stored: ModelServer;
  /** Undefined if it could not be used so far. */
  server: Upstream | undefined;
  /** Why it cannot be used as it is stored. */
  problem: string | undefined;
  /** When its current state started. */
  since: number;
}

export class StoredServers implements ServerIntrospection {
  readonly #tools: StoredServersTools;
  readonly #kept = new Map<ServerId, Kept>();
  readonly #leaving = new Map<Upstream, { readonly stored: ModelServer; readonly since: number }>();

  constructor(tools: StoredServersTools) {
    this.#tools = tools;
  }

  /** Rejects if the store cannot be read; then nothing changes. */
  async reconcile(): Promise<void> {
    const stored = await this.#tools.store.listServers();
    const ids = new Set(stored.map(({ id }) => id));
    // Removed servers first, because others may have their names and addresses by now.
    for (const [id, kept] of this.#kept) {
      if (ids.has(id)) continue;
      this.#kept.delete(id);
      this.#leave(kept);
    }
    for (const server of stored) {
      const kept = this.#kept.get(server.id);
      if (kept?.stored.version === server.version && kept.problem === undefined) continue;
      this.#apply(kept ?? this.#open(server), server);
    }
  }

  /** Reloads the files of every server. */
  reload(): void {
    for (const kept of this.#kept.values()) this.#apply(kept, kept.stored);
  }

  /** Retries unusable servers, because a missing file may have been added. */
  retry(): void {
    for (const kept of this.#kept.values()) if (kept.problem !== undefined) this.#apply(kept, kept.stored);
  }

  #open(stored: ModelServer): Kept {
    const kept = { stored, server: undefined, problem: undefined, since: this.#tools.wallNow() };
    this.#kept.set(stored.id, kept);
    return kept;
  }

  #apply(kept: Kept, stored: ModelServer): void {
    const { registry, wallNow } = this.#tools;
    const was = stateKey(kept);
    const isMoved = kept.server !== undefined && kept.stored.address !== stored.address;
    if (isMoved) {
      this.#leave(kept);
      kept.server = undefined;
    }
    kept.stored = stored;
    const problem = this.#use(kept);
    if (problem !== undefined && problem !== kept.problem) this.#tools.onUnusable(stored, problem);
    kept.problem = problem;
    // Otherwise the server would get an outdated secret, or none.
    if (kept.server) registry.setServing(kept.server, problem === undefined && !stored.maintenance);
    if (stateKey(kept) !== was) kept.since = wallNow();
  }

  /** A sentence if it cannot be used; then it stays unchanged. */
  #use(kept: Kept): string | undefined {
    const { registry, entryOf, fixed } = this.#tools;
    const { stored } = kept;
    if (fixed.has(stored.address)) return 'the setting upstream names the same address';
    try {
      const entry = entryOf(stored);
      if (kept.server) registry.change(kept.server, entry);
      else {
        kept.server = registry.add(entry);
        if (stored.maintenance) registry.setServing(kept.server, false);
      }
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #leave({ server, stored }: Kept): void {
    if (!server) return;
    const { registry, running, drainMs, wallNow, onError } = this.#tools;
    this.#leaving.set(server, { stored, since: wallNow() });
    registry
      .drain(server, drainMs, running)
      .then(() => registry.remove(server, running))
      .catch(onError)
      .finally(() => this.#leaving.delete(server));
  }

  fixed(): ReturnType<ServerIntrospection['fixed']> {
    return this.#tools.registry.all
      .filter(({ entry }) => entry.terms === undefined)
      .map((server) => ({
        address: server.name + server.basePath,
        status: this.#status(server, server.takesCalls ? undefined : 'draining', null, null),
      }));
  }

  leaving(): ReturnType<ServerIntrospection['leaving']> {
    return [...this.#leaving].map(([server, { stored, since }]) => ({
      server: stored,
      status: this.#status(server, 'draining', since, null),
    }));
  }

  statusOf(id: ServerId): ServerStatus | undefined {
    const kept = this.#kept.get(id);
    if (!kept) return undefined;
    const { server, stored, problem, since } = kept;
    if (problem !== undefined) return this.#status(server, 'unusable', since, problem);
    if (!stored.maintenance) return this.#status(server, undefined, null, null);
    const isIdle = server === undefined || server.inFlight === 0;
    return this.#status(server, isIdle ? 'maintenance' : 'draining', since, null);
  }

  estimates(model: string): ReturnType<ServerIntrospection['estimates']> {
    return this.#tools.registry
      .explain(model)
      .map(({ server: { name, basePath }, figures }) => ({ address: name + basePath, ...figures }))
      .toSorted((a, b) => a.estimateMs - b.estimateMs);
  }

  /** Of the servers of the settings by address, and of the stored ones by id. */
  states(): readonly NotedState[] {
    const stored = [...this.#kept.keys()].map((id) => [id, this.statusOf(id)] as const);
    return [...this.fixed().map(({ address, status }) => [address, status] as const), ...stored].flatMap(
      ([server, status]) =>
        status ? [{ server, state: status.state, since: status.since, reason: status.reason }] : [],
    );
  }

  /** `state`: undefined if its health determines it. */
  #status(
    server: Upstream | undefined,
    state: ServerState | undefined,
    since: number | null,
    reason: string | null,
  ): ServerStatus {
    const rest = {
      detectedKind: server?.kindName ?? null,
      models: server?.models.listed.map(({ name }) => name) ?? [],
      inFlight: server?.inFlight ?? 0,
    };
    if (state !== undefined || !server) return { state: state ?? 'unknown', since, reason, ...rest };
    const { health } = server;
    return {
      state: health.state,
      since: Math.round(this.#tools.wallNow() - (performance.now() - health.sinceMs)),
      reason: health.reason ?? null,
      ...rest,
    };
  }
}

const stateKey = ({ stored, problem }: Kept): string => problem ?? String(stored.maintenance);
