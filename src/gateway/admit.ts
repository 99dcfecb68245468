// The last gate before money is spent. Takes a call that is allowed and within its plan; proves that the gate is not
// stopping, that the account's limits have room and hold it, that it is this call's turn at the model, and that the call
// stands in the journal, so that it will be accounted for whatever happens next. What cannot be written down is not
// started; what is refused here has cost nothing.
import { GatewayError } from '../domain/error.ts';
import { type Restrictions, restrictionsOf, slowFactor } from '../domain/suspension.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { UsageJournal } from '../store/ports.ts';
import type { Upstream } from '../upstream/pool.ts';
import type { LimitRules } from './enter.ts';
import type { Exchange } from './exchange.ts';
import { type FairQueue, type Place, Slot } from './fair-queue.ts';
import { addLimitLines } from './limit-headers.ts';
import { type Ask, answerEstimate, reserve, standingOf } from './limits.ts';
import { draftOf, type Recorder } from './record.ts';
import type { Run, Running } from './running.ts';
import type { Shaped } from './shape.ts';

export interface Admitted extends Shaped {
  readonly [admitted]: true;
}
declare const admitted: unique symbol;

export interface AdmitTools {
  readonly rules: LimitRules;
  readonly queue: FairQueue<Upstream>;
  readonly journal: UsageJournal;
  readonly running: Running;
  readonly draining: boolean;
  /** Asks again whether the caller may still be here; things may have changed while it waited. */
  readonly recheck: (exchange: Exchange) => void | Promise<void>;
  readonly recorder: Pick<Recorder, 'nowMs'>;
}

/**
 * At once, or when it is the call's turn; a caller who hangs up meanwhile leaves the queue at once.
 * @throws GatewayError `draining`; `rate_limited`, `quota_exceeded`, `too_many_concurrent`; `queue_full`,
 * `queue_timeout`; `client_closed`; or `ledger_unavailable` where the journal cannot be written.
 */
export function admit(call: Shaped, exchange: Exchange, tools: AdmitTools): Admitted | Promise<Admitted> {
  if (tools.draining) throw new GatewayError('draining');
  const ask = askOf(call, exchange);
  const restrictions = restrictionsOf(call.principal.suspensions, tools.rules.clocks.wall());
  lease(call, exchange, ask, restrictions, tools.rules);
  if (call.changes.length > 0) exchange.lines.push('x-sekisho-changed', call.changes.join(', '));
  const model = call.operation.time === 'inference' ? call.models[0]?.name?.canonical : undefined;
  const waits = model === undefined ? undefined : takeTurn(call, exchange, model, ask, restrictions, tools);
  if (!waits) return begin(call, exchange, tools.journal);
  return waits.then(() => tools.recheck(exchange)).then(() => begin(call, exchange, tools.journal));
}

function begin(call: Shaped, exchange: Exchange, journal: UsageJournal): Admitted {
  const draft = draftOf(exchange);
  if (!draft) throw new GatewayError('internal');
  const progress = () => ({ ...(exchange.meter?.read() ?? unsent), bytesOut: exchange.bytesOut });
  try {
    exchange.begun = journal.begin(draft, progress);
  } catch (cause) {
    throw new GatewayError('ledger_unavailable', { cause });
  }
  return call as Admitted;
}

const unsent = { promptTokens: 0, completionTokens: 0 };

/** What a call will spend; `book` is its account's. */
export function askOf(call: Shaped, { book }: Pick<Exchange, 'book'>): Ask {
  const { operation, principal, promptEstimate, askedTokens, choices } = call;
  if (operation.time !== 'inference')
    return { promptTokens: 0, completionTokens: 0, spends: operation.time === 'transfer' };
  // Nobody speaks more tokens than a listener needs for the sound.
  if (operation.scope === 'inference:audio')
    return { promptTokens: promptEstimate, completionTokens: Math.ceil(promptEstimate / 8), spends: true };
  const generates = operation.scope === 'inference:chat';
  const most = principal.bounds?.maxOutputTokens ?? null;
  const completionTokens =
    generates && book
      ? answerEstimate(askedTokens, book.key(principal.lineage), most, choices)
      : generates
        ? (askedTokens ?? 512)
        : 0;
  return { promptTokens: promptEstimate, completionTokens, spends: true };
}

/** Takes from the account's limits, and says what is left. */
function lease(
  { principal, operation }: Shaped,
  exchange: Exchange,
  ask: Ask,
  { slowed, warned }: Restrictions,
  { calendar, clocks }: LimitRules,
): void {
  const { book } = exchange;
  if (!book) return;
  const at = clocks.steady();
  const standing = standingOf(principal, book, slowed, calendar, at);
  try {
    exchange.lease = reserve(principal, standing, ask, at);
  } finally {
    addLimitLines(exchange.lines, principal, standing, operation.dialect, clocks, exchange.lease === undefined);
  }
  if (warned) exchange.lines.push('x-sekisho-warning', `${warned.id} ${asciiOf(warned.reason.slice(0, 200))}`);
}

/** A header holds ASCII; a reason may be in any language. */
function asciiOf(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, (piece) => encodeURIComponent(piece.toWellFormed()));
}

/** Takes a slot of the model, or gives a promise for one. */
function takeTurn(
  call: Shaped,
  exchange: Exchange,
  model: string,
  ask: Ask,
  { slowed, behind }: Restrictions,
  { queue, running, recorder: { nowMs } }: AdmitTools,
): Promise<void> | undefined {
  const { principal } = call;
  const weight = (principal.bounds?.queueWeight ?? 1) * (slowed ? slowFactor : 1);
  const waiting = new Waiting(exchange, {
    accountId: principal.accountId,
    cost: Math.max(1, ask.promptTokens + ask.completionTokens),
    weight,
    behind,
  });
  const enteredMs = nowMs();
  const entered = queue.enter(model, waiting, enteredMs);
  if (entered === undefined) throw new GatewayError('queue_full');
  if (entered instanceof Slot) {
    exchange.slot = entered;
    return undefined;
  }
  return waitFor(waiting, entered, exchange, queue, running, nowMs);
}

async function waitFor(
  waiting: Waiting,
  place: Place<Upstream>,
  exchange: Exchange,
  queue: FairQueue<Upstream>,
  running: Running,
  nowMs: () => MonotonicMs,
): Promise<void> {
  const { response } = exchange;
  exchange.queuePosition = place.position;
  const onClose = (): void => waiting.end(new GatewayError('client_closed'));
  const { socket } = exchange.request;
  const over = waiting.over();
  response.once('close', onClose);
  // A response that stands behind another on its connection does not hear of the hang-up by itself.
  socket.setMaxListeners(0).once('close', onClose);
  running.add(waiting);
  try {
    if (response.destroyed || socket.destroyed) onClose();
    exchange.slot = await over;
  } finally {
    queue.leave(place);
    running.remove(waiting);
    response.off('close', onClose);
    socket.off('close', onClose);
    exchange.queuedMs = Math.round(nowMs() - place.enteredMs);
  }
  exchange.lines.push('x-sekisho-queue-position', String(place.position));
  exchange.lines.push('x-sekisho-queue-wait-ms', String(exchange.queuedMs));
}

/** A call in the queue; whoever ends running exchanges ends it too. */
class Waiting implements Run {
  readonly exchange: Exchange;
  readonly deadlineMs = Infinity;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly accountId: string;
  readonly cost: number;
  readonly weight: number;
  readonly behind: boolean;
  #start: ((slot: Slot<Upstream>) => void) | undefined;
  #end: ((error: GatewayError) => void) | undefined;

  constructor(
    exchange: Exchange,
    turn: { readonly accountId: string; readonly cost: number; readonly weight: number; readonly behind: boolean },
  ) {
    this.exchange = exchange;
    this.accountId = turn.accountId;
    this.cost = turn.cost;
    this.weight = turn.weight;
    this.behind = turn.behind;
  }

  /** Its turn. To be asked for as soon as it has a place. */
  over(): Promise<Slot<Upstream>> {
    const { slot } = this.exchange;
    if (slot) return Promise.resolve(slot);
    return new Promise((resolve, reject) => {
      this.#start = resolve;
      this.#end = reject;
    });
  }

  start(slot: Slot<Upstream>): void {
    // Taken at once, so that a hang-up in this very moment finds it and gives it back.
    this.exchange.slot = slot;
    this.#start?.(slot);
  }

  refuse(code: 'queue_full' | 'queue_timeout'): void {
    this.end(new GatewayError(code));
  }

  end(error: GatewayError): void {
    this.#end?.(error);
  }
}
