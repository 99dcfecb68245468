// Gets a call its turn at its model: a slot at once if the queue has one free, otherwise after waiting for it. record.ts gives
// the slot back when the exchange ends.

import type { Demand } from '../../domain/demand.ts';
import { GatewayError } from '../../domain/error.ts';
import type { Ask } from '../../domain/limit.ts';
import { isLater, type Soon } from '../../domain/soon.ts';
import { restrictionsOf, slowFactor } from '../../domain/suspension.ts';
import type { Clocks, MonotonicMs } from '../../domain/time.ts';
import type { JointEntry, Place, Slot, Turn, TurnQueue } from '../../store/ports/turn-queue.ts';
import type { ActiveRequests } from '../active-requests.ts';
import type { Shaped } from '../apply-plan.ts';
import type { Exchange } from '../exchange.ts';
import { mostCompletion } from './expected-use.ts';
import { notePosition, waitComment } from './wait-signs.ts';
import { Waiting, waitWhileConnected } from './waiting.ts';

/** `Server`: what the slots are on, model servers or those of published services. */
export interface TurnTools<Server> {
  readonly queue: TurnQueue<Server>;
  readonly running: ActiveRequests;
  /** The servers that the call may go to; undefined: all of the lane. */
  readonly reachOf: (call: Shaped) => readonly Server[] | undefined;
  /** Whether a call like this may go to the server. */
  readonly takes: (server: Server, call: Shaped) => boolean;
  /** Counts the call at the server of its slot; undefined if nothing depends on it. */
  readonly assign: (server: Server, demand: Demand<Server>) => Exchange['assignment'];
  /** A step of the ladder that slows a caller down has wall-clock times. */
  readonly rules: { readonly clocks: Pick<Clocks, 'wall'> };
  readonly recorder: { readonly nowMs: () => MonotonicMs };
}

/**
 * The slot, or a promise for it. The time waited since `enteredMs`, in the account's line, counts towards the longest
 * wait. @throws GatewayError `queue_full`; the promise rejects with it too, or with `queue_timeout`, `client_closed`,
 * or what ends the running calls.
 */
export function takeTurn<Server>(
  call: Shaped,
  exchange: Exchange,
  model: string,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: TurnTools<Server>,
): Soon<Slot<Server>> {
  const waiting = new ModelWait(call, exchange, model, ask, tools);
  const entered = tools.queue.enter(model, waiting, enteredMs);
  return isLater(entered) ? entered.then((found) => begin(found, waiting, tools)) : begin(entered, waiting, tools);
}

/** Prepares the turn of a call to be asked for with its limits; undefined if the queue is asked on its own. */
export function prepareTurn<Server>(
  call: Shaped,
  exchange: Exchange,
  model: string,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: TurnTools<Server>,
): PreparedTurn<Server> | undefined {
  if (!tools.queue.prepare) return undefined;
  const waiting = new ModelWait(call, exchange, model, ask, tools);
  const joint = tools.queue.prepare(model, waiting, enteredMs);
  return joint && new PreparedTurn(joint, waiting, tools);
}

/** A turn that may have been asked for already. It ends in `begin` or in `giveUp`. */
export class PreparedTurn<Server> {
  readonly joint: JointEntry<Server>;
  readonly #waiting: ModelWait<Server>;
  readonly #tools: TurnTools<Server>;
  #isOver = false;

  constructor(joint: JointEntry<Server>, waiting: ModelWait<Server>, tools: TurnTools<Server>) {
    this.joint = joint;
    this.#waiting = waiting;
    this.#tools = tools;
  }

  /** As `takeTurn`; undefined if the queue was not asked, or for another call than what this one has become. */
  begin(call: Shaped): Soon<Slot<Server>> | undefined {
    const { answer } = this.joint;
    if (call !== this.#waiting.call) this.giveUp();
    if (this.#isOver || !answer) return undefined;
    this.#isOver = true;
    return begin(answer.entered, this.#waiting, this.#tools);
  }

  /** Gives back what the queue gave; nothing once the turn has begun. */
  giveUp(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const entered = this.joint.answer?.entered;
    if (entered?.kind === 'slot') entered.release(0);
    else if (entered) {
      entered.leave();
      this.#waiting.giveBack();
    }
  }
}

/** Acts on the queue's answer. */
function begin<Server>(
  entered: Slot<Server> | Place | undefined,
  waiting: ModelWait<Server>,
  tools: TurnTools<Server>,
): Soon<Slot<Server>> {
  if (entered === undefined) throw new GatewayError('queue_full');
  if (entered.kind === 'place') return waitFor(waiting, entered, tools);
  waiting.take(entered);
  waiting.exchange.notes.noteTurn(tools.recorder.nowMs());
  return entered;
}

async function waitFor<Server>(
  waiting: ModelWait<Server>,
  place: Place,
  { running, recorder: { nowMs } }: TurnTools<Server>,
): Promise<Slot<Server>> {
  const { exchange } = waiting;
  const { position, leftMs } = place.look();
  notePosition(exchange, position, leftMs);
  exchange.waitComment = () => {
    const now = place.look();
    return waitComment('waiting for a turn', now.position, now.leftMs);
  };
  try {
    return await waitWhileConnected(waiting, running);
  } finally {
    exchange.waitComment = undefined;
    place.leave();
    const now = nowMs();
    exchange.notes.noteTurn(now);
    exchange.queuedMs = Math.round(now - place.enteredMs);
  }
}

/** A call in the queue of a model. */
class ModelWait<Server> extends Waiting<Slot<Server>> implements Turn<Server>, Demand<Server> {
  readonly model: string;
  readonly cost: number;
  readonly most: number;
  readonly #clocks: Pick<Clocks, 'wall'>;
  readonly #ask: Ask;
  readonly #tools: TurnTools<Server>;
  #slot: Slot<Server> | undefined;

  constructor(call: Shaped, exchange: Exchange, model: string, ask: Ask, tools: TurnTools<Server>) {
    super(call, exchange);
    this.model = model;
    this.#ask = ask;
    this.cost = Math.max(1, ask.promptTokens + ask.completionTokens);
    this.most = Math.max(this.cost, ask.promptTokens + mostCompletion(call));
    this.#clocks = tools.rules.clocks;
    this.#tools = tools;
  }

  get accountId(): string {
    return this.call.caller.principal.accountId;
  }

  /** Read at each look, because a step of the ladder also applies to calls that wait already. */
  get weight(): number {
    const { bounds, suspensions } = this.call.caller.principal;
    const { slowed } = restrictionsOf(suspensions, this.#clocks.wall());
    return (bounds?.queueWeight ?? 1) * (slowed ? slowFactor : 1);
  }

  get reach(): readonly Server[] | undefined {
    return this.#tools.reachOf(this.call);
  }

  get behind(): boolean {
    return restrictionsOf(this.call.caller.principal.suspensions, this.#clocks.wall()).behind;
  }

  get demand(): this {
    return this;
  }

  get promptTokens(): number {
    return this.#ask.promptTokens;
  }

  get answerTokens(): number {
    return this.#ask.completionTokens;
  }

  get conversation(): number {
    return this.call.opening.conversation;
  }

  get prefix(): number {
    return this.call.opening.prefix;
  }

  get prefixTokens(): number {
    return Math.floor(this.call.opening.prefixShare * this.#ask.promptTokens);
  }

  takes(server: Server): boolean {
    return this.#tools.takes(server, this.call);
  }

  /** The slot is given back at the end of the exchange, and the call counts at its server until then. */
  take(slot: Slot<Server>): void {
    this.#slot = slot;
    this.exchange.notes.noteSlot(slot);
    this.exchange.assignment = this.#tools.assign(slot.server, this);
  }

  /** The turn may have come before anybody waited for it. */
  giveBack(): void {
    if (!this.#slot) return;
    this.exchange.assignment?.end();
    this.#slot.release(0);
  }

  start(slot: Slot<Server>): void {
    // Before the wait goes on, so that the slot is given back even if the caller hangs up at this moment.
    this.take(slot);
    this.proceed(slot);
  }
}
