// The port to the queue in front of the models. Each model has a number of slots on each server; a call that finds none free waits
// for its turn. An adapter decides which call is next and on which server; it may answer at once or later. The gateway enters
// calls and reports what they cost. Every adapter has to pass test/contracts/turn-queue.ts.
import type { Demand } from '../../domain/demand.ts';
import type { Soon } from '../../domain/soon.ts';
import type { MonotonicMs } from '../../domain/time.ts';

/** A call that needs a turn. */
export interface Turn<Server> {
  readonly accountId: string;
  /** Estimated cost in tokens; above 0. */
  readonly cost: number;
  /** Highest possible cost; never below `cost`. */
  readonly most: number;
  readonly weight: number;
  /** Served only while no other call waits but those that are behind, too. */
  readonly behind: boolean;
  /**
   * The servers that it may go to, as one array for all turns that may go to the same servers; undefined: all servers. It may
   * change between two looks.
   */
  readonly reach?: readonly Server[] | undefined;
  /** What the choice of its server depends on; undefined: nothing but its reach. */
  readonly demand?: Demand<Server> | undefined;
  /** Called at most once, if `enter` returned a place; possibly before a promise of `enter` resolves, never after `leave`. */
  start(slot: Slot<Server>): void;
  /** Called in the place of `start` when the call loses its place. */
  refuse(code: 'queue_full' | 'queue_timeout'): void;
}

/** How a turn went that reached a model server. */
export interface Held {
  readonly ms: number;
  /** The model server has reported the cost. */
  readonly isReported: boolean;
}

/** A turn in use: one of a model's slots on a server. */
export interface Slot<Server> {
  readonly kind: 'slot';
  readonly server: Server;
  /** Returns the slot, with the actual cost of the turn if it is known, and how long it was held. Later calls do nothing. */
  release(cost: number | undefined, held?: Held): void;
}

/** A place in the queue. */
export interface Place {
  readonly kind: 'place';
  readonly enteredMs: MonotonicMs;
  /** Expected position when the call entered: 1 is the next one. */
  readonly position: number;
  /** The position now, and how long the turn will probably take to come; undefined while no turn has shown how long one lasts. */
  look(): { readonly position: number; readonly leftMs: number | undefined };
  /** Gives the place up. Does nothing if the call was served or refused already. */
  leave(): void;
}

/**
 * A call's entry that goes along with the question about its limits, where one store keeps both. It is asked only if the limits have
 * room, in the same step, so a refused call has no turn at any moment.
 */
export interface JointEntry<Server> {
  /** How the queue answered; undefined if it was not asked, so that `enter` comes next. To be read once the limits have answered. */
  readonly answer: { readonly entered: Slot<Server> | Place | undefined } | undefined;
}

/** The current state of one model's queue. */
export interface LaneNow {
  readonly model: string;
  readonly running: number;
  readonly waiting: number;
  readonly accounts: number;
}

/** What a queue needs from the gateway, and its bounds. */
export interface QueueSettings<Server> {
  /**
   * The servers to which the turn should go as soon as they have a free slot, best first; may change between calls. A server
   * that is left out is one that the turn had better not take, although it may. `ahead`: turns that are served before it.
   */
  readonly serversFor: (
    model: string,
    turn: Pick<Turn<Server>, 'reach' | 'demand'>,
    ahead: number,
  ) => readonly Server[];
  readonly slotsFor: (model: string, server: Server) => number;
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
  /** Counts granted slots on servers that get few calls at first (health.ts). */
  readonly trials?: {
    readonly take: (server: Server) => number;
    readonly giveBack: (server: Server, hold: number) => void;
  };
}

/** What a queue needs that several gates share. */
export interface SharedQueueSettings<Server> extends QueueSettings<Server> {
  /** Names a server, the same at every gate. */
  readonly nameOf: (server: Server) => string;
  /** How many calls a server that gets few at first may have now, over all gates; Infinity: as many as it has slots. */
  readonly trialsOf?: (server: Server) => number;
}

export interface TurnQueue<Server> {
  /** Returns a slot if one is free and no call waits for it, else a place, or undefined if the queue is full. */
  enter(model: string, turn: Turn<Server>, nowMs: MonotonicMs): Soon<Slot<Server> | Place | undefined>;
  /** What `enter` would ask, to be given to the limits; undefined or missing if that would save nothing. Asks nothing itself. */
  prepare?(model: string, turn: Turn<Server>, nowMs: MonotonicMs): JointEntry<Server> | undefined;
  /** Refuses calls that have waited too long, and offers slots on servers that have come back. Call it regularly. */
  sweep(nowMs: MonotonicMs): void;
  /** The current state of each model's queue, for display. */
  snapshot(): LaneNow[];
}
