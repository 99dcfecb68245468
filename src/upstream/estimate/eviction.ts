// What a load would cost the other models of a server: if there is no room for one more, those that were used least recently
// leave, and a model that is in use will have to be loaded again.
import type { Evicting, Offer } from './offer.ts';
import type { Ranked } from './ranked.ts';
import type { ServerWork } from './server-work.ts';

/** A model that was used this long ago will be wanted again as often as not. */
const recentMs = 60_000;
/** And one that was used this long ago will not. */
const forgottenMs = 600_000;
/** How long a list holds while nothing happens at the server. */
const holdsMs = 1_000;
/** A server that says that it has more in memory lies: it shall cost no time. */
const mostLoaded = 64;

export class Evictions<Server extends Ranked> implements Evicting<Server> {
  readonly #offers: ReadonlyMap<string, Offer<Server>>;
  readonly #work: ServerWork;
  /** In the order in which they leave. Models that the gateway has not called leave first, and cost it nothing. */
  #victims: readonly Offer<Server>[] = none;
  /** What is free once each of them and those before it have left, and what that costs. */
  readonly #free: number[] = [];
  readonly #costMs: number[] = [];
  #freeNow = Infinity;
  #untilMs = -Infinity;
  #revision = -1;

  /** `offers`: of one server. */
  constructor(offers: ReadonlyMap<string, Offer<Server>>, work: ServerWork) {
    this.#offers = offers;
    this.#work = work;
  }

  changed(): void {
    this.#untilMs = -Infinity;
    this.#work.noteEviction(0, Infinity, -Infinity);
  }

  costMs(offer: Offer<Server>, nowMs: number): number {
    if (nowMs >= this.#untilMs || offer.server.revision !== this.#revision) this.#list(offer, nowMs);
    const { size } = offer;
    if (size === 0 || size <= this.#freeNow) return 0;
    for (let at = 0; at < this.#free.length; at++)
      if (size <= (this.#free[at] as number)) return this.#costMs[at] as number;
    return this.#costMs.at(-1) ?? 0;
  }

  begin(offer: Offer<Server>, nowMs: number): void {
    this.#list(offer, nowMs);
    let free = this.#freeNow;
    for (const [at, victim] of this.#victims.entries()) {
      if (offer.size <= free) break;
      if (victim.inFlight === 0) victim.goneMs = nowMs;
      free = this.#free[at] as number;
    }
    this.changed();
  }

  #list(offer: Offer<Server>, nowMs: number): void {
    this.#listVictims(offer, nowMs);
    this.#work.noteEviction(this.#costMs[0] ?? 0, this.#freeNow, this.#untilMs);
  }

  #listVictims({ server, work }: Offer<Server>, nowMs: number): void {
    this.#untilMs = nowMs + holdsMs;
    this.#revision = server.revision;
    this.#victims = none;
    this.#free.length = this.#costMs.length = 0;
    this.#freeNow = Infinity;
    const { loaded } = server.details;
    if (loaded === undefined || loaded.size === 0 || loaded.size > mostLoaded) return;
    let used = 0;
    let unused = 0;
    const own: Offer<Server>[] = [];
    for (const [model, bytes] of loaded) {
      const offer = this.#offers.get(model);
      if (offer === undefined) unused += bytes;
      else if (offer.isThere) own.push(offer);
      else continue;
      used += bytes;
    }
    work.roomBytes = Math.max(work.roomBytes, used);
    let free = work.roomBytes - used + unused;
    this.#freeNow = free;
    this.#victims = own.toSorted((a, b) => a.usedMs - b.usedMs);
    let costMs = 0;
    for (const victim of this.#victims) {
      const idleMs = victim.inFlight > 0 ? 0 : nowMs - victim.usedMs;
      if (idleMs < forgottenMs) costMs += victim.loadMs * (recentMs / (recentMs + idleMs));
      // Its server waits until the calls there are over.
      if (victim.inFlight > 0) costMs += Math.max(0, victim.endsMs / victim.inFlight - nowMs);
      free += victim.bytes;
      this.#free.push(free);
      this.#costMs.push(costMs);
    }
  }
}

const none: readonly never[] = [];
