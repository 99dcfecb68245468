// The policy: a call goes to the server that will probably begin its answer first. The estimate adds the wait for a slot and for
// the prompts sent there before, the load if the model is not in memory, with what that costs the models that leave, and the
// reading of the part of the prompt that the server does not have in its cache; it is divided by the server's weight. A server
// that has the conversation is preferred to one that would be a little earlier.
import type { Demand } from '../../domain/demand.ts';
import type { ModelFigures } from '../../domain/server-status.ts';
import type { Choice } from '../choice.ts';
import { type Assigning, Assignment } from './assignment.ts';
import { Conversations, Prefixes } from './conversations.ts';
import { Evictions } from './eviction.ts';
import { Peers } from './figures.ts';
import { LoadTimes } from './load-times.ts';
import { elsewhere, estimate, Offer, offerWidth } from './offer.ts';
import type { Ranked } from './ranked.ts';
import { Rows } from './rows.ts';
import { ServerWork, serverWidth } from './server-work.ts';
import { ServersByModel } from './servers-by-model.ts';
import { asGood, cachedIn, Shortlist } from './shortlist.ts';

/** Models of one server, and models of which something was learned on any. */
const mostOffers = 1_000;
const mostPeers = 4_000;
// Parts of a rank, beside those of an offer: what makes a server worse than another that is as well.
const unlisted = 1.5;
const lacks = 100;
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
  readonly loadTimes = new LoadTimes<Server>();
  readonly #slotsFor: EstimateSettings<Server>['slotsFor'];
  readonly #standings = new WeakMap<Server, Standing<Server>>();
  readonly #peers = new Map<string, Peers>();
  readonly #conversations = new Conversations();
  readonly #prefixes = new Prefixes();
  readonly #having = new ServersByModel<Server>((server, model) => this.offerOf(server, model));
  readonly #serverRows = new Rows(serverWidth);
  readonly #offerRows = new Rows(offerWidth);
  readonly #shortlist: Shortlist<Server>;

  constructor({ slotsFor, nowMs }: EstimateSettings<Server>) {
    this.#slotsFor = slotsFor;
    this.nowMs = nowMs;
    this.#shortlist = new Shortlist({
      offerRows: this.#offerRows,
      serverRows: this.#serverRows,
      conversations: this.#conversations,
      prefixes: this.#prefixes,
      renew: (offer, now) => this.#renew(offer, now),
    });
  }

  order(servers: readonly Server[], model: string | undefined, demand?: Demand<Server>): readonly Server[] {
    if (demand === undefined) return byRank(servers, model);
    const among = this.#having.of(servers, demand.model);
    const { others } = among;
    if (among.having.length === 0) return byRank(others, model);
    const list = this.#shortlist;
    // It is tried only if the server that has a slot for it fails: an estimate without the rest is good enough.
    const lowest = list.weigh(among, demand, 0, this.nowMs(), false);
    const found = list.best(among, demand, Infinity, lowest);
    list.addOthers(among, lowest, found);
    for (const server of others) found.push(server);
    return found;
  }

  ready(servers: readonly Server[], demand: Demand<Server>, ahead: number): readonly Server[] {
    const among = this.#having.of(servers, demand.model);
    const { others } = among;
    const lowest = this.#shortlist.weigh(among, demand, ahead, this.nowMs());
    if (lowest > 0 && others.length > 0) {
      const best = lowestRank(others, demand);
      if (best < lowest) return leastBusy(others, demand, best);
    }
    return lowest === Infinity ? servers : this.#shortlist.best(among, demand, asGood, lowest);
  }

  assign(server: Server, demand: Demand<Server>): Assignment<Server> {
    return new Assignment(this, server, demand);
  }

  listsChanged(): void {
    this.#having.clear();
  }

  forget(server: Server): void {
    const standing = this.#standings.get(server);
    if (standing === undefined) return;
    server.onChange = noChange;
    this.#standings.delete(server);
    standing.work.leave();
    for (const offer of standing.offers.values()) offer.leave();
    this.#having.clear();
  }

  cachedAt(offer: Offer<Server>, { conversation, prefix, promptTokens }: Demand<Server>, now: number): number {
    const kept = this.#conversations.of(conversation);
    const own = kept?.work === offer.work ? cachedIn(kept, offer, promptTokens, now) : 0;
    const shared = this.#prefixes.of(prefix).find(({ work }) => work === offer.work);
    return shared === undefined ? own : Math.max(own, cachedIn(shared, offer, promptTokens, now));
  }

  offerOf(server: Server, model: string): Offer<Server> {
    const { work, offers, evictions } = this.#standingOf(server);
    let offer = offers.get(model);
    if (offer === undefined) {
      if (offers.size >= mostOffers) this.#forgetOne(offers);
      offer = new Offer(this.#offerRows, server, model, {
        work,
        peers: this.#peersOf(model),
        evictions,
        loadTimes: this.loadTimes,
      });
      this.#renew(offer, this.nowMs());
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

  keepPrefix({ work, calls }: Offer<Server>, { prefix, prefixTokens }: Demand<Server>, atMs: number): void {
    this.#prefixes.keep(prefix, { work, tokens: prefixTokens, calls, atMs });
  }

  explain(server: Server, model: string): ModelFigures | undefined {
    if (server.models.names?.has(model) !== true) return undefined;
    const offer = this.offerOf(server, model);
    const now = this.nowMs();
    this.#renew(offer, now);
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
      estimateMs: estimateOf(offer, shownTokens, now) / server.terms.weight,
    };
  }

  #renew(offer: Offer<Server>, now: number): void {
    offer.renew(this.#slotsFor(offer.model, offer.server), now);
  }

  #standingOf(server: Server): Standing<Server> {
    let standing = this.#standings.get(server);
    if (standing === undefined) {
      const offers = new Map<string, Offer<Server>>();
      const work = new ServerWork(this.#serverRows);
      standing = { work, offers, evictions: new Evictions(offers, work) };
      this.#standings.set(server, standing);
      server.onChange = () => work.read(server);
      work.read(server);
    }
    return standing;
  }

  /** The first that runs no call; lists hold the others. */
  #forgetOne(offers: Map<string, Offer<Server>>): void {
    for (const [model, offer] of offers)
      if (offer.inFlight === 0) {
        offers.delete(model);
        offer.leave();
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

/** Until the first token, not divided by the weight. */
function estimateOf<Server extends Ranked>(offer: Offer<Server>, promptTokens: number, now: number): number {
  const { figures, at, work } = offer;
  const ms = estimate(figures, at, work.figures, work.at, { promptTokens, queueMs: 0, prices: false, nowMs: now });
  return offer.isLoading || offer.isThere ? ms : ms + offer.evictions.costMs(offer, now);
}

const noChange = (): void => undefined;

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
