// The queue in front of the models that several gates share: its state is in Redis, and each decision is a script there
// (turn-scripts.ts). Each gate says where its calls would go; the scripts decide which call is next over all gates. A call that
// finds a free slot costs one round trip. A gate that is told of a turn holds it only once Redis has confirmed that, so that a gate
// that stood still cannot use a slot that was given away meanwhile.
import type { MonotonicMs } from '../../domain/time.ts';
import type { Held, LaneNow, Place, SharedQueueSettings, Slot, Turn, TurnQueue } from '../ports/turn-queue.ts';
import type { RedisClient } from './client.ts';
import { LaneAsker, type LaneScript, type Reply, told } from './turn-asking.ts';
import { OwnTurns } from './turn-away.ts';
import { HeldSlot, Lane, Ticket, type TicketOffice } from './turn-lane.ts';
import { Presence } from './turn-presence.ts';
import * as scripts from './turn-scripts.ts';
import { wantedOf } from './turn-wanted.ts';
import { RedisEntry } from './way-in.ts';

export interface RedisQueueTools {
  readonly client: RedisClient;
  /** What the lanes are for: the same at every gate, and another one for each queue. */
  readonly lanes: string;
  /** What the queues of a gate share; its own if it is not given. */
  readonly presence?: Presence;
  /** Called with what is no outage but a fault. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds of a monotonic clock. */
  readonly nowMs?: () => number;
}

/** How many waiting calls a sweep compares with what Redis knows of them; each sweep the next ones. */
const lookedAt = 64;
/** Bounds what a sweep says. */
const heardAtOnce = 1_000;
const ticketsAtOnce = 200;

export class RedisTurnQueue<Server> implements TurnQueue<Server>, TicketOffice<Server> {
  readonly #settings: SharedQueueSettings<Server>;
  readonly #client: RedisClient;
  readonly #asker: LaneAsker<Server>;
  readonly #presence: Presence;
  readonly #isPresenceOwn: boolean;
  readonly #names: string;
  readonly #nowMs: () => number;
  readonly #lanes = new Map<string, Lane<Server>>();
  /** Lanes that only other gates use. */
  #elsewhere: LaneNow[] = [];
  #own: OwnTurns<Server>;
  readonly #pending = new Set<Promise<unknown>>();
  #isSweeping = false;
  #sweptMs: MonotonicMs = 0;

  constructor(settings: SharedQueueSettings<Server>, tools: RedisQueueTools) {
    this.#settings = settings;
    this.#client = tools.client;
    this.#names = tools.lanes;
    this.#nowMs = tools.nowMs ?? (() => performance.now());
    this.#presence = tools.presence ?? new Presence(tools.client, tools.lanes, this.#nowMs, tools.onError);
    this.#isPresenceOwn = tools.presence === undefined;
    this.#asker = new LaneAsker(tools.client, this.#presence, (lane) => this.#rejoin(lane));
    this.#own = this.#openOwn();
    this.#presence.add({
      names: tools.lanes,
      used: () => [...this.#lanes.values()].filter(({ tickets }) => tickets.size > 0).map(({ model }) => model),
      onRun: () => this.#return(),
      onAway: () => this.#stay(),
      onMessage: (message) => this.#hear(message),
    });
    void this.#tracked(this.#presence.hail());
  }

  /** @throws GatewayError `turns_unavailable`, or the promise rejects with it, if Redis is away and this gate has no share. */
  enter(model: string, turn: Turn<Server>, nowMs: MonotonicMs): Promise<Slot<Server> | Place | undefined> {
    return this.#tracked(this.#enter(new Ticket(turn, this.#laneOf(model), nowMs, this)));
  }

  /** In a Cluster the keys of an account and of a lane are at different servers. */
  prepare(model: string, turn: Turn<Server>, nowMs: MonotonicMs): RedisEntry<Server> | undefined {
    if (this.#client.isCluster || this.#presence.isAway) return undefined;
    return new RedisEntry(this.#client, () => {
      if (this.#presence.isAway) return undefined;
      const ticket = new Ticket(turn, this.#laneOf(model), nowMs, this);
      return this.#asker.entering(ticket.lane, this.#entry(ticket), (reply) => ({
        entered: this.#entered(ticket, reply),
      }));
    });
  }

  sweep(nowMs: MonotonicMs): void {
    this.#sweptMs = nowMs;
    const isLate = ({ enteredMs }: Ticket<Server>): boolean => nowMs - enteredMs >= this.#settings.maxWaitMs;
    for (const lane of this.#lanes.values())
      for (const ticket of Array.from(lane.waiting()).filter(isLate)) {
        this.leave(ticket);
        ticket.turn.refuse('queue_timeout');
      }
    if (this.#presence.isAway) this.#own.sweep(nowMs);
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    void this.#tracked(this.#sweep().finally(() => (this.#isSweeping = false)));
  }

  snapshot(): LaneNow[] {
    const own = [...this.#lanes.values()].filter(({ figures: { running, waiting } }) => running + waiting > 0);
    return [
      ...own.map(({ model, figures: { running, waiting, accounts } }) => ({ model, running, waiting, accounts })),
      ...this.#elsewhere.filter(({ model }) => !this.#lanes.has(model)),
    ];
  }

  /** Resolves when Redis has answered all that it was asked. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }

  leave(ticket: Ticket<Server>): void {
    const { lane, id, local } = ticket;
    lane.settle(ticket, 'over');
    ticket.local = undefined;
    local?.leave();
    if (this.#presence.isAway) lane.countOwn();
    else this.#do(lane, scripts.leave, () => [id]);
  }

  release(ticket: Ticket<Server>, cost: number | undefined, held: Held | undefined): void {
    const { lane, id, hold, localSlot } = ticket;
    const server = ticket.servers.get(ticket.server) as Server;
    lane.settle(ticket, 'over');
    this.#settings.trials?.giveBack(server, hold);
    if (this.#presence.isAway) {
      if (localSlot) this.#own.release(ticket, cost);
      lane.countOwn();
      return;
    }
    const figures = [String(cost ?? ''), String(held?.ms ?? ''), held?.isReported ? '1' : '0'];
    void this.#tracked(this.#asker.giveBack(lane, [id, ...figures]).then((reply) => this.#taken(lane, reply)));
  }

  /** Takes this gate off the list of those that are alive, if no other queue needs it there. */
  async close(): Promise<void> {
    await this.settled();
    if (this.#isPresenceOwn) await this.#presence.close();
  }

  async #enter(ticket: Ticket<Server>): Promise<Slot<Server> | Place | undefined> {
    const { lane } = ticket;
    lane.entering++;
    try {
      // Whatever happens to the ticket meanwhile, it is entered again until an answer says where it is.
      for (;;) {
        if (this.#presence.isAway) await this.#presence.hailing;
        if (this.#presence.isAway) return this.#enterOwn(ticket);
        const reply = await this.#asker.ask(lane, scripts.enter, () => this.#entry(ticket));
        if (reply) return this.#entered(ticket, reply);
      }
    } finally {
      lane.entering--;
    }
  }

  /** Names the ticket, and returns what Redis is told of it. */
  #entry(ticket: Ticket<Server>): readonly string[] {
    ticket.id = ticket.lane.nextId();
    ticket.wants(wantedOf(this.#settings, ticket.lane.model, ticket.turn, 0));
    return [...told(ticket), String(this.#settings.maxWaiting)];
  }

  #entered(ticket: Ticket<Server>, reply: Reply): Slot<Server> | Place | undefined {
    const { lane, turn } = ticket;
    const [what, , , , , , , , seq, where] = reply;
    if (what !== 'full') ticket.seq = seq as string;
    if (what === 'slot') {
      lane.add(ticket, 'held');
      const slot = this.#hold(ticket, where as string);
      this.#take(lane, reply);
      return slot;
    }
    if (what === 'full') {
      this.#take(lane, reply);
      return undefined;
    }
    const position = where as number;
    lane.add(ticket, 'waiting');
    ticket.position = position;
    ticket.placed(position);
    this.#take(lane, reply);
    if (lane.early.delete(ticket.id)) this.#do(lane, scripts.confirm, () => [ticket.id]);
    if (position > 1 && ticket.state === 'waiting') this.#goElsewhere(ticket, turn, position - 1);
    return ticket;
  }

  /** A newcomer with many before it may do better on a server that those do not want. */
  #goElsewhere(ticket: Ticket<Server>, turn: Turn<Server>, ahead: number): void {
    const wanted = wantedOf(this.#settings, ticket.lane.model, turn, ahead);
    if (wanted.list === ticket.list) return;
    const { list } = ticket;
    ticket.wants(wanted);
    ticket.list = list;
    this.#do(ticket.lane, scripts.elsewhere, () => [ticket.id, wanted.list]);
  }

  /** Redis is away: the call waits for a slot of this gate's share. */
  #enterOwn(ticket: Ticket<Server>): Place | undefined {
    const { lane, turn } = ticket;
    ticket.id = lane.nextId();
    ticket.wants(wantedOf(this.#settings, lane.model, turn, 0));
    lane.add(ticket, 'waiting');
    ticket.position = lane.positionOf(ticket);
    let isIn = false;
    try {
      isIn = this.#own.enter(ticket, ticket.enteredMs);
    } finally {
      if (!isIn) lane.settle(ticket, 'over');
      lane.countOwn();
    }
    return isIn ? ticket : undefined;
  }

  #hold(ticket: Ticket<Server>, name: string): HeldSlot<Server> {
    const server = ticket.servers.get(name) as Server;
    ticket.server = name;
    ticket.hold = this.#settings.trials?.take(server) ?? 0;
    return new HeldSlot(server, ticket);
  }

  #begin(ticket: Ticket<Server>, server: string): void {
    ticket.lane.settle(ticket, 'held');
    ticket.turn.start(this.#hold(ticket, server));
  }

  #refuse(ticket: Ticket<Server>): void {
    ticket.lane.settle(ticket, 'over');
    ticket.turn.refuse('queue_full');
  }

  /** Asks, and acts on what the answer says of this gate's calls. */
  #do(lane: Lane<Server>, script: LaneScript, argsOf: () => readonly string[]): void {
    void this.#tracked(this.#asker.ask(lane, script, argsOf).then((reply) => this.#taken(lane, reply)));
  }

  #taken(lane: Lane<Server>, reply: Reply | undefined): void {
    if (reply) this.#take(lane, reply);
  }

  #take(lane: Lane<Server>, [, , running, waiting, accounts, turnUs, granted, expelled]: Reply): void {
    lane.figures = { running, waiting, accounts, turnMs: turnUs < 0 ? undefined : turnUs / 1_000 };
    for (let at = 0; at < granted.length; at += 2) {
      const ticket = this.#told(lane, granted[at] as string);
      if (ticket?.state === 'waiting') this.#begin(ticket, granted[at + 1] as string);
    }
    for (const id of expelled) {
      const ticket = this.#told(lane, id);
      if (ticket?.state === 'waiting') this.#refuse(ticket);
    }
  }

  /** The ticket of which Redis says something. It says that again until it knows that this gate has heard. */
  #told(lane: Lane<Server>, id: string): Ticket<Server> | undefined {
    const ticket = lane.tickets.get(id);
    if (ticket || lane.entering === 0) lane.heard.push(id);
    else lane.early.add(id);
    return ticket;
  }

  /** Another gate's decision concerns a call of this one. */
  #hear(message: string): void {
    const id = message.slice(message.indexOf('\0') + 1);
    for (const lane of this.#lanes.values()) {
      if (lane.tickets.get(id)?.state === 'waiting') this.#do(lane, scripts.confirm, () => [id]);
      else if (lane.entering > 0 && id.startsWith(`${lane.gate}.`)) lane.early.add(id);
    }
  }

  async #sweep(): Promise<void> {
    const isLook = await this.#presence.sweep();
    if (this.#presence.isAway) return;
    await Promise.all([...this.#lanes.values()].map((lane) => this.#sweepLane(lane)));
    if (isLook) await this.#lookElsewhere();
  }

  async #sweepLane(lane: Lane<Server>): Promise<void> {
    const looked = lane.some(lookedAt);
    const heard = lane.heard.splice(0, heardAtOnce);
    lane.early.clear();
    for (const ticket of looked) this.#refresh(ticket);
    const reply = await this.#asker.ask(lane, scripts.sweep, () => [
      String(heard.length),
      ...heard,
      ...looked.flatMap(({ id, behind, weight, list }) => [id, behind ? '1' : '0', String(weight), list]),
    ]);
    if (!reply) return;
    this.#take(lane, reply);
    const [others, positions] = reply.slice(8) as [(string | number)[], number[]];
    lane.others = new Map(
      others.flatMap((each, at) => (at % 2 === 0 ? [[each as string, others[at + 1] as number]] : [])),
    );
    for (const [at, position] of positions.entries()) {
      const ticket = looked[at];
      if (ticket?.state === 'waiting' && position > 0) ticket.placed(position);
    }
    if (lane.tickets.size + lane.entering === 0) this.#lanes.delete(lane.model);
  }

  /** What is known of a waiting call may have changed: a step of the ladder, or where it would go. */
  #refresh(ticket: Ticket<Server>): void {
    ticket.weight = ticket.turn.weight;
    ticket.behind = ticket.turn.behind;
    ticket.wants(wantedOf(this.#settings, ticket.lane.model, ticket.turn, 0));
  }

  async #lookElsewhere(): Promise<void> {
    const models = this.#presence.lanesOf(this.#names).filter((model) => !this.#lanes.has(model));
    try {
      const found = await Promise.all(
        models.map((model) => this.#client.run(scripts.look, scripts.keysOfLane(this.#names, model), [])),
      );
      this.#elsewhere = models.flatMap((model, at) => {
        const [running, waiting, accounts] = found[at] as [number, number, number];
        return running + waiting > 0 ? [{ model, running, waiting, accounts }] : [];
      });
    } catch (error) {
      this.#presence.fail(error);
    }
  }

  /** Redis may know nothing of this gate's calls, or something that is no longer so: it is told again. */
  #return(): void {
    this.#own = this.#openOwn();
    for (const lane of this.#lanes.values()) {
      for (const ticket of lane.tickets.values()) ticket.local = ticket.localSlot = undefined;
      this.#rejoin(lane);
    }
  }

  /** Slots first and at once, so that none of them is given away between two parts. */
  #rejoin(lane: Lane<Server>): void {
    const before = lane.renew();
    const tickets = [...lane.tickets.values()].toSorted(
      (a, b) => Number(b.state === 'held') - Number(a.state === 'held'),
    );
    const held = tickets.filter(({ state }) => state === 'held').length;
    for (let from = 0, to = held + ticketsAtOnce; from === 0 || from < tickets.length; from = to, to += ticketsAtOnce) {
      const part = tickets.slice(from, to);
      this.#do(lane, scripts.rejoin, () => [
        from === 0 ? before : '',
        ...part
          .filter(({ id }) => lane.tickets.has(id))
          .flatMap((ticket) => [...told(ticket), ticket.seq, placeOf(ticket)]),
      ]);
      if (to >= tickets.length) break;
    }
  }

  /** Redis is away: calls that wait go on waiting here, for this gate's share. */
  #stay(): void {
    for (const lane of this.#lanes.values()) {
      for (const ticket of Array.from(lane.waiting())) this.#own.keep(ticket, this.#sweptMs);
      lane.countOwn();
    }
    void this.#tracked(this.#presence.hail());
  }

  #openOwn(): OwnTurns<Server> {
    return new OwnTurns({
      settings: this.#settings,
      presence: this.#presence,
      laneOf: (model) => this.#lanes.get(model),
      nowMs: this.#nowMs,
      begin: (ticket, server) => this.#begin(ticket, server),
      refuse: (ticket) => this.#refuse(ticket),
    });
  }

  #laneOf(model: string): Lane<Server> {
    let lane = this.#lanes.get(model);
    if (!lane) this.#lanes.set(model, (lane = new Lane(this.#names, model, this.#presence.gate)));
    return lane;
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    const over = (): void => void this.#pending.delete(work);
    this.#pending.add(work);
    work.then(over, over);
    return work;
  }
}

const placeOf = <Server>({ state, server }: Ticket<Server>): string => (state === 'held' ? server : '');
