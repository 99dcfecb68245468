// Turns while Redis is away: each gate uses its own share of the slots, which it works out as every other gate does, so that all of
// them together never use more than there are. A slot belongs to one of the gates that were alive when Redis was last heard of.
import { GatewayError } from '../../domain/error.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import { FairQueue } from '../memory/fair-queue.ts';
import type { QueueSettings, Slot, Turn } from '../ports/turn-queue.ts';
import { shareOf } from './share-of.ts';
import type { Lane, Ticket } from './turn-lane.ts';
import type { Presence } from './turn-presence.ts';

/** Redis must be away for so long first: a gate that is cut off alone for a moment must not use slots that others use. */
const sureMs = 3_000;
/** Calls that others had begun before count for so long, as nobody says when they end. */
const othersMs = 120_000;

export interface AwayTools<Server> {
  readonly settings: QueueSettings<Server> & { readonly nameOf: (server: Server) => string };
  readonly presence: Presence;
  readonly laneOf: (model: string) => Lane<Server> | undefined;
  readonly nowMs: () => number;
  readonly begin: (ticket: Ticket<Server>, server: string) => void;
  readonly refuse: (ticket: Ticket<Server>) => void;
}

export class OwnTurns<Server> {
  readonly #tools: AwayTools<Server>;
  readonly #queue: FairQueue<Server>;
  /** Held slots that were granted here, by lane and server. */
  readonly #granted = new Map<string, number>();

  constructor(tools: AwayTools<Server>) {
    const { settings } = tools;
    this.#tools = tools;
    this.#queue = new FairQueue({
      serversFor: settings.serversFor,
      slotsFor: (model, server) => this.#slotsFor(model, server),
      get maxWaiting() {
        return settings.maxWaiting;
      },
      // The queue that opened this one ends what waits for too long.
      maxWaitMs: Infinity,
    });
  }

  /** False if the queue is full. @throws GatewayError `turns_unavailable` if this gate has no share of any slot that the call may take. */
  enter(ticket: Ticket<Server>, nowMs: MonotonicMs): boolean {
    const { lane, turn } = ticket;
    const servers = this.#tools.settings.serversFor(lane.model, turn, 0);
    if (this.#isSure() && !servers.some((server) => this.#shareOf(lane.model, server) > 0))
      throw new GatewayError('turns_unavailable');
    return this.keep(ticket, nowMs);
  }

  /** The same for a call that waits already: it waits on, whatever the share. */
  keep(ticket: Ticket<Server>, nowMs: MonotonicMs): boolean {
    const own = new OwnTurn(
      ticket,
      (slot) => this.#start(ticket, slot),
      () => this.#tools.refuse(ticket),
    );
    const entered = this.#queue.enter(ticket.lane.model, own, nowMs);
    if (entered === undefined) return false;
    if (entered.kind === 'slot') this.#start(ticket, entered);
    else ticket.local = entered;
    return true;
  }

  /** A slot that was granted here is free again. */
  release({ lane, server, localSlot }: Ticket<Server>, cost: number | undefined): void {
    if (localSlot === undefined) return;
    const key = `${lane.model}\0${server}`;
    this.#granted.set(key, (this.#granted.get(key) ?? 1) - 1);
    localSlot.release(cost);
  }

  sweep(nowMs: MonotonicMs): void {
    this.#queue.sweep(nowMs);
  }

  #start(ticket: Ticket<Server>, slot: Slot<Server>): void {
    const server = this.#tools.settings.nameOf(slot.server);
    const key = `${ticket.lane.model}\0${server}`;
    this.#granted.set(key, (this.#granted.get(key) ?? 0) + 1);
    ticket.localSlot = slot;
    ticket.local = undefined;
    ticket.servers.set(server, slot.server);
    this.#tools.begin(ticket, server);
  }

  #isSure(): boolean {
    return this.#awayMs() >= sureMs;
  }

  #awayMs(): number {
    const { nowMs, presence } = this.#tools;
    return nowMs() - (presence.awaySinceMs ?? nowMs());
  }

  /** What is left of the share: less what this gate holds from before, and what others may hold beyond their own shares. */
  #slotsFor(model: string, server: Server): number {
    if (!this.#isSure()) return 0;
    const { laneOf, settings } = this.#tools;
    const share = this.#shareOf(model, server);
    const lane = laneOf(model);
    if (lane === undefined) return share;
    const name = settings.nameOf(server);
    const granted = this.#granted.get(`${model}\0${name}`) ?? 0;
    const before = lane.heldOn(name) - granted;
    const others = this.#awayMs() < othersMs ? (lane.others.get(name) ?? 0) : 0;
    const beyond = Math.max(0, others - (settings.slotsFor(model, server) - share));
    return share - before - beyond;
  }

  #shareOf(model: string, server: Server): number {
    const { presence, settings } = this.#tools;
    // The others would not count on it, and use its share.
    if (!presence.isKnown) return 0;
    const slots = settings.slotsFor(model, server);
    return shareOf(presence.alive, presence.gate, `${model}\0${settings.nameOf(server)}`, slots);
  }
}

/** A call that waits among this gate's own. */
class OwnTurn<Server> implements Turn<Server> {
  readonly #turn: Turn<Server>;
  readonly start: (slot: Slot<Server>) => void;
  readonly refuse: () => void;

  constructor(ticket: Ticket<Server>, start: (slot: Slot<Server>) => void, refuse: () => void) {
    this.#turn = ticket.turn;
    this.start = start;
    this.refuse = refuse;
  }

  get accountId(): string {
    return this.#turn.accountId;
  }

  get cost(): number {
    return this.#turn.cost;
  }

  get most(): number {
    return this.#turn.most;
  }

  get weight(): number {
    return this.#turn.weight;
  }

  get behind(): boolean {
    return this.#turn.behind;
  }

  get reach(): Turn<Server>['reach'] {
    return this.#turn.reach;
  }

  get demand(): Turn<Server>['demand'] {
    return this.#turn.demand;
  }
}
