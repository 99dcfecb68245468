// Loads models that are not in memory. Calls never load a model themselves: the gateway has it loaded once, with its own
// request, and the calls wait for that. A caller who disconnects therefore does not stop the load for others, and a server
// never works on two loads for the gateway.
import { parseModelName } from '../../domain/model-name.ts';
import type { LoadTimes } from '../estimate/load-times.ts';
import type { Fields } from '../kind.ts';
import type { Upstream } from '../server.ts';
import { keyOf, Load } from './load.ts';
import { ServerLoads } from './server-loads.ts';

/** What a call wants loaded. */
export interface ColdCall {
  /** Canonical. */
  readonly path: string;
  /** Undefined if it is no JSON, or too long to be looked at. */
  readonly body: Fields | undefined;
  readonly via: readonly string[];
}

export interface Joined {
  readonly load: Load;
  /** It loads what the call itself wants. Otherwise its failure says nothing about the call. */
  readonly isOwn: boolean;
}

export interface ServerLoad {
  readonly server: Upstream;
  readonly load: Load;
}

export class ColdLoads {
  readonly #mostMs: () => number;
  readonly #times: LoadTimes<Upstream>;
  readonly #servers = new Map<Upstream, ServerLoads>();

  /** `mostMs`: how long a load may take of which nothing is known, as it is now. */
  constructor(mostMs: () => number, times: LoadTimes<Upstream>) {
    this.#mostMs = mostMs;
    this.#times = times;
  }

  /** The model is not in the server's memory, and the gateway can have it loaded. */
  isCold(server: Upstream, model: string): boolean {
    const { loaded } = server.details;
    if (loaded === undefined || loaded.has(model)) return false;
    if (!server.kind.loads || server.health.up !== true || !hasItself(server, model)) return false;
    return this.#servers.get(server)?.isWarm(model) !== true;
  }

  /** The load that the call has to wait for; undefined if the call needs none. */
  join(server: Upstream, model: string, { path, body, via }: ColdCall): Joined | undefined {
    const wants = server.kind.loads?.wants({ path, body });
    if (!wants) return undefined;
    const key = keyOf(wants);
    const load = this.#of(server).join(model, key, () => new Load(model, spelledBy(server, model), wants, via));
    return { load, isOwn: load.key === key };
  }

  /** What is loaded now, or will be next. */
  now(): readonly ServerLoad[] {
    return [...this.#servers].flatMap(([server, { loads }]) => loads.map((load) => ({ server, load })));
  }

  #of(server: Upstream): ServerLoads {
    let found = this.#servers.get(server);
    if (!found) {
      // Servers that are gone are forgotten when another one loads its first model.
      for (const [known, { loads }] of this.#servers)
        if (!known.takesCalls && loads.length === 0) this.#servers.delete(known);
      this.#servers.set(server, (found = new ServerLoads(server, this.#mostMs, this.#times)));
    }
    return found;
  }
}

/** As the server spells the model. */
const spelledBy = ({ models: { listed } }: Upstream, model: string): string =>
  listed.find(({ name }) => parseModelName(name)?.canonical === model)?.name ?? model;

/** Another machine loads its models as it likes. */
const hasItself = ({ models: { names, remote } }: Upstream, model: string): boolean =>
  names?.has(model) === true && !remote.has(model);
