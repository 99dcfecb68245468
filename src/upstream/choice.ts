// Which model server gets a call. A policy ranks servers by the figures of `Ranked`; the registry asks it if there is more than
// one server. The composition root starts the gate with `leastBusy`.

/** What a policy sees of a server. */
export interface Ranked {
  /** A call goes to a server with a higher `rank` only if no server with a lower one can have it; 0: it admits calls. */
  readonly health: {
    readonly rank: number;
    readonly up: boolean | undefined;
    readonly slow: boolean;
    readonly lookMs: number;
  };
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

/** Servers that list the model come first, then those that take calls best; among equals, the one with the fewest calls. */
export const leastBusy: Choice = {
  order(servers, model) {
    const load = loadOf(servers);
    return servers.toSorted((a, b) => standingOf(a, model) - standingOf(b, model) || load(a) - load(b));
  },

  ready(servers, model) {
    const best = Math.min(...servers.map((server) => standingOf(server, model)));
    const load = loadOf(servers);
    return servers.filter((server) => standingOf(server, model) === best).toSorted((a, b) => load(a) - load(b));
  },
};

/**
 * Lower is better. A server that has the model and is down comes before one that is up and lacks it, which could only answer
 * that there is no such model.
 */
function standingOf({ health, models }: Ranked, model: string | undefined): number {
  if (model === undefined) return health.rank;
  const { names, remote } = models;
  const isListed = names?.has(model) === true;
  return health.rank + (isListed ? 0 : names ? lacks : unlisted) + (remote.has(model) ? elsewhere : 0);
}

/** It has no list, or none was read. */
const unlisted = 1.5;
const lacks = 100;
const elsewhere = 0.25;

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
  return ({ inFlight, health, terms }) =>
    (1 + inFlight + (health.slow || health.lookMs > slow ? slowBurden : 0)) / terms.weight;
}
