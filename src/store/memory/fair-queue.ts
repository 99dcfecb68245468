// Whose turn it is at a model. Each model has so many slots on each server; who finds none free waits, and slots that
// come free go to the account that has had least so far, in tokens by its weight, not to the one that asked most.
// Within an account it is first come, first served. Capacity that nobody else wants goes to whoever waits.
//
// The arithmetic is start-time fair queueing (Goyal, Vin, Cheng 1996) with one clock an account: `served` grows by
// tokens ÷ weight with every turn and is put right when the real figure is known; an account that comes back starts at
// the lane's virtual time, so that nobody saves up turns by staying away.
// Bounded in length and in time. When it is full the account that waits with most loses its last place to one that
// waits with fewer, so that nobody can lock others out by filling it.
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
  /** Slots that are taken, of servers with any. */
  readonly busy: Map<Server, number>;
  readonly flows: Map<string, Flow<Server>>;
  /** Flows with somebody waiting. */
  readonly backlogged: Set<Flow<Server>>;
  virtual: number;
  waiting: number;
  running: number;
  /** Tokens of the last turns that said what they cost, and how long these were held; older ones fade. */
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
    this.position = positionOf(lane, flow);
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
      const server = this.#freeServer(lane);
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
    // A server may have come back since the others began to wait.
    this.#fill(lane);
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
        tokens: 0,
        ms: 0,
      };
      this.#lanes.set(model, lane);
    }
    return lane;
  }

  #freeServer(lane: Lane<Server>): Server | undefined {
    for (const server of this.#settings.serversFor(lane.model))
      if ((lane.busy.get(server) ?? 0) < this.#settings.slotsFor(lane.model, server)) return server;
    return undefined;
  }

  #grant(lane: Lane<Server>, flow: Flow<Server>, turn: Turn<Server>, server: Server): Slot<Server> {
    lane.virtual = Math.max(lane.virtual, flow.served);
    // The weight may be another by the time the turn is over.
    const { weight } = turn;
    flow.served += turn.cost / weight;
    flow.running++;
    lane.running++;
    lane.busy.set(server, (lane.busy.get(server) ?? 0) + 1);
    return new LaneSlot(server, (cost, held) => {
      freeSlot(lane.busy, server);
      lane.running--;
      flow.running--;
      if (cost !== undefined) flow.served += (settledCost(lane, turn, cost, held) - turn.cost) / weight;
      this.#fill(lane);
    });
  }

  /** Serves while there is both a slot and somebody who waits. */
  #fill(lane: Lane<Server>): void {
    while (lane.waiting > 0) {
      const server = this.#freeServer(lane);
      if (server === undefined) return;
      const place = nextPlace(lane);
      take(place);
      place.turn.start(this.#grant(lane, place.flow, place.turn, server));
    }
  }
}

/** A server without a taken slot is not kept: it may be removed, and never come back. */
function freeSlot<Server>(busy: Map<Server, number>, server: Server): void {
  const left = (busy.get(server) as number) - 1;
  if (left > 0) busy.set(server, left);
  else busy.delete(server);
}

/** Tokens a millisecond in a lane in which no turn has said its cost yet. */
const firstPace = 0.02;
const fading = 0.9;

/**
 * What a turn counts for. One that ends without figures, because its caller gave it up, because the server failed at it, or
 * because it is of a kind that has none, such as an image, had the model all the same: it counts for what the time has cost
 * others lately, and at most for what it could have cost. Else such calls would be the way to most of the turns.
 */
function settledCost<Server>(lane: Lane<Server>, { most }: Turn<Server>, cost: number, held: Held | undefined): number {
  if (held === undefined) return cost;
  const pace = lane.ms > 0 ? lane.tokens / lane.ms : firstPace;
  if (!held.isSaid) return Math.max(cost, Math.min(most, held.ms * pace));
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
 * Calls that are not behind before those that are, then those of the account that was served least, then the first of them.
 * A step can hit one key alone: its calls delay no other caller, and no other key of the same account.
 */
function nextPlace<Server>(lane: Lane<Server>): LanePlace<Server> {
  let best: LanePlace<Server> | undefined;
  let bestBehind = false;
  for (const flow of lane.backlogged) {
    const place = foremost(flow);
    const { behind } = place.turn;
    if (best === undefined || (bestBehind && !behind) || (bestBehind === behind && flow.served < best.flow.served)) {
      best = place;
      bestBehind = behind;
    }
  }
  return best as LanePlace<Server>;
}

/** The first of its places that is not behind, else the first. */
function foremost<Server>({ waiting }: Flow<Server>): LanePlace<Server> {
  const first = waiting[0] as LanePlace<Server>;
  return first.turn.behind ? (waiting.find(({ turn }) => !turn.behind) ?? first) : first;
}

/** Takes a place out of the queue; false where it is not there any more. */
function take<Server>(place: LanePlace<Server>): boolean {
  const { lane, flow } = place;
  const at = flow.waiting.indexOf(place);
  if (at < 0) return false;
  flow.waiting.splice(at, 1);
  lane.waiting--;
  if (flow.waiting.length === 0) lane.backlogged.delete(flow);
  return true;
}

/** With equal costs the turns go round, so nobody is served more often before this one than this one's own rank. */
function positionOf<Server>(lane: Lane<Server>, flow: Flow<Server>): number {
  const rank = flow.waiting.length + 1;
  let before = flow.waiting.length;
  for (const other of lane.backlogged) if (other !== flow) before += Math.min(other.waiting.length, rank);
  return before + 1;
}

/**
 * Takes the last place that is behind, for one that is not; else the last place of the account that waits with most, where
 * that is more than the newcomer would wait with. One that is behind takes the place of none that is not.
 */
function makeRoom<Server>(lane: Lane<Server>, newcomer: Flow<Server>, { behind }: Turn<Server>): boolean {
  const last = (behind ? undefined : lastPlace(lane, true, 0)) ?? lastPlace(lane, behind, newcomer.waiting.length + 1);
  if (last === undefined) return false;
  take(last);
  last.turn.refuse('queue_full');
  return true;
}

/** The last place of that standing, of the account that waits with most, and with more than `beyond`. */
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
