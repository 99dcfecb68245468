// Which model server a call is sent to. A policy ranks servers by what it may see of them; the registry asks it whenever
// there is more than one. `leastBusy` is the one that the gate is started with.

/** What a policy may see of a server. */
export interface Ranked {
  readonly health: { readonly up: boolean | undefined; readonly doubtful: boolean; readonly lookMs: number };
  readonly models: { readonly names: ReadonlySet<string> | undefined; readonly remote: ReadonlySet<string> };
  readonly inFlight: number;
}

/** `model` by its canonical name; `servers` are at least two, in the order in which they were added. */
export interface Choice {
  /** All of them, in the order in which a call is to be tried. */
  order<Server extends Ranked>(servers: readonly Server[], model: string | undefined): readonly Server[];
  /** Those that could work on the model now, best first, for calls that wait for a turn. At least one. */
  ready<Server extends Ranked>(servers: readonly Server[], model: string): readonly Server[];
}

/** First what answers, lists the model and has it itself; of these, what has least to do. */
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

/** A look that takes that long, and so many times as long as the fastest server's, is slow. */
const slowLookMs = 200;
const slowTimes = 4;
/** Calls that a slow server counts as having beside its own. */
const slowBurden = 2;

/** What a server has to do. One that answers, but far more slowly than another, counts as busier than it is. */
function loadOf(servers: readonly Ranked[]): (server: Ranked) => number {
  const up = servers.filter(({ health }) => health.up === true);
  const fastest = Math.min(...up.map(({ health }) => health.lookMs));
  const slow = Math.max(slowLookMs, slowTimes * fastest);
  return ({ inFlight, health }) => inFlight + (health.lookMs > slow ? slowBurden : 0);
}
