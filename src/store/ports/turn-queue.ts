// The port of the queue in front of the models: each model has so many slots on each server, and a call that finds none free
// waits for its turn. An adapter decides whose turn it is and where; it may answer at once or later. The gate puts calls in and
// says what they cost. test/contracts/turn-queue.ts holds what every adapter promises.
import type { Soon } from '../../domain/soon.ts';
import type { MonotonicMs } from '../../domain/time.ts';

/** A call that wants a turn. */
export interface Turn<Server> {
  readonly accountId: string;
  /** Tokens that it will cost, estimated; above 0. */
  readonly cost: number;
  /** What it can cost at most; never below `cost`. */
  readonly most: number;
  readonly weight: number;
  /** Served only when no call waits that is not behind. */
  readonly behind: boolean;
  /** Called once, where `enter` gave a place; it may come before a later answer of `enter`, and never after `leave`. */
  start(slot: Slot<Server>): void;
  /** The same, for a call that loses its place. */
  refuse(code: 'queue_full' | 'queue_timeout'): void;
}

/** How a turn went on that reached a model server. */
export interface Held {
  readonly ms: number;
  /** Its cost is what the model server says; else nobody said one. */
  readonly isSaid: boolean;
}

/** A held turn: one of the slots of a model on a server. */
export interface Slot<Server> {
  readonly kind: 'slot';
  readonly server: Server;
  /** Gives it back, once, with what the turn really cost where that is known, and how long it was held. */
  release(cost: number | undefined, held?: Held): void;
}

/** A place in the queue. */
export interface Place {
  readonly kind: 'place';
  readonly enteredMs: MonotonicMs;
  /** How many were expected to be served up to this one: 1 is the next. */
  readonly position: number;
  /** Gives the place up. Does nothing to one that was served or refused already. */
  leave(): void;
}

/** What goes on at one model. */
export interface LaneNow {
  readonly model: string;
  readonly running: number;
  readonly waiting: number;
  readonly accounts: number;
}

/** What a queue asks of the gate, and its bounds. */
export interface QueueSettings<Server> {
  /** The servers that could work on this model now, best first; they may be others at every look. */
  readonly serversFor: (model: string) => readonly Server[];
  readonly slotsFor: (model: string, server: Server) => number;
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
}

export interface TurnQueue<Server> {
  /** A slot at once where one is free and no call waits for it; else a place; else, where the queue is full, nothing. */
  enter(model: string, turn: Turn<Server>, nowMs: MonotonicMs): Soon<Slot<Server> | Place | undefined>;
  /** Refuses calls that have waited too long, and offers slots on servers that came back. To be called every so often. */
  sweep(nowMs: MonotonicMs): void;
  /** What is going on, for people: by model. */
  snapshot(): LaneNow[];
}
