// Decides whose turn it is at a model. Each model has a number of slots on each server; a call that finds none free
// waits, and free slots go to the account that was served least, in tokens divided by its weight, not to the one with
// the most calls. Within an account, first come, first served. Idle capacity goes to any account that waits.
//
// The arithmetic is start-time fair queueing (Goyal, Vin, Cheng 1996) with one clock per account: `served` grows by
// tokens ÷ weight with every turn and is corrected when the actual figure is known; an account that returns starts at
// the lane's virtual time, so that absence does not accumulate turns. Bounded in length and in time. When the queue is
// full, the account with the most waiting calls loses its last place to one with fewer, so that no account can lock
// others out by filling it.
import type { MonotonicMs } from '../../domain/time.ts';
import type { Held, LaneNow, Place, QueueSettings, Slot, Turn, TurnQueue } from '../ports/turn-queue.ts';

interface Flow<Server> {
  readonly accountId: string;
  served: number;
  running: number;
  readonly waiting: LanePlace<Server>[];
}

interface Lane<Server> {
  readonly model: string;
  /** Taken slots, by server. */
  readonly busy: Map<Server, number>;
  readonly flows: Map<string, Flow<Server>>;
  /** Flows with waiting calls. */
  readonly backlogged: Set<Flow<Server>>;
  virtual: number;
  waiting: number;
  running: number;
  /** Recent turns whose cost was reported, their tokens and durations; older ones decay. */
  turns: number;
  tokens: number;
  ms: number;
}

class LanePlace<Server> implements Place {
  readonly kind = 'place';
  readonly turn: Turn<Server>;
  readonly flow: Flow<Server>;
  readonly lane: Lane<Server>;
  readonly enteredMs: MonotonicMs;
  readonly position: number;

  constructor(turn: Turn<Server>, flow: Flow<Server>, lane: Lane<Server>, enteredMs: MonotonicMs) {
    this.turn = turn;
    this.flow = flow;
    this.lane = lane;
    this.enteredMs = enteredMs;
    this.position = positionOf(lane, flow, flow.waiting.length);
  }

  look(): ReturnType<Place['look']> {
    const { lane, flow } = this;
    const position = positionOf(lane, flow, Math.max(0, flow.waiting.indexOf(this)));
    // Slots are free one after the other.
    return {
      position,
      leftMs: lane.turns > 0 ? (position * lane.ms) / lane.turns / Math.max(1, lane.running) : undefined,
    };
  }

  leave(): void {
    take(this);
  }
}

class LaneSlot<Server> implements Slot<Server> {
  readonly kind = 'slot';
  readonly server: Server;
  #release: ((cost: number | undefined, held: Held | undefined) => void) | undefined;

  constructor(server: Server, release: (cost: number | undefined, held: Held | undefined) => void) {
    this.server = server;
    this.#release = release;
  }

  release(cost: number | undefined, held?: Held): void {
    const release = this.#release;
    this.#release = undefined;
    release?.(cost, held);
  }
}

export class FairQueue<Server> implements TurnQueue<Server> {
  readonly #settings: QueueSettings<Server>;
  readonly #lanes = new Map<string, Lane<Server>>();

  constructor(settings: QueueSettings<Server>) {
    this.#settings = settings;
  }

  enter(model: string, turn: Turn<Server>, nowMs: MonotonicMs): Slot<Server> | Place | undefined {
    const lane = this.#lane(model);
    const flow = flowOf(lane, turn.accountId);
    if (lane.waiting === 0) {
      const server = this.#freeServer(lane, turn, 0);
      if (server !== undefined) {
        flow.served = Math.max(flow.served, lane.virtual);
        return this.#grant(lane, flow, turn, server);
      }
    }
    if (lane.waiting >= this.#settings.maxWaiting && !makeRoom(lane, flow, turn)) return undefined;
    if (flow.waiting.length === 0) {
      flow.served = Math.max(flow.served, lane.virtual);
      lane.backlogged.add(flow);
    }
    const place = new LanePlace(turn, flow, lane, nowMs);
    flow.waiting.push(place);
    lane.waiting++;
    // A server may have become available since the others began to wait.
    this.#fill(lane);
    this.#goElsewhere(place);
    return place;
  }

  sweep(nowMs: MonotonicMs): void {
    for (const lane of this.#lanes.values()) {
      const late: LanePlace<Server>[] = [];
      for (const { waiting } of lane.backlogged)
        late.push(...waiting.filter(({ enteredMs }) => nowMs - enteredMs >= this.#settings.maxWaitMs));
      for (const place of late) if (take(place)) place.turn.refuse('queue_timeout');
      this.#fill(lane);
      if (lane.waiting + lane.running === 0) this.#lanes.delete(lane.model);
      else
        for (const flow of lane.flows.values())
          if (flow.running + flow.waiting.length === 0 && flow.served <= lane.virtual)
            lane.flows.delete(flow.accountId);
    }
  }

  snapshot(): LaneNow[] {
    return [...this.#lanes.values()].map(({ model, running, waiting, backlogged }) => ({
      model,
      running,
      waiting,
      accounts: backlogged.size,
    }));
  }

  #lane(model: string): Lane<Server> {
    let lane = this.#lanes.get(model);
    if (!lane) {
      lane = {
        model,
        busy: new Map(),
        flows: new Map(),
        backlogged: new Set(),
        virtual: 0,
        waiting: 0,
        running: 0,
        turns: 0,
        tokens: 0,
        ms: 0,
      };
      this.#lanes.set(model, lane);
    }
    return lane;
  }

  #freeServer(lane: Lane<Server>, turn: Turn<Server>, ahead: number): Server | undefined {
    for (const server of this.#settings.serversFor(lane.model, turn, ahead))
      if ((lane.busy.get(server) ?? 0) < this.#settings.slotsFor(lane.model, server)) return server;
    return undefined;
  }

  #grant(lane: Lane<Server>, flow: Flow<Server>, turn: Turn<Server>, server: Server): Slot<Server> {
    lane.virtual = Math.max(lane.virtual, flow.served);
    // The weight may change before the turn ends.
    const { weight } = turn;
    flow.served += turn.cost / weight;
    flow.running++;
    lane.running++;
    lane.busy.set(server, (lane.busy.get(server) ?? 0) + 1);
    const { trials } = this.#settings;
    const hold = trials?.take(server) ?? 0;
    return new LaneSlot(server, (cost, held) => {
      freeSlot(lane.busy, server);
      trials?.giveBack(server, hold);
      lane.running--;
      flow.running--;
      if (cost !== undefined) flow.served += (settledCost(lane, turn, cost, held) - turn.cost) / weight;
      this.#fill(lane);
    });
  }

  /** Serves waiting calls while there are free slots that they may have. */
  #fill(lane: Lane<Server>): void {
    while (lane.waiting > 0) {
      let place = nextPlace(lane);
      let server = this.#freeServer(lane, place.turn, 0);
      if (server === undefined) {
        const elsewhere = this.#nextElsewhere(lane, place.turn.reach);
        if (!elsewhere) return;
        place = elsewhere;
        server = this.#freeServer(lane, place.turn, 0);
        // Turns with the same reach can differ in what is best for them.
        if (server === undefined) return;
      }
      take(place);
      place.turn.start(this.#grant(lane, place.flow, place.turn, server));
    }
  }

  /**
   * A newcomer with many before it may do better on a server that those do not want, such as one that has to load the model
   * first. It delays none of them.
   */
  #goElsewhere(place: LanePlace<Server>): void {
    const { lane, flow, turn, position } = place;
    if (position < 2 || !flow.waiting.includes(place)) return;
    const server = this.#freeServer(lane, turn, position - 1);
    if (server === undefined) return;
    take(place);
    turn.start(this.#grant(lane, flow, turn, server));
  }

  /** The next of those that may go to other servers than these, and find a slot there. */
  #nextElsewhere(lane: Lane<Server>, reach: readonly Server[] | undefined): LanePlace<Server> | undefined {
    // Most calls may go to the same servers as others that wait.
    const free = new Map<readonly Server[] | undefined, boolean>([[reach, false]]);
    return bestPlace(lane, ({ turn }) => {
      const own = turn.reach;
      let isFree = free.get(own);
      if (isFree === undefined) free.set(own, (isFree = this.#freeServer(lane, turn, 0) !== undefined));
      return isFree;
    });
  }
}

/** A server without taken slots is removed from the map, since it may never return. */
function freeSlot<Server>(busy: Map<Server, number>, server: Server): void {
  const left = (busy.get(server) as number) - 1;
  if (left > 0) busy.set(server, left);
  else busy.delete(server);
}

/** Tokens per millisecond in a lane before any turn has reported its cost. */
const firstPace = 0.02;
const fading = 0.9;

/**
 * What a turn counts for. A turn without figures (its caller cancelled it, the server failed, or its kind has none,
 * such as an image) occupied the model all the same: it counts for what that time has recently cost others, and at most
 * for what it could have cost. Otherwise such calls could take most of the turns.
 */
function settledCost<Server>(lane: Lane<Server>, { most }: Turn<Server>, cost: number, held: Held | undefined): number {
  if (held === undefined) return cost;
  const pace = lane.ms > 0 ? lane.tokens / lane.ms : firstPace;
  if (!held.isReported) return Math.max(cost, Math.min(most, held.ms * pace));
  lane.turns = lane.turns * fading + 1;
  lane.tokens = lane.tokens * fading + cost;
  lane.ms = lane.ms * fading + Math.max(1, held.ms);
  return cost;
}

function flowOf<Server>(lane: Lane<Server>, accountId: string): Flow<Server> {
  let flow = lane.flows.get(accountId);
  if (!flow) {
    flow = { accountId, served: lane.virtual, running: 0, waiting: [] };
    lane.flows.set(accountId, flow);
  }
  return flow;
}

/**
 * Calls that are not behind come first, then those of the account that was served least, then the earliest. A step can
 * apply to a single key: its calls delay neither other callers nor other keys of the account.
 */
const nextPlace = <Server>(lane: Lane<Server>): LanePlace<Server> => bestPlace(lane) as LanePlace<Server>;

function bestPlace<Server>(
  lane: Lane<Server>,
  isMeant?: (place: LanePlace<Server>) => boolean,
): LanePlace<Server> | undefined {
  let best: LanePlace<Server> | undefined;
  let bestBehind = false;
  for (const flow of lane.backlogged) {
    const place = foremost(flow, isMeant);
    if (!place) continue;
    const { behind } = place.turn;
    if (best === undefined || (bestBehind && !behind) || (bestBehind === behind && flow.served < best.flow.served)) {
      best = place;
      bestBehind = behind;
    }
  }
  return best;
}

/** Of those that are meant, the first place that is not behind, otherwise the first. Calls of one account may differ in their reach. */
function foremost<Server>(
  { waiting }: Flow<Server>,
  isMeant?: (place: LanePlace<Server>) => boolean,
): LanePlace<Server> | undefined {
  const first = isMeant ? waiting.find(isMeant) : waiting[0];
  if (!first?.turn.behind) return first;
  return waiting.find((place) => !place.turn.behind && (!isMeant || isMeant(place))) ?? first;
}

/** Removes a place from the queue; false if it is no longer there. */
function take<Server>(place: LanePlace<Server>): boolean {
  const { lane, flow } = place;
  const at = flow.waiting.indexOf(place);
  if (at < 0) return false;
  flow.waiting.splice(at, 1);
  lane.waiting--;
  if (flow.waiting.length === 0) lane.backlogged.delete(flow);
  return true;
}

/**
 * With equal costs, accounts take turns, so each other account is served at most this place's rank times before it. `ahead`:
 * calls of its own account that wait before it.
 */
function positionOf<Server>(lane: Lane<Server>, flow: Flow<Server>, ahead: number): number {
  const rank = ahead + 1;
  let before = ahead;
  for (const other of lane.backlogged) if (other !== flow) before += Math.min(other.waiting.length, rank);
  return before + 1;
}

/**
 * For a place that is not behind, removes the last place that is; otherwise the last place of the account with the most
 * waiting calls, if those are more than the newcomer would have. A place that is behind never displaces one that is
 * not.
 */
function makeRoom<Server>(lane: Lane<Server>, newcomer: Flow<Server>, { behind }: Turn<Server>): boolean {
  const last = (behind ? undefined : lastPlace(lane, true, 0)) ?? lastPlace(lane, behind, newcomer.waiting.length + 1);
  if (last === undefined) return false;
  take(last);
  last.turn.refuse('queue_full');
  return true;
}

/** The last place of that standing, of the account with the most waiting calls, and more than `beyond`. */
function lastPlace<Server>(lane: Lane<Server>, behind: boolean, beyond: number): LanePlace<Server> | undefined {
  let most = beyond;
  let last: LanePlace<Server> | undefined;
  for (const { waiting } of lane.backlogged) {
    if (waiting.length <= most) continue;
    const place = waiting.findLast(({ turn }) => turn.behind === behind);
    if (place === undefined) continue;
    most = waiting.length;
    last = place;
  }
  return last;
}
