// The last gate before money is spent. Takes a call that is allowed and within its plan; proves that the gate is not
// stopping, that the account's limits have room and hold it, that it is this call's turn at the model, and that the call
// stands in the journal, so that it will be accounted for whatever happens next. What cannot be written down is not
// started; what is refused here has cost nothing.
import { GatewayError, toGatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import { restrictionsOf, slowFactor } from '../domain/suspension.ts';
import type { Clocks, MonotonicMs } from '../domain/time.ts';
import type { UsageJournal } from '../store/ports/journal.ts';
import type { Upstream } from '../upstream/pool.ts';
import type { ActiveRequests, Run } from './active-requests.ts';
import { type ModelFacts, type Shaped, shapeAgain } from './apply-plan.ts';
import type { Decisions } from './decide-again.ts';
import type { Exchange } from './exchange.ts';
import type { AccountLines, InLine } from './limits/account-line.ts';
import type { AccountUsage } from './limits/account-usage.ts';
import { type FairQueue, type Place, Slot, type Turn } from './limits/fair-queue.ts';
import { addLimitLines, asciiOf } from './limits/limit-headers.ts';
import {
  type Ask,
  answerEstimate,
  hasRoom,
  mayRunNone,
  mostAnswer,
  refuseBeyond,
  reserve,
  standingOf,
} from './limits/limiter.ts';
import type { LimitRules } from './precheck.ts';
import { draftOf, type Recorder } from './record.ts';

declare class Mark {
  protected readonly admitted: true;
}
/** The call may be started now. */
export interface Admitted extends Mark {
  readonly call: Shaped;
  /** The model server whose slot it holds; undefined for a call that occupies none. */
  readonly server: Upstream | undefined;
}

export interface AdmitTools {
  readonly rules: LimitRules;
  readonly lines: AccountLines;
  readonly queue: FairQueue<Upstream>;
  readonly journal: UsageJournal;
  readonly running: ActiveRequests;
  readonly draining: boolean;
  readonly modelFacts: ModelFacts;
  /** Decides again what the caller may; things may have changed while the call waited. */
  readonly decisions: Pick<Decisions, 'again'>;
  readonly recorder: Pick<Recorder, 'nowMs'>;
}

/**
 * At once, or when it is the call's turn: in its account, where that runs as many calls as it may, and then at the model. A
 * caller who hangs up meanwhile leaves at once.
 * @throws GatewayError `draining`; `rate_limited`, `quota_exceeded`, `too_many_concurrent`; `queue_full`,
 * `queue_timeout`; `client_closed`; or `ledger_unavailable` where the journal cannot be written.
 */
export function admit(call: Shaped, exchange: Exchange, tools: AdmitTools): Admitted | Promise<Admitted> {
  if (tools.draining) throw new GatewayError('draining');
  const ask = askOf(call);
  const enteredMs = tools.recorder.nowMs();
  const inLine = lease(call, exchange, ask, enteredMs, tools);
  if (!inLine) return atModel(call, exchange, ask, enteredMs, tools);
  return inLine
    .then(() => tools.decisions.again(call, exchange))
    .then((still) => atModel(shapeAgain(still, tools.modelFacts), exchange, ask, enteredMs, tools));
}

/** With what it takes from the account: its turn at the model, and its line in the journal. */
function atModel(
  call: Shaped,
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: AdmitTools,
): Admitted | Promise<Admitted> {
  if (tools.draining) throw new GatewayError('draining');
  sayChanges(call.changes, exchange);
  const model = call.operation.time === 'inference' ? call.models[0]?.name?.canonical : undefined;
  const waits = model === undefined ? undefined : takeTurn(call, exchange, model, ask, enteredMs, tools);
  if (!waits) return begin(call, exchange, tools.journal);
  return waits
    .then(() => tools.decisions.again(call, exchange))
    .then((still) => {
      const again = shapeAgain(still, tools.modelFacts);
      // The response says already what was changed before.
      sayChanges(again.changes.slice(call.changes.length), exchange);
      return begin(again, exchange, tools.journal);
    });
}

function sayChanges(changes: readonly string[], { lines }: Exchange): void {
  if (changes.length > 0) lines.push('x-sekisho-changed', changes.join(', '));
}

function begin(call: Shaped, exchange: Exchange, journal: UsageJournal): Admitted {
  if (exchange.queuePosition > 0) {
    exchange.lines.push('x-sekisho-queue-position', String(exchange.queuePosition));
    exchange.lines.push('x-sekisho-queue-wait-ms', String(exchange.queuedMs));
  }
  const draft = draftOf(exchange);
  if (!draft) throw new GatewayError('internal');
  const progress = () => ({ ...(exchange.meter?.read() ?? unsent), bytesOut: exchange.bytesOut });
  try {
    exchange.begun = journal.begin(draft, progress);
  } catch (cause) {
    throw new GatewayError('ledger_unavailable', { cause });
  }
  return { call, server: exchange.slot?.server } as Admitted;
}

const unsent = { promptTokens: 0, completionTokens: 0 };

/** What a call will spend. */
function askOf({ operation, caller: { principal }, metering, promptEstimate, askedTokens, choices }: Shaped): Ask {
  if (operation.time !== 'inference')
    return { promptTokens: 0, completionTokens: 0, spends: operation.time === 'transfer' };
  // Nobody speaks more tokens than a listener needs for the sound.
  if (operation.scope === 'inference:audio')
    return { promptTokens: promptEstimate, completionTokens: Math.ceil(promptEstimate / 8), spends: true };
  const generates = operation.scope === 'inference:chat';
  const most = principal.bounds?.maxOutputTokens ?? null;
  const completionTokens =
    generates && metering.kind === 'metered'
      ? answerEstimate(askedTokens, metering.usage.key(principal.lineage), most, choices)
      : generates
        ? (askedTokens ?? 512)
        : 0;
  return { promptTokens: promptEstimate, completionTokens, spends: true };
}

/** What was answered before says what to expect of a call, and not what it can become. */
function mostCompletion({ operation, caller: { principal }, askedTokens, choices }: Shaped): number {
  if (operation.scope !== 'inference:chat') return 0;
  return mostAnswer(askedTokens, principal.bounds?.maxOutputTokens ?? null, choices);
}

export interface Rehearsal {
  readonly ask: Ask;
  readonly refusal: GatewayError | undefined;
}

/**
 * What `admit` would say of the call now: takes from the account's limits what it would take and gives it back in the same
 * breath. A call that would wait in the line of its account passes when it is its turn.
 */
export function rehearse(call: Shaped, { calendar, clocks }: LimitRules): Rehearsal {
  const { metering } = call;
  const { principal } = call.caller;
  const ask = askOf(call);
  if (metering.kind === 'unmetered') return { ask, refusal: undefined };
  const { usage } = metering;
  const at = clocks.steady();
  const { slowed } = restrictionsOf(principal.suspensions, clocks.wall());
  const standing = standingOf(principal, usage, slowed, calendar, at);
  try {
    if (waitsInLine(principal, usage, ask)) refuseBeyond(principal, standing, ask, at);
    else reserve(principal, standing, ask, at).cancel();
    return { ask, refusal: undefined };
  } catch (error) {
    return { ask, refusal: toGatewayError(error) };
  }
}

/** The account, or the key, runs as many calls as it may; where it may run none there is nothing to wait for. */
const mustWait = (principal: Principal, usage: AccountUsage, ask: Ask): boolean =>
  !hasRoom(principal, usage, ask) && !mayRunNone(principal);

/** It must, and there is a place to wait. */
const waitsInLine = (principal: Principal, usage: AccountUsage, ask: Ask): boolean =>
  mustWait(principal, usage, ask) && usage.line.length < (principal.bounds?.waitingRequests ?? Infinity);

/** Takes from the account's limits at once, or gives a promise for it where the account runs as many calls as it may. */
function lease(
  call: Shaped,
  exchange: Exchange,
  ask: Ask,
  enteredMs: MonotonicMs,
  tools: AdmitTools,
): Promise<void> | undefined {
  const { operation, metering } = call;
  const { principal } = call.caller;
  if (metering.kind === 'unmetered') return undefined;
  const { usage } = metering;
  const { rules } = tools;
  if (!waitsInLine(principal, usage, ask)) {
    takeLease(call, exchange, usage, ask, rules);
    return undefined;
  }
  // A limit that no end of another call can help is said at once.
  const at = rules.clocks.steady();
  const { slowed } = restrictionsOf(principal.suspensions, rules.clocks.wall());
  const standing = standingOf(principal, usage, slowed, rules.calendar, at);
  try {
    refuseBeyond(principal, standing, ask, at);
  } catch (error) {
    addLimitLines(exchange.lines, principal, standing, operation.dialect, rules.clocks, true);
    throw error;
  }
  return waitInLine(new InAccountLine(call, exchange, usage, ask, enteredMs, rules), usage, tools);
}

/** In one go, so that nothing comes between the look and the taking; and says what is left. @throws as `reserve`. */
function takeLease(
  { caller: { principal }, operation }: Shaped,
  exchange: Exchange,
  usage: AccountUsage,
  ask: Ask,
  { calendar, clocks }: LimitRules,
): void {
  const { slowed, warned } = restrictionsOf(principal.suspensions, clocks.wall());
  const at = clocks.steady();
  const standing = standingOf(principal, usage, slowed, calendar, at);
  try {
    exchange.lease = reserve(principal, standing, ask, at);
    exchange.countedAt = clocks.toWall(at);
  } finally {
    addLimitLines(exchange.lines, principal, standing, operation.dialect, clocks, exchange.lease === undefined);
  }
  if (warned) exchange.lines.push('x-sekisho-warning', `${warned.id} ${asciiOf(warned.reason.slice(0, 200))}`);
}

async function waitInLine(
  waiting: InAccountLine,
  { line }: AccountUsage,
  { lines, running, recorder: { nowMs } }: AdmitTools,
): Promise<void> {
  const { exchange, enteredMs } = waiting;
  const over = waiting.over();
  lines.enter(line, waiting);
  exchange.queuePosition = line.length;
  try {
    await whileThere(waiting, over, exchange, running);
  } finally {
    line.leave(waiting);
    exchange.queuedMs = Math.round(nowMs() - enteredMs);
  }
  // What was taken in this very moment is given back when the exchange is settled.
  if (exchange.response.destroyed || exchange.request.socket.destroyed) throw new GatewayError('client_closed');
}

/** Takes a slot of the model, or gives a promise for one. */
function takeTurn(
  call: Shaped,
  exchange: Exchange,
  model: string,
  ask: Ask,
  enteredMs: MonotonicMs,
  { queue, running, rules, recorder: { nowMs } }: AdmitTools,
): Promise<void> | undefined {
  const waiting = new AtModel(call, exchange, ask, rules.clocks);
  // What it has waited in its account counts towards the longest wait.
  const entered = queue.enter(model, waiting, enteredMs);
  if (entered === undefined) throw new GatewayError('queue_full');
  if (entered instanceof Slot) {
    exchange.slot = entered;
    exchange.turnAtMs = nowMs();
    return undefined;
  }
  return waitFor(waiting, entered, exchange, queue, running, nowMs);
}

async function waitFor(
  waiting: AtModel,
  place: Place<Upstream>,
  exchange: Exchange,
  queue: FairQueue<Upstream>,
  running: ActiveRequests,
  nowMs: () => MonotonicMs,
): Promise<void> {
  if (exchange.queuePosition === 0) exchange.queuePosition = place.position;
  const { slot } = exchange;
  try {
    exchange.slot = await whileThere(waiting, slot ? Promise.resolve(slot) : waiting.over(), exchange, running);
  } finally {
    queue.leave(place);
    exchange.turnAtMs = nowMs();
    exchange.queuedMs = Math.round(exchange.turnAtMs - place.enteredMs);
  }
}

/** Waits as long as the caller is there, and as long as nothing ends those who run and wait. */
async function whileThere<T>(waiting: Run, over: Promise<T>, exchange: Exchange, running: ActiveRequests): Promise<T> {
  const { response } = exchange;
  const onClose = (): void => waiting.end(new GatewayError('client_closed'));
  const { socket } = exchange.request;
  response.once('close', onClose);
  // A response that stands behind another on its connection does not hear of the hang-up by itself.
  socket.setMaxListeners(0).once('close', onClose);
  running.add(waiting);
  try {
    if (response.destroyed || socket.destroyed) onClose();
    return await over;
  } finally {
    running.remove(waiting);
    response.off('close', onClose);
    socket.off('close', onClose);
  }
}

/** A call that waits; ending the running exchanges ends it as well. */
class Waiting<T> implements Run {
  readonly call: Shaped;
  readonly exchange: Exchange;
  readonly deadlineMs = Infinity;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  #start: ((value: T) => void) | undefined;
  #end: ((error: GatewayError) => void) | undefined;

  constructor(call: Shaped, exchange: Exchange) {
    this.call = call;
    this.exchange = exchange;
  }

  /** When it has waited long enough. To be asked for as soon as it has a place. */
  over(): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#start = resolve;
      this.#end = reject;
    });
  }

  goOn(value: T): void {
    this.#start?.(value);
  }

  refuse(code: 'queue_full' | 'queue_timeout'): void {
    this.end(new GatewayError(code));
  }

  end(error: GatewayError): void {
    this.#end?.(error);
  }
}

/** In the line of its account. */
class InAccountLine extends Waiting<void> implements InLine {
  readonly enteredMs: MonotonicMs;
  readonly fits: () => boolean;
  readonly take: () => void;

  constructor(call: Shaped, exchange: Exchange, usage: AccountUsage, ask: Ask, atMs: MonotonicMs, rules: LimitRules) {
    super(call, exchange);
    this.enteredMs = atMs;
    this.fits = () => !mustWait(call.caller.principal, usage, ask);
    this.take = () => {
      try {
        takeLease(call, exchange, usage, ask, rules);
        this.goOn();
      } catch (error) {
        this.end(toGatewayError(error));
      }
    };
  }
}

/** In the queue of a model. */
class AtModel extends Waiting<Slot<Upstream>> implements Turn<Upstream> {
  readonly cost: number;
  readonly most: number;
  readonly #clocks: Clocks;

  constructor(call: Shaped, exchange: Exchange, ask: Ask, clocks: Clocks) {
    super(call, exchange);
    this.cost = Math.max(1, ask.promptTokens + ask.completionTokens);
    this.most = Math.max(this.cost, ask.promptTokens + mostCompletion(call));
    this.#clocks = clocks;
  }

  get accountId(): string {
    return this.call.caller.principal.accountId;
  }

  /** Of its caller as they are now: a step of the ladder counts for those who wait, too. */
  get weight(): number {
    const { bounds, suspensions } = this.call.caller.principal;
    const { slowed } = restrictionsOf(suspensions, this.#clocks.wall());
    return (bounds?.queueWeight ?? 1) * (slowed ? slowFactor : 1);
  }

  get behind(): boolean {
    return restrictionsOf(this.call.caller.principal.suspensions, this.#clocks.wall()).behind;
  }

  start(slot: Slot<Upstream>): void {
    // Taken at once, so that a hang-up in this very moment finds it and gives it back.
    this.exchange.slot = slot;
    this.goOn(slot);
  }
}
