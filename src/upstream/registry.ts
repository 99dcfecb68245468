// The model servers behind the gate, and where a call may go: those that take calls, ranked by the policy in force. It
// starts and ends their probes and connections.
import type { Choice } from './choice.ts';
import type { Pass } from './credentials.ts';
import { type OnTurn, type ServerEntry, type ServerSettings, Upstream } from './server.ts';
import { SharedLists } from './shared-lists.ts';

export class UpstreamRegistry {
  readonly servers: readonly Upstream[];
  /** Their lists, for callers. */
  readonly lists: SharedLists<Upstream>;
  readonly #choice: Choice;

  /** @throws PassUnusable */
  constructor(entries: readonly ServerEntry[], settings: ServerSettings, choice: Choice, onTurn: OnTurn) {
    this.servers = entries.map((entry) => new Upstream(entry, settings, onTurn));
    this.lists = new SharedLists(this.servers);
    this.#choice = choice;
  }

  /** Reads the files of every server again. @throws PassUnusable; then everything stays as it was. */
  renew(): void {
    const passes = this.servers.map(({ entry }) => entry.readPass());
    for (const [at, server] of this.servers.entries()) server.renew(passes[at] as Pass);
  }

  /** Looks once at every server, and from then on by itself. */
  async start(): Promise<void> {
    await Promise.all(this.servers.map(({ health }) => health.watch()));
  }

  get anyUp(): boolean {
    return this.servers.some(({ health }) => health.up === true);
  }

  /**
   * Some server has it from another machine, and none has it itself. One that lists every model so does not take them away
   * from callers whom the others can serve; nothing of theirs goes to it (route.ts).
   */
  isRemote(canonical: string): boolean {
    return (
      this.servers.some(({ models }) => models.remote.has(canonical)) &&
      !this.servers.some(({ models }) => models.names?.has(canonical) === true && !models.remote.has(canonical))
    );
  }

  /** Where to try, best first. Never empty. */
  candidates(model: string | undefined): readonly Upstream[] {
    return this.servers.length === 1 ? this.servers : this.#choice.order(this.servers, model);
  }

  /** Those that can work on this model now, as far as that is known. Never empty. */
  serving(model: string): readonly Upstream[] {
    return this.servers.length === 1 ? this.servers : this.#choice.ready(this.servers, model);
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}
