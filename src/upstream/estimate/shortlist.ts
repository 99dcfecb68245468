// The servers in question for one call, with an estimate each. Rows of figures are read for all of them (rows.ts); what would
// need more than that is found out only of those that look best: whether a server may have the call, and what a load there would
// cost its other models.
import type { Demand } from '../../domain/demand.ts';
import type { Conversations, Kept, Prefixes } from './conversations.ts';
import { estimate, inOffer, isOutdated, leastEviction, type Offer, rankIn, type Terms } from './offer.ts';
import type { Ranked } from './ranked.ts';
import type { Rows } from './rows.ts';
import type { Having } from './servers-by-model.ts';

/** An estimate this many times the best is as good, if its server has the conversation or a free slot. */
export const asGood = 1.25;
/** Of several that are as good, so many are named. */
const mostNamed = 4;
/** A cache keeps a text for a while, and while fewer than so many calls for each slot came after it. */
const cachedForMs = 600_000;
const callsPerSlot = 2;
const fewestCalls = 4;
/** Beyond every estimate, so that a rank decides first. */
const rankMs = 1e12;
/** Ranks differ by at least this. */
const rankStep = 0.25;
/** The key of an offer that is named already. */
const named = -1;
/** What is not known of an offer yet: whether it may have the call, and what its load costs other models. */
const unasked = 1;
const unpriced = 2;
/** After so many offers that turned out to be worse, all are settled at once. */
const mostSettled = 16;

export interface ShortlistTools<Server extends Ranked> {
  readonly offerRows: Rows;
  readonly serverRows: Rows;
  readonly conversations: Conversations;
  readonly prefixes: Prefixes;
  readonly renew: (offer: Offer<Server>, nowMs: number) => void;
}

/** One for all calls: a decision is made from its `weigh` on, without a pause. */
export class Shortlist<Server extends Ranked> {
  readonly #tools: ShortlistTools<Server>;
  // Of the offers in question, in their order.
  /** Their ranks and estimates as one figure, as low as it can be while something is open. */
  #keys = new Float64Array(16);
  #open = new Uint8Array(16);
  /** The place of the one that has the conversation, or else its beginning; −1 if none has. */
  #keptAt = -1;
  #nowMs = 0;

  constructor(tools: ShortlistTools<Server>) {
    this.#tools = tools;
  }

  /**
   * Estimates every offer. Returns the rank of the best; Infinity if none may have the call. `prices`: with what loads cost other
   * models.
   */
  weigh(among: Having<Server>, demand: Demand<Server>, ahead: number, now: number, prices = true): number {
    this.#nowMs = now;
    const { offers, offerRows, serverRows } = among;
    const count = offers.length;
    if (this.#keys.length < count) {
      this.#keys = new Float64Array(2 * count);
      this.#open = new Uint8Array(2 * count);
    }
    const { offerRows: ofOffers, serverRows: ofServers, renew } = this.#tools;
    for (let at = 0; at < count; at++)
      if (isOutdated(ofOffers.figures, offerRows[at] as number, ofServers.figures, serverRows[at] as number, now))
        renew(offers[at] as Offer<Server>, now);
    const drain = ahead > 0 ? drainOf(offers, demand) : 0;
    const terms = { promptTokens: demand.promptTokens, queueMs: drain > 0 ? ahead / drain : 0, prices, nowMs: now };
    this.#open.fill(prices ? unasked + unpriced : unasked, 0, count);
    writeKeys(this.#keys, among, ofOffers.figures, ofServers.figures, terms);
    this.#creditCache(among, demand, now);
    const best = this.#least(among, demand);
    return best < 0 ? Infinity : rankOfKey(this.#keys[best] as number);
  }

  /** A server that has the conversation, or a text that it shares with others, need not read all of it. */
  #creditCache(among: Having<Server>, demand: Demand<Server>, now: number): void {
    this.#keptAt = -1;
    const own = this.#tools.conversations.of(demand.conversation);
    if (own !== undefined) this.#keptAt = this.#credit(own, among, demand, 0, now);
    const hasOwn = this.#keptAt >= 0;
    for (const shared of this.#tools.prefixes.of(demand.prefix)) {
      const isOwn = hasOwn && shared.work === own?.work;
      const at = this.#credit(shared, among, demand, isOwn ? own.tokens : 0, now);
      if (hasOwn || at < 0) continue;
      // Of several, the one that begins first.
      const best = this.#keptAt;
      if (best < 0 || (this.#keys[at] as number) < (this.#keys[best] as number)) this.#keptAt = at;
    }
  }

  /** Returns the place of its server; −1 if it is not among them. `credited`: tokens of the text that are counted already. */
  #credit(
    kept: Kept,
    { offers, serverRows }: Having<Server>,
    { promptTokens }: Demand<Server>,
    credited: number,
    now: number,
  ): number {
    const at = serverRows.indexOf(kept.work.at);
    const offer = offers[at];
    if (offer === undefined || offer.work !== kept.work) return -1;
    const savedMs = Math.max(0, cachedIn(kept, offer, promptTokens, now) - credited) * offer.promptMs;
    this.#keys[at] = Math.max(0, (this.#keys[at] as number) - savedMs / offer.weight);
    return at;
  }

  /** The place of the smallest key that is not named yet; −1 if there is none. */
  #least(among: Having<Server>, demand: Demand<Server>): number {
    const keys = this.#keys;
    for (let round = 0; ; round++) {
      const at = leastOf(keys, among.offers.length);
      if (at < 0 || this.#settle(at, among, demand)) return at;
      if (round === mostSettled)
        for (let each = 0; each < among.offers.length; each++)
          if (keys[each] !== named) this.#settle(each, among, demand);
    }
  }

  /** Finds out what is not known of an offer yet. False if its key is higher now. */
  #settle(at: number, { having, offers }: Having<Server>, demand: Demand<Server>): boolean {
    const keys = this.#keys;
    const open = this.#open[at] as number;
    if (open === 0) return true;
    this.#open[at] = 0;
    if (!demand.takes(having[at] as Server)) {
      keys[at] = Infinity;
      return false;
    }
    const offer = offers[at] as Offer<Server>;
    if (open === unasked || offer.isLoading || offer.isThere) return true;
    const { work } = offer;
    const leastMs = leastEviction(offer.figures, offer.at, work.figures, work.at, this.#nowMs);
    const moreMs = offer.evictions.costMs(offer, this.#nowMs) - leastMs;
    keys[at] = (keys[at] as number) + moreMs / offer.weight;
    return moreMs <= 0;
  }

  /**
   * The best servers, best first, and before them the one with the conversation if it is as good. `within`: how many times
   * the best estimate the others may have; `rank`: of the best.
   */
  best(among: Having<Server>, demand: Demand<Server>, within: number, rank: number): Server[] {
    const keys = this.#keys;
    const kept = this.#keptAt;
    // The part of the keys that is no estimate.
    const base = rank * rankMs;
    const found: Server[] = [];
    let bound = Infinity;
    for (let pass = 0; pass < mostNamed; pass++) {
      const at = this.#least(among, demand);
      const key = at < 0 ? Infinity : (keys[at] as number);
      if (key === Infinity || key > bound) break;
      if (pass === 0) {
        bound = base + (key - base) * within;
        if (kept >= 0 && kept !== at) {
          this.#settle(kept, among, demand);
          if ((keys[kept] as number) <= base + (key - base) * asGood) {
            keys[kept] = named;
            found.push(among.having[kept] as Server);
          }
        }
      }
      const { isThere: isWarm, isLoading } = among.offers[at] as Offer<Server>;
      // A load is begun only where nothing is better.
      if (pass > 0 && within !== Infinity && !isWarm && !isLoading) break;
      keys[at] = named;
      found.push(among.having[at] as Server);
    }
    return found;
  }

  /**
   * Adds the servers that are not named yet, those of this rank first. They are tried only if the others fail, so they need not
   * be in the order of their estimates.
   */
  addOthers({ having }: Having<Server>, rank: number, found: Server[]): void {
    const keys = this.#keys;
    const bound = (rank + rankStep) * rankMs;
    for (let at = 0; at < having.length; at++)
      if (keys[at] !== named && (keys[at] as number) < bound) found.push(having[at] as Server);
    for (let at = 0; at < having.length; at++)
      if (keys[at] !== named && !((keys[at] as number) < bound)) found.push(having[at] as Server);
  }
}

/** A function of its own, so that the engine puts together all that it calls for each row. */
function writeKeys(
  keys: Float64Array,
  { offerRows, serverRows }: Pick<Having<Ranked>, 'offerRows' | 'serverRows'>,
  ofOffers: Float64Array,
  ofServers: Float64Array,
  terms: Terms,
): void {
  const { promptTokens } = terms;
  for (let at = 0; at < offerRows.length; at++) {
    const o = offerRows[at] as number;
    const s = serverRows[at] as number;
    const ms = estimate(ofOffers, o, ofServers, s, terms);
    keys[at] = rankIn(ofOffers, o, ofServers, s, promptTokens) * rankMs + ms / (ofOffers[o + inOffer.weight] as number);
  }
}

const rankOfKey = (key: number): number => Math.floor(key / (rankMs * rankStep)) * rankStep;

/** The tokens of the prompt that the server probably still has in its cache. */
export function cachedIn<Server extends Ranked>(
  kept: Kept,
  offer: Offer<Server>,
  promptTokens: number,
  now: number,
): number {
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

/** The place of the smallest key from 0 on; −1 if there is none. */
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
