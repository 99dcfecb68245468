// The model servers behind the gate, which can be added, changed, drained and removed while it serves. The registry says where
// a call may go, ranked by its policy, and starts and stops the probes and connections of each server.
import type { Demand } from '../domain/demand.ts';
import type { ModelFigures } from '../domain/server-status.ts';
import { Audiences, type Reaching } from './audience.ts';
import type { Choice } from './choice.ts';
import type { Credentials } from './credentials.ts';
import type { Assignment } from './estimate/assignment.ts';
import type { LoadTimes } from './estimate/load-times.ts';
import { FirstTokens } from './first-tokens.ts';
import { type OnTurn, type ServerEntry, type ServerSettings, Upstream } from './server.ts';
import { SharedLists } from './shared-lists.ts';

/** The running calls of all servers. */
export interface RunningCalls {
  /** Ends the calls of this server, each with a last frame that its client can read. */
  endOn(server: Upstream): void;
}

export class UpstreamRegistry {
  /** The lists of the servers that take calls, for callers. */
  readonly lists: SharedLists<Upstream>;
  readonly #settings: ServerSettings;
  readonly #choice: Choice<Upstream>;
  readonly #onTurn: OnTurn;
  readonly #firstTokens = new FirstTokens();
  // Both arrays are replaced and never edited, so holders can detect changes by identity.
  #all: readonly Upstream[] = [];
  #servers: readonly Upstream[] = [];
  #audiences = new Audiences<Upstream>([]);
  #started = false;

  constructor(settings: ServerSettings, choice: Choice<Upstream>, onTurn: OnTurn) {
    this.lists = new SharedLists(() => this.#servers);
    this.#settings = settings;
    this.#choice = choice;
    this.#onTurn = onTurn;
  }

  /**
   * The servers that take calls, in the order in which they were added. The same array until that or the kind of one changes;
   * may be empty.
   */
  get servers(): readonly Upstream[] {
    return this.#servers;
  }

  /** Also the servers that are draining. */
  get all(): readonly Upstream[] {
    return this.#all;
  }

  /** The server takes calls at once. It is probed as soon as the registry is started. @throws CredentialsUnusable */
  add(entry: ServerEntry): Upstream {
    const server = new Upstream(entry, this.#settings, this.#onTurn, this.#firstTokens, this.loadTimes);
    server.onKind = () => this.#sort();
    server.onModels = () => this.#choice.listsChanged();
    this.#all = [...this.#all, server];
    this.#sort();
    if (this.#started) void server.health.watch();
    return server;
  }

  /**
   * Gives the server other terms and credentials; its address stays. Open connections keep the credentials that they were
   * opened with. @throws CredentialsUnusable; then nothing changes.
   */
  change(server: Upstream, entry: ServerEntry): void {
    server.change(entry, entry.readCredentials());
    this.#sort();
  }

  /** Whether the server gets new calls; running ones go on. */
  setServing(server: Upstream, serves: boolean): void {
    if (server.takesCalls === serves) return;
    server.takesCalls = serves;
    this.#sort();
  }

  /**
   * The server gets no more calls; running ones go on. Resolves when the last one is over; calls that still run after
   * `withinMs` are ended. The server stays in `all`, and is probed, until it is removed.
   */
  async drain(server: Upstream, withinMs: number, running: RunningCalls): Promise<void> {
    this.setServing(server, false);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, withinMs).unref();
    await Promise.race([server.whenIdle(), late.promise]);
    clearTimeout(timer);
    if (server.inFlight > 0) running.endOn(server);
    await server.whenIdle();
  }

  /** Ends the calls, probes and connections of the server. Resolves when the connections are closed. */
  async remove(server: Upstream, running: RunningCalls): Promise<void> {
    this.setServing(server, false);
    this.#all = this.#all.filter((other) => other !== server);
    this.#firstTokens.forget(server);
    running.endOn(server);
    this.#choice.forget(server);
    await server.close();
  }

  /** Those that take calls, and who reaches them. */
  #sort(): void {
    this.#servers = this.#all.filter(({ takesCalls }) => takesCalls);
    this.#firstTokens.compares = this.#servers.length > 1;
    this.#audiences = new Audiences(this.#servers);
  }

  /**
   * Those that take calls and that this caller may reach: `servers` itself where that is all of them, and one array for all
   * callers who may reach the same.
   */
  reachableBy(caller: Reaching): readonly Upstream[] {
    return this.#audiences.of(caller);
  }

  /** Reads the files of every server of the settings again. @throws CredentialsUnusable; then everything stays as it was. */
  renew(): void {
    const fixed = this.#all.filter(({ entry }) => entry.terms === undefined);
    const credentials = fixed.map(({ entry }) => entry.readCredentials());
    for (const [at, server] of fixed.entries()) server.renew(credentials[at] as Credentials);
  }

  /** Probes every server once, and from then on regularly. Resolves after the first probes. */
  async start(): Promise<void> {
    this.#started = true;
    await Promise.all(this.#all.map(({ health }) => health.watch()));
  }

  get loadTimes(): LoadTimes<Upstream> {
    return this.#choice.loadTimes;
  }

  get anyUp(): boolean {
    return this.#servers.some(({ health }) => health.up === true);
  }

  /**
   * Of the servers that the caller may reach, some have the model from another machine, and none has it itself. So a server
   * that lists every model as remote does not take them away from callers whom other servers can serve; their calls do not go
   * to it (route.ts).
   */
  isRemote(canonical: string, caller: Reaching): boolean {
    const servers = this.reachableBy(caller);
    return (
      servers.some(({ models }) => models.remote.has(canonical)) &&
      !servers.some(({ models }) => models.names?.has(canonical) === true && !models.remote.has(canonical))
    );
  }

  /** The servers in `reach` in the order in which to try them; by default all that take calls. */
  candidates(
    model: string | undefined,
    reach: readonly Upstream[] = this.#servers,
    demand?: Demand<Upstream>,
  ): readonly Upstream[] {
    return reach.length > 1 ? this.#choice.order(reach, model, demand) : reach;
  }

  /**
   * The servers in `reach` to which the call should go as soon as they have a slot, best first. Empty only if `reach` is.
   * `ahead`: the number of calls that get their turn before it.
   */
  serving(
    demand: Demand<Upstream> | undefined,
    reach: readonly Upstream[] = this.#servers,
    ahead = 0,
  ): readonly Upstream[] {
    return reach.length > 1 && demand !== undefined ? this.#choice.ready(reach, demand, ahead) : reach;
  }

  /** Counts the call at the server from now on. Undefined if there is no other server, so that nothing depends on it. */
  assign(server: Upstream, demand: Demand<Upstream>): Assignment<Upstream> | undefined {
    return this.#servers.length > 1 ? this.#choice.assign(server, demand) : undefined;
  }

  /** Why calls for the model go where they go: the figures of each server that has it, and takes calls. */
  explain(model: string): readonly { readonly server: Upstream; readonly figures: ModelFigures }[] {
    return this.#servers.flatMap((server) => {
      const figures = this.#choice.explain(server, model);
      return figures ? [{ server, figures }] : [];
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((server) => server.close()));
  }
}
