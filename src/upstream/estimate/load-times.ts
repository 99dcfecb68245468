// How long servers take to load models: one figure for the choice of a server, for those who wait for a load, and for how long a
// load is waited for. Every observed load is recorded: by the gateway's own request, or by a call that caused one.
import { Average, type Plausible } from './average.ts';
import { factor, learnedOr } from './figures.ts';

const plausible: Plausible = { least: 0.05, most: 1_800_000 };
const mostModels = 4_000;
/** A load may take this many times as long as the longest one, and at least so long. */
const patience = 3;
const leastBoundMs = 60_000;

interface Seen {
  readonly average: Average;
  longestMs: number;
}

interface OnServer {
  readonly models: Map<string, Seen>;
  /** How the server compares with others. */
  readonly speed: Average;
  longestMs: number;
}

export class LoadTimes<Server extends object> {
  readonly #servers = new WeakMap<Server, OnServer>();
  /** Of each model on all servers. */
  readonly #peers = new Map<string, Average>();

  note(server: Server, model: string, ms: number, nowMs: number): void {
    const on = this.#on(server);
    on.longestMs = Math.max(on.longestMs, ms);
    let seen = on.models.get(model);
    if (seen === undefined) {
      makeRoom(on.models);
      on.models.set(model, (seen = { average: new Average(plausible), longestMs: 0 }));
    }
    seen.longestMs = Math.max(seen.longestMs, ms);
    seen.average.note(ms, nowMs);
    let peers = this.#peers.get(model);
    if (peers === undefined) {
      makeRoom(this.#peers);
      this.#peers.set(model, (peers = new Average(plausible)));
    }
    if (peers.count > 0) on.speed.note(ms / peers.value, nowMs);
    peers.note(ms, nowMs);
  }

  /** As learned here, or elsewhere at the speed of this server; undefined as long as no server has loaded the model. */
  usualMs(server: Server, model: string, nowMs: number): number | undefined {
    const own = this.#servers.get(server)?.models.get(model)?.average;
    const peers = this.#peers.get(model);
    return peers === undefined ? own?.value : this.#learnedOr(server, own, peers.value, nowMs);
  }

  /** The same, with an assumption as long as nothing is known. */
  expectedMs(server: Server, model: string, assumedMs: number, nowMs: number): number {
    const own = this.#servers.get(server)?.models.get(model)?.average;
    return this.#learnedOr(server, own, this.#peers.get(model)?.value ?? assumedMs, nowMs);
  }

  /** A load of the model was seen there at this time or later. */
  isNotedSince(server: Server, model: string, ms: number): boolean {
    const seen = this.#servers.get(server)?.models.get(model);
    return seen !== undefined && seen.average.atMs >= ms;
  }

  /** How long to wait for a load. */
  boundMs(server: Server, model: string, mostMs: number): number {
    const on = this.#servers.get(server);
    const longest = on?.models.get(model)?.longestMs ?? on?.longestMs ?? 0;
    return longest === 0 ? mostMs : Math.min(mostMs, Math.max(leastBoundMs, patience * longest));
  }

  #learnedOr(server: Server, own: Average | undefined, others: number, nowMs: number): number {
    const speed = this.#servers.get(server)?.speed;
    return learnedOr(own, others * (speed !== undefined && speed.count > 0 ? speed.value : 1), nowMs);
  }

  #on(server: Server): OnServer {
    let on = this.#servers.get(server);
    if (on === undefined) {
      on = { models: new Map(), speed: new Average(factor), longestMs: 0 };
      this.#servers.set(server, on);
    }
    return on;
  }
}

function makeRoom(known: Map<string, unknown>): void {
  if (known.size >= mostModels) known.delete(known.keys().next().value as string);
}
