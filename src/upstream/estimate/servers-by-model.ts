// The servers that have a model, found once and kept until a list changes. Callers who may reach the same servers share an
// array of them, so the array is the key; an array that is replaced is forgotten with all that was found for it.
import type { Offer } from './offer.ts';
import type { Ranked } from './ranked.ts';

export interface Having<Server extends Ranked> {
  /** The servers that list the model, and in the same order what they offer. */
  readonly having: readonly Server[];
  readonly offers: readonly Offer<Server>[];
  /** Where the rows of their offers and their own begin. */
  readonly offerRows: Int32Array;
  readonly serverRows: Int32Array;
  /** Those that do not, or whose list is unknown. */
  readonly others: readonly Server[];
}

/** Models that no server has are not kept, because callers can request any name. */
const mostModels = 2_000;

export class ServersByModel<Server extends Ranked> {
  readonly #offerOf: (server: Server, model: string) => Offer<Server>;
  #kept = new WeakMap<readonly Server[], Map<string, Having<Server>>>();

  constructor(offerOf: (server: Server, model: string) => Offer<Server>) {
    this.#offerOf = offerOf;
  }

  of(servers: readonly Server[], model: string): Having<Server> {
    const kept = this.#kept.get(servers)?.get(model);
    return kept ?? this.#find(servers, model);
  }

  /** Call when a list of models has changed, or rows have. */
  clear(): void {
    this.#kept = new WeakMap();
  }

  #find(servers: readonly Server[], model: string): Having<Server> {
    const having: Server[] = [];
    const others: Server[] = [];
    for (const server of servers) (server.models.names?.has(model) === true ? having : others).push(server);
    const offers = having.map((server) => this.#offerOf(server, model));
    const offerRows = Int32Array.from(offers, ({ at }) => at);
    const serverRows = Int32Array.from(offers, ({ work }) => work.at);
    const found = { having, offers, offerRows, serverRows, others };
    if (offers.length === 0) return found;
    let kept = this.#kept.get(servers);
    if (kept === undefined || kept.size >= mostModels) this.#kept.set(servers, (kept = new Map()));
    kept.set(model, found);
    return found;
  }
}
