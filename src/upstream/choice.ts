// Which model server gets a call. A policy ranks servers by the figures of `Ranked`; the registry asks it if there is more than
// one server. The composition root starts the gate with `leastBusy`.

/** What a policy sees of a server. */
export interface Ranked {
  readonly health: { readonly up: boolean | undefined; readonly doubtful: boolean; readonly lookMs: number };
  readonly models: { readonly names: ReadonlySet<string> | undefined; readonly remote: ReadonlySet<string> };
  readonly inFlight: number;
  /** `weight`: its share of the calls beside servers that are as good. */
  readonly terms: { readonly weight: number };
}

/** `model` by its canonical name; `servers` are at least two, in the order in which they were added. */
export interface Choice {
  /** All servers, in the order in which a call tries them. */
  order<Server extends Ranked>(servers: readonly Server[], model: string | undefined): readonly Server[];
  /** The servers that could work on the model now, best first, for calls that wait for a turn. At least one. */
  ready<Server extends Ranked>(servers: readonly Server[], model: string): readonly Server[];
}

/** Servers that answer, list the model and have it themselves come first; among equals, the one with the fewest calls. */
export const leastBusy: Choice = {
  order(servers, model) {
    const penalty = ({ health, models }: Ranked): number =>
      (health.up === true ? 0 : 4) +
      (model !== undefined && models.names?.has(model) !== true ? 2 : 0) +
      (model !== undefined && models.remote.has(model) ? 1 : 0);
    const load = loadOf(servers);
    return servers.toSorted((a, b) => penalty(a) - penalty(b) || load(a) - load(b));
  },

  ready(servers, model) {
    const up = servers.filter(({ health }) => health.up === true && !health.doubtful);
    const having = up.filter(({ models }) => models.names?.has(model) === true);
    const own = having.filter(({ models }) => !models.remote.has(model));
    const found = own.length > 0 ? own : having.length > 0 ? having : up.length > 0 ? up : servers;
    const load = loadOf(servers);
    return found.toSorted((a, b) => load(a) - load(b));
  },
};

/** A probe is slow if it takes this long, and this many times as long as that of the fastest server. */
const slowLookMs = 200;
const slowTimes = 4;
/** A slow server is ranked as if it had this many more calls. */
const slowBurden = 2;

/** The number of calls with one more, for the weight of the server; increased for one that answers far more slowly than another. */
function loadOf(servers: readonly Ranked[]): (server: Ranked) => number {
  const up = servers.filter(({ health }) => health.up === true);
  const fastest = Math.min(...up.map(({ health }) => health.lookMs));
  const slow = Math.max(slowLookMs, slowTimes * fastest);
  return ({ inFlight, health, terms }) => (1 + inFlight + (health.lookMs > slow ? slowBurden : 0)) / terms.weight;
}
