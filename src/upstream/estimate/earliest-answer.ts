// The policy: a call goes to the server that will probably begin its answer first. The estimate adds the wait for a slot and for
// the prompts sent there before, the load if the model is not in memory, with what that costs the models that leave, and the
// reading of the part of the prompt that the server does not have in its cache; it is divided by the server's weight. A server
// that has the conversation is preferred to one that would be a little earlier.
import type { Demand } from '../../domain/demand.ts';
import type { ModelFigures } from '../../domain/server-status.ts';
import type { Choice } from '../choice.ts';
import { type Assigning, Assignment } from './assignment.ts';
import { Conversations, type Kept } from './conversations.ts';
import { Evictions } from './eviction.ts';
import { Peers } from './figures.ts';
import { Offer } from './offer.ts';
import type { Ranked } from './ranked.ts';
import { ServerWork } from './server-work.ts';
import { ServersByModel } from './servers-by-model.ts';

/** An estimate this many times the best is as good, if its server has the conversation or a free slot. */
const asGood = 1.25;
/** Of several that are as good, so many are named. */
const mostNamed = 4;
/** Models of one server, and models of which something was learned on any. */
const mostOffers = 1_000;
const mostPeers = 4_000;
/** A cache keeps a text for a while, and while fewer than so many calls for each slot came after it. */
const cachedForMs = 600_000;
const callsPerSlot = 2;
const fewestCalls = 4;

// Parts of a rank: what makes a server worse than another that is as well. They are smaller than the steps of health ranks,
// except for a server that does not have the model: it could only say so.
const elsewhere = 0.25;
const tooShort = 0.5;
const unlisted = 1.5;
const lacks = 100;
/** Beyond every estimate, so that a rank decides first. */
const rankMs = 1e12;
/** The key of an offer that is named already. */
const named = -1;
/** The prompt for which people see the estimate. */
const shownTokens = 1_000;

interface Standing<Server extends Ranked> {
  readonly work: ServerWork;
  readonly offers: Map<string, Offer<Server>>;
  readonly evictions: Evictions<Server>;
}

export interface EstimateSettings<Server> {
  readonly slotsFor: (model: string, server: Server) => number;
  /** Monotonic; also of the servers' `lookedMs`. */
  readonly nowMs: () => number;
}

export class EarliestAnswer<Server extends Ranked> implements Choice<Server>, Assigning<Server> {
  readonly nowMs: () => number;
  readonly #slotsFor: EstimateSettings<Server>['slotsFor'];
  readonly #standings = new WeakMap<Server, Standing<Server>>();
  readonly #peers = new Map<string, Peers>();
  readonly #conversations = new Conversations();
  readonly #having = new ServersByModel<Server>((server, model) => this.offerOf(server, model));
  /** Of the offers in question, in their order: their ranks and estimates as one figure. Reused for every call. */
  #keys = new Float64Array(16);
  /** The place of the one that has the conversation; −1 if none has. */
  #keptAt = -1;

  constructor({ slotsFor, nowMs }: EstimateSettings<Server>) {
    this.#slotsFor = slotsFor;
    this.nowMs = nowMs;
  }

  order(servers: readonly Server[], model: string | undefined, demand?: Demand<Server>): readonly Server[] {
    if (demand === undefined) return byRank(servers, model);
    const { offers, others } = this.#having.of(servers, demand.model);
    const lowest = this.#estimateAll(offers, demand, 0, this.nowMs());
    const found = this.#firstOf(offers, Infinity, lowest * rankMs);
    // The others are tried only if these fail, so they need not be in the order of their estimates.
    const bound = lowest * rankMs + rankMs * elsewhere;
    const keys = this.#keys;
    for (let at = 0; at < offers.length; at++)
      if (keys[at] !== named && (keys[at] as number) < bound) found.push((offers[at] as Offer<Server>).server);
    for (let at = 0; at < offers.length; at++)
      if (keys[at] !== named && !((keys[at] as number) < bound)) found.push((offers[at] as Offer<Server>).server);
    if (offers.length === 0) return byRank(others, model);
    for (const server of others) found.push(server);
    return found;
  }

  ready(servers: readonly Server[], demand: Demand<Server>, ahead: number): readonly Server[] {
    const { offers, others } = this.#having.of(servers, demand.model);
    const lowest = this.#estimateAll(offers, demand, ahead, this.nowMs());
    if (lowest > 0 && others.length > 0) {
      const best = lowestRank(others, demand);
      if (best < lowest) return leastBusy(others, demand, best);
    }
    return lowest === Infinity ? servers : this.#firstOf(offers, asGood, lowest * rankMs);
  }

  assign(server: Server, demand: Demand<Server>): Assignment<Server> {
    return new Assignment(this, server, demand);
  }

  listsChanged(): void {
    this.#having.clear();
  }

  /** Writes the key of every offer, and returns the lowest rank; Infinity if none may have the call. */
  #estimateAll(offers: readonly Offer<Server>[], demand: Demand<Server>, ahead: number, now: number): number {
    if (this.#keys.length < offers.length) this.#keys = new Float64Array(2 * offers.length);
    const keys = this.#keys;
    const kept = this.#conversations.of(demand.conversation);
    const drain = ahead > 0 ? drainOf(offers, demand) : 0;
    this.#keptAt = -1;
    let lowest = Infinity;
    for (let at = 0; at < offers.length; at++) {
      const offer = offers[at] as Offer<Server>;
      const { server } = offer;
      if (offer.revision !== server.revision || now >= offer.freshUntilMs)
        offer.renew(this.#slotsFor(offer.model, server), now);
      if (!demand.takes(server)) {
        keys[at] = Infinity;
        continue;
      }
      const rank =
        server.health.rank +
        (offer.isRemote ? elsewhere : 0) +
        (offer.context < demand.promptTokens && !offer.isRemote ? tooShort : 0);
      if (rank < lowest) lowest = rank;
      let cached = 0;
      if (kept !== undefined && kept.work === offer.work) {
        this.#keptAt = at;
        cached = cachedIn(kept, offer, demand.promptTokens, now);
      }
      const ms = estimateOf(offer, demand.promptTokens - cached, drain > 0 ? ahead / drain : 0, now);
      keys[at] = rank * rankMs + ms / offer.weight;
    }
    return lowest;
  }

  /**
   * The best servers, best first, and before them the one with the conversation if it is as good. `within`: how many times
   * the best estimate the others may have; `base`: the part of the keys that is no estimate.
   */
  #firstOf(offers: readonly Offer<Server>[], within: number, base: number): Server[] {
    const keys = this.#keys;
    const kept = this.#keptAt;
    const found: Server[] = [];
    let bound = Infinity;
    for (let pass = 0; pass < mostNamed; pass++) {
      const at = leastOf(keys, offers.length);
      const key = at < 0 ? Infinity : (keys[at] as number);
      if (key === Infinity || key > bound) break;
      const { server, isThere, isLoading } = offers[at] as Offer<Server>;
      if (pass === 0) {
        bound = base + (key - base) * within;
        if (kept >= 0 && kept !== at && (keys[kept] as number) <= base + (key - base) * asGood) {
          keys[kept] = named;
          found.push((offers[kept] as Offer<Server>).server);
        }
      }
      // A load is begun only where nothing is better.
      if (pass > 0 && within !== Infinity && !isThere && !isLoading) continue;
      keys[at] = named;
      found.push(server);
    }
    return found;
  }

  cachedAt(offer: Offer<Server>, { conversation, promptTokens }: Demand<Server>, now: number): number {
    const kept = this.#conversations.of(conversation);
    return kept?.work === offer.work ? cachedIn(kept, offer, promptTokens, now) : 0;
  }

  offerOf(server: Server, model: string): Offer<Server> {
    const { work, offers, evictions } = this.#standingOf(server);
    let offer = offers.get(model);
    if (offer === undefined) {
      if (offers.size >= mostOffers) this.#forgetOne(offers);
      offer = new Offer(server, model, work, this.#peersOf(model), evictions);
      offer.renew(this.#slotsFor(model, server), this.nowMs());
      offers.set(model, offer);
    }
    return offer;
  }

  isKeptAt({ work }: Offer<Server>, { conversation }: Demand<Server>): boolean {
    return this.#conversations.of(conversation)?.work === work;
  }

  keep({ work, calls }: Offer<Server>, { conversation }: Demand<Server>, tokens: number, atMs: number): void {
    this.#conversations.keep(conversation, { work, tokens, calls, atMs });
  }

  explain(server: Server, model: string): ModelFigures | undefined {
    if (server.models.names?.has(model) !== true) return undefined;
    const offer = this.offerOf(server, model);
    const now = this.nowMs();
    offer.renew(this.#slotsFor(model, server), now);
    return {
      isLoaded: offer.isThere,
      inFlight: offer.inFlight,
      slots: offer.slots,
      calls: offer.learned?.turn.count ?? 0,
      promptTokensPerSecond: 1_000 / offer.promptMs,
      answerTokensPerSecond: 1_000 / offer.answerMs,
      loadMs: offer.loadMs,
      waitMs: offer.backlogMs(now) + offer.slotWaitMs(now),
      latenessMs: offer.work.latenessMs(now),
      estimateMs: estimateOf(offer, shownTokens, 0, now) / server.terms.weight,
    };
  }

  #standingOf(server: Server): Standing<Server> {
    let standing = this.#standings.get(server);
    if (standing === undefined) {
      const offers = new Map<string, Offer<Server>>();
      standing = { work: new ServerWork(), offers, evictions: new Evictions(offers) };
      this.#standings.set(server, standing);
    }
    return standing;
  }

  /** The first that runs no call; lists hold the others. */
  #forgetOne(offers: Map<string, Offer<Server>>): void {
    for (const [model, { inFlight }] of offers)
      if (inFlight === 0) {
        offers.delete(model);
        break;
      }
    this.#having.clear();
  }

  #peersOf(model: string): Peers {
    let peers = this.#peers.get(model);
    if (peers === undefined) {
      if (this.#peers.size >= mostPeers) this.#peers.delete(this.#peers.keys().next().value as string);
      peers = new Peers();
      this.#peers.set(model, peers);
    }
    return peers;
  }
}

/** Until the first token, not divided by the weight. `queueMs`: what waits for a slot before this call. */
function estimateOf<Server extends Ranked>(
  offer: Offer<Server>,
  promptTokens: number,
  queueMs: number,
  now: number,
): number {
  const ms = offer.backlogMs(now) + promptTokens * offer.promptMs + offer.distanceMs(now) + offer.loadWaitMs(now);
  return offer.inFlight >= offer.slots ? ms + offer.slotWaitMs(now) + queueMs : ms;
}

/** The tokens of the prompt that the server probably still has in its cache. */
function cachedIn<Server extends Ranked>(kept: Kept, offer: Offer<Server>, promptTokens: number, now: number): number {
  if (offer.goneMs > kept.atMs || !offer.isThere || now - kept.atMs > cachedForMs) return 0;
  const others = offer.calls - kept.calls;
  return others > Math.max(fewestCalls, callsPerSlot * offer.slots)
    ? 0
    : Math.min(kept.tokens, Math.max(0, promptTokens - 1));
}

/** The calls that the servers with the model in memory finish in a millisecond. */
function drainOf<Server extends Ranked>(
  offers: readonly Offer<Server>[],
  { promptTokens, answerTokens }: Demand<Server>,
): number {
  let drain = 0;
  for (const offer of offers) if (offer.inFlight > 0) drain += offer.slots / offer.turnMs(promptTokens, answerTokens);
  return drain;
}

/** The place of the smallest key that is not named yet; −1 if there is none. */
function leastOf(keys: Float64Array, length: number): number {
  let best = -1;
  let least = Infinity;
  for (let at = 0; at < length; at++) {
    const key = keys[at] as number;
    if (key >= 0 && key < least) {
      best = at;
      least = key;
    }
  }
  return best;
}

/** The rank of a server that does not list the model. */
const rankOf = ({ health, models }: Ranked): number => health.rank + (models.names ? lacks : unlisted);

function lowestRank<Server extends Ranked>(servers: readonly Server[], demand: Demand<Server>): number {
  let lowest = Infinity;
  for (const server of servers) if (demand.takes(server)) lowest = Math.min(lowest, rankOf(server));
  return lowest;
}

/** Of the servers that do not list the model. */
const leastBusy = <Server extends Ranked>(servers: readonly Server[], demand: Demand<Server>, rank: number): Server[] =>
  servers.filter((server) => rankOf(server) === rank && demand.takes(server)).toSorted(byLoad);

/** For calls that take no turn at a model, such as those that ask about one. */
function byRank<Server extends Ranked>(servers: readonly Server[], model: string | undefined): Server[] {
  const rank = (server: Server): number =>
    model === undefined
      ? server.health.rank
      : server.models.names?.has(model) === true
        ? server.health.rank + (server.models.remote.has(model) ? elsewhere : 0)
        : rankOf(server);
  return servers.toSorted((a, b) => rank(a) - rank(b) || byLoad(a, b));
}

const byLoad = (a: Ranked, b: Ranked): number => loadOf(a) - loadOf(b);
const loadOf = ({ inFlight, terms }: Ranked): number => (1 + inFlight) / terms.weight;
