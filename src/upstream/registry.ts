// The model servers behind the gate: they can be added, drained and removed while it serves. Says where a call may go, ranked
// by the policy that it was given, and starts and ends the probes and connections of each.
import type { Choice } from './choice.ts';
import type { Credentials } from './credentials.ts';
import { type OnTurn, type ServerEntry, type ServerSettings, Upstream } from './server.ts';
import { SharedLists } from './shared-lists.ts';

/** The calls that run, whichever server has them. */
export interface RunningCalls {
  /** Ends those that this server works on, each with a last frame that its client can read. */
  endOn(server: Upstream): void;
}

export class UpstreamRegistry {
  /** The lists of the servers that take calls, for callers. */
  readonly lists: SharedLists<Upstream>;
  readonly #settings: ServerSettings;
  readonly #choice: Choice;
  readonly #onTurn: OnTurn;
  // Both are replaced and never changed, so that a caller who holds one can tell by it whether anything is new.
  #all: readonly Upstream[] = [];
  #servers: readonly Upstream[] = [];
  #started = false;

  constructor(settings: ServerSettings, choice: Choice, onTurn: OnTurn) {
    this.lists = new SharedLists(() => this.#servers);
    this.#settings = settings;
    this.#choice = choice;
    this.#onTurn = onTurn;
  }

  /** Those that take calls, in the order in which they were added. The same array until that changes; may be empty. */
  get servers(): readonly Upstream[] {
    return this.#servers;
  }

  /** Those that are draining, too. */
  get all(): readonly Upstream[] {
    return this.#all;
  }

  /** It takes calls at once, and is probed from the start on. @throws CredentialsUnusable */
  add(entry: ServerEntry): Upstream {
    const server = new Upstream(entry, this.#settings, this.#onTurn);
    this.#all = [...this.#all, server];
    this.#servers = [...this.#servers, server];
    if (this.#started) void server.health.watch();
    return server;
  }

  /**
   * It takes no more calls; those that run there go on. Resolves when the last is over, or when `withinMs` have passed and
   * the rest were ended. It stays among the servers, and is probed, until it is removed.
   */
  async drain(server: Upstream, withinMs: number, running: RunningCalls): Promise<void> {
    this.#retire(server);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, withinMs).unref();
    await Promise.race([server.whenIdle(), late.promise]);
    clearTimeout(timer);
    if (server.inFlight > 0) running.endOn(server);
    await server.whenIdle();
  }

  /** Ends what still runs there, and its probes and connections. Resolves when they are closed. */
  async remove(server: Upstream, running: RunningCalls): Promise<void> {
    this.#retire(server);
    this.#all = this.#all.filter((other) => other !== server);
    running.endOn(server);
    await server.close();
  }

  #retire(server: Upstream): void {
    if (!server.takesCalls) return;
    server.takesCalls = false;
    this.#servers = this.#servers.filter((other) => other !== server);
  }

  /** Reads the files of every server again. @throws CredentialsUnusable; then everything stays as it was. */
  renew(): void {
    const credentials = this.#all.map(({ entry }) => entry.readCredentials());
    for (const [at, server] of this.#all.entries()) server.renew(credentials[at] as Credentials);
  }

  /** Looks once at every server, and from then on by itself. */
  async start(): Promise<void> {
    this.#started = true;
    await Promise.all(this.#all.map(({ health }) => health.watch()));
  }

  get anyUp(): boolean {
    return this.#servers.some(({ health }) => health.up === true);
  }

  /**
   * Some server has it from another machine, and none has it itself. One that lists every model so does not take them away
   * from callers whom the others can serve; nothing of theirs goes to it (route.ts).
   */
  isRemote(canonical: string): boolean {
    return (
      this.#servers.some(({ models }) => models.remote.has(canonical)) &&
      !this.#servers.some(({ models }) => models.names?.has(canonical) === true && !models.remote.has(canonical))
    );
  }

  /** Where to try, best first; all that take calls. */
  candidates(model: string | undefined): readonly Upstream[] {
    return this.#servers.length > 1 ? this.#choice.order(this.#servers, model) : this.#servers;
  }

  /** Those that can work on this model now, as far as that is known, best first. Empty only where no server takes calls. */
  serving(model: string): readonly Upstream[] {
    return this.#servers.length > 1 ? this.#choice.ready(this.#servers, model) : this.#servers;
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((server) => server.close()));
  }
}
