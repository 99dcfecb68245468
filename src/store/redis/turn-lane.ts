// A model's lane as one gate knows it: the calls of this gate with their places and slots, and the figures of all gates as of the last
// answer of Redis.
import type { MonotonicMs } from '../../domain/time.ts';
import type { Held, Place, Slot, Turn } from '../ports/turn-queue.ts';
import { keysOfLane } from './turn-scripts.ts';
import type { Wanted } from './turn-wanted.ts';

export interface LaneFigures {
  readonly running: number;
  readonly waiting: number;
  readonly accounts: number;
  /** How long a turn lasts; undefined while none has shown it. */
  readonly turnMs: number | undefined;
}

let epochs = 0;

export class Lane<Server> {
  readonly model: string;
  readonly keys: readonly string[];
  /** Names the gate here; what Redis knows under an earlier name counts for nothing. */
  gate: string;
  /** Calls of this gate that wait or hold a slot, by the names of their tickets, in order of arrival. */
  readonly tickets = new Map<string, Ticket<Server>>();
  figures: LaneFigures = { running: 0, waiting: 0, accounts: 0, turnMs: undefined };
  /** Calls on their way to Redis. */
  entering = 0;
  /** Grants and refusals that have arrived, for Redis to know. */
  heard: string[] = [];
  /** Tickets of which the gate heard while calls are on their way, and which it does not know: the answer that names one may still come. */
  readonly early = new Set<string>();
  /** Slots that other gates hold, by server. */
  others: ReadonlyMap<string, number> = new Map();
  readonly #name: string;
  /** Waiting calls of this gate, by account. */
  readonly #waiting = new Map<string, Ticket<Server>[]>();
  #tickets = 0;
  #looked = 0;

  constructor(lanes: string, model: string, gate: string) {
    this.model = model;
    this.keys = keysOfLane(lanes, model);
    this.#name = gate;
    this.gate = `${gate}#${++epochs}`;
  }

  /** The gate gets another name here, and its tickets too. Returns the name before. */
  renew(): string {
    const before = this.gate;
    this.gate = `${this.#name}#${++epochs}`;
    this.heard = [];
    this.early.clear();
    const tickets = [...this.tickets.values()];
    this.tickets.clear();
    for (const ticket of tickets) {
      ticket.id = this.nextId();
      this.tickets.set(ticket.id, ticket);
    }
    return before;
  }

  nextId(): string {
    return `${this.gate}.${++this.#tickets}`;
  }

  add(ticket: Ticket<Server>, state: 'waiting' | 'held'): void {
    ticket.state = state;
    this.tickets.set(ticket.id, ticket);
    if (state === 'held') return;
    const { accountId } = ticket.turn;
    const others = this.#waiting.get(accountId);
    if (others) others.push(ticket);
    else this.#waiting.set(accountId, [ticket]);
  }

  /** The call waits no longer. */
  settle(ticket: Ticket<Server>, state: 'held' | 'over'): void {
    if (ticket.state === 'waiting') this.#unwait(ticket);
    ticket.state = state;
    if (state === 'over') this.tickets.delete(ticket.id);
  }

  *waiting(): Generator<Ticket<Server>> {
    for (const tickets of this.#waiting.values()) yield* tickets;
  }

  /** Some of those that wait: each of them in turn. */
  some(most: number): Ticket<Server>[] {
    const all = [...this.waiting()];
    if (all.length <= most) return all;
    const from = this.#looked % all.length;
    this.#looked = from + most;
    return [...all.slice(from, from + most), ...all.slice(0, Math.max(0, from + most - all.length))];
  }

  /** Among the calls of this gate. */
  positionOf(ticket: Ticket<Server>): number {
    const { accountId } = ticket.turn;
    const ahead = Math.max(0, this.#waiting.get(accountId)?.indexOf(ticket) ?? 0);
    let before = ahead;
    for (const [account, tickets] of this.#waiting)
      if (account !== accountId) before += Math.min(tickets.length, ahead + 1);
    return before + 1;
  }

  /** Slots that this gate holds on the server. */
  heldOn(server: string): number {
    let held = 0;
    for (const ticket of this.tickets.values()) if (ticket.state === 'held' && ticket.server === server) held++;
    return held;
  }

  /** Counts what this gate alone knows, while Redis is away. */
  countOwn(): void {
    const waiting = [...this.waiting()].length;
    this.figures = {
      ...this.figures,
      running: this.tickets.size - waiting,
      waiting,
      accounts: this.#waiting.size,
    };
  }

  #unwait(ticket: Ticket<Server>): void {
    const { accountId } = ticket.turn;
    const others = this.#waiting.get(accountId);
    const at = others?.indexOf(ticket) ?? -1;
    if (others === undefined || at < 0) return;
    others.splice(at, 1);
    if (others.length === 0) this.#waiting.delete(accountId);
  }
}

/** What a ticket asks of the queue that made it. */
export interface TicketOffice<Server> {
  leave(ticket: Ticket<Server>): void;
  release(ticket: Ticket<Server>, cost: number | undefined, held: Held | undefined): void;
}

export class Ticket<Server> implements Place {
  readonly kind = 'place';
  readonly turn: Turn<Server>;
  readonly lane: Lane<Server>;
  readonly enteredMs: MonotonicMs;
  state: 'entering' | 'waiting' | 'held' | 'over' = 'entering';
  /** Its name in Redis; another one each time that the gate joins again. */
  id = '';
  /** Its number in the order of all gates; 0 if Redis has not given it one. */
  seq = '0';
  position = 0;
  /** What Redis was last told. */
  cost: number;
  weight: number;
  behind: boolean;
  list = '';
  /** Every server of which Redis was told. */
  readonly servers = new Map<string, Server>();
  /** Where it holds a slot. */
  server = '';
  /** Its place or slot among this gate's own, while Redis is away. */
  local: Pick<Place, 'leave'> | undefined;
  localSlot: Slot<Server> | undefined;
  /** How much farther back it is than calls of this gate show. */
  farther = 0;
  hold = 0;
  readonly #office: TicketOffice<Server>;

  constructor(turn: Turn<Server>, lane: Lane<Server>, enteredMs: MonotonicMs, office: TicketOffice<Server>) {
    this.turn = turn;
    this.lane = lane;
    this.enteredMs = enteredMs;
    this.cost = turn.cost;
    this.weight = turn.weight;
    this.behind = turn.behind;
    this.#office = office;
  }

  look(): ReturnType<Place['look']> {
    const position = Math.max(1, this.lane.positionOf(this) + this.farther);
    const { turnMs, running } = this.lane.figures;
    return { position, leftMs: turnMs === undefined ? undefined : (position * turnMs) / Math.max(1, running) };
  }

  /** Its position over all gates, as of now. */
  placed(position: number): void {
    this.farther = position - this.lane.positionOf(this);
  }

  wants({ list, servers }: Wanted<Server>): void {
    this.list = list;
    for (const [name, server] of servers) this.servers.set(name, server);
  }

  leave(): void {
    if (this.state === 'waiting') this.#office.leave(this);
  }

  release(cost: number | undefined, held?: Held): void {
    if (this.state === 'held') this.#office.release(this, cost, held);
  }
}

export class HeldSlot<Server> implements Slot<Server> {
  readonly kind = 'slot';
  readonly server: Server;
  readonly #ticket: Ticket<Server>;

  constructor(server: Server, ticket: Ticket<Server>) {
    this.server = server;
    this.#ticket = ticket;
  }

  release(cost: number | undefined, held?: Held): void {
    this.#ticket.release(cost, held);
  }
}
