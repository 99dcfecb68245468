// The end of every exchange: exactly one ledger row and one log line, however it ended. The row is in the journal
// before the caller can see the end of the answer, so an answer that was received is recorded even if the process is
// killed; only floods of refusals are delayed and combined (refusal-rollup.ts). Unidentified callers get only a log
// line, because they must not be able to fill the ledger.
import { detailOf, type GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import { neverLeft, type Outcome, type UsageCost, type UsageRecord } from '../domain/usage.ts';
import type { UsageJournal } from '../store/ports/journal.ts';
import type { Exchange } from './exchange.ts';
import type { Ending, EndObservers } from './observers.ts';
import { recordFactsOf } from './record-facts.ts';

export interface Recorder {
  readonly end: UsageJournal['end'];
  readonly endSoon: UsageJournal['endSoon'];
  /** Sends what leases gave back, if they are kept elsewhere: before callers see their ends, so that their next calls find room. */
  readonly send?: (() => void) | undefined;
  readonly log: (exchange: Exchange, ending: Ending, durationMs: number) => void;
  readonly nowMs: () => MonotonicMs;
  /** Called for every ended exchange. */
  readonly observers: EndObservers;
}

declare class Mark {
  protected readonly settled: true;
}
/** Proof that an exchange has its record, or needs none. Only then may its caller see its end. */
export interface Settled extends Exchange, Mark {}

/** Settles an exchange. A second call for the same exchange does nothing, so every exit path may call it. */
export function settle(exchange: Exchange, ending: Ending, recorder: Recorder): Settled {
  if (!exchange.recorded) conclude(exchange, ending, recorder, undefined);
  return exchange as Settled;
}

/**
 * Like `settle`, for an answer whose last piece can wait until the end of this turn of the event loop: its row is
 * written together with others. `then` is called on a later turn, and sends that piece. The exchange must not be
 * settled yet.
 */
export function settleSoon(
  exchange: Exchange,
  ending: Ending,
  recorder: Recorder,
  then: (settled: Settled) => void,
): void {
  conclude(exchange, ending, recorder, () => then(exchange as Settled));
}

/** `written`: called on a later turn, once the row is written; without it the row is written when this returns. */
function conclude(exchange: Exchange, ending: Ending, recorder: Recorder, written: (() => void) | undefined): void {
  exchange.recorded = true;
  exchange.outcome = ending.outcome;
  const durationMs = Math.round(recorder.nowMs() - exchange.startedMs);
  const row = rowOf(exchange, ending.outcome, ending.status, ending.error, durationMs);
  if (row) {
    const { send } = recorder;
    if (written) recorder.endSoon(row, exchange.begun, send ? sending(send, written) : written);
    else recorder.end(row, exchange.begun);
    release(exchange, row);
    if (!written) send?.();
  } else if (written) setImmediate(written);
  recorder.observers.tell(exchange, row, ending);
  recorder.log(exchange, ending, durationMs);
}

const sending = (send: () => void, written: () => void) => (): void => {
  send();
  written();
};

/** Settles an exchange without a record, for answers that need no key and cost nothing. */
export function leaveUnrecorded(exchange: Exchange): Settled {
  exchange.recorded = true;
  return exchange as Settled;
}

/** Settles the reservation with the usage, or cancels it if the call was never sent, as the ledger counts it. */
function release(exchange: Exchange, row: UsageRecord): void {
  const { caller, lease, metering } = recordFactsOf(exchange);
  if (!lease) return;
  if (neverLeft(row.outcome, row.upstream)) {
    lease.cancel();
    return;
  }
  const { promptTokens, completionTokens, cost } = row;
  if (completionTokens > 0 && caller && metering?.kind === 'metered')
    metering.usage.key(caller.principal.lineage).recentAnswers.note(completionTokens);
  lease.settle({ requests: 1, promptTokens, completionTokens, units: cost?.units ?? 0 });
}

/** The minimum cost of a turn: the model was loaded or evaluated the prompt, even if it generated no token. */
const leastTurnTokens = 50;

declare class TurnMark {
  protected readonly turnEnded: true;
}
/** Proof that an exchange holds no turn at a model. */
export interface TurnEnded extends Exchange, TurnMark {}

/** Releases the turn at a model, with its cost: nothing if the call never reached a model server. */
export function endTurn<Any extends Exchange>(exchange: Any, nowMs: MonotonicMs): Any & TurnEnded {
  const { meter } = exchange;
  const { slot, turnAtMs, seat, operation, upstream } = recordFactsOf(exchange);
  exchange.assignment?.end();
  seat?.leave();
  // A service is shared fairly by the time that its calls take.
  if (slot && operation?.service) {
    const ms = upstream === null ? 0 : nowMs - turnAtMs;
    slot.release(ms, { ms, isReported: true });
  } else if (slot && !meter) slot.release(0);
  else if (slot && meter) {
    const { promptTokens, completionTokens, source } = meter.read();
    const held = { ms: nowMs - turnAtMs, isReported: source === 'exact' };
    slot.release(Math.max(leastTurnTokens, promptTokens + completionTokens), held);
  }
  return exchange as Any & TurnEnded;
}

/** The row to recover if this process is killed; undefined for unidentified callers. */
export function draftOf(exchange: Exchange): UsageRecord | undefined {
  return rowOf(exchange, 'interrupted', 0, undefined, 0);
}

/** Only what was sent to a service has a cost. */
export const costOf = ({ begun, cost }: Exchange): { readonly cost: UsageCost } | undefined => {
  const read = begun && cost?.read();
  return read && { cost: read };
};

function rowOf(
  exchange: Exchange,
  outcome: Outcome,
  status: number,
  error: GatewayError | undefined,
  durationMs: number,
): UsageRecord | undefined {
  const { caller, countedAt, model, askedModel, fallbackFor, operation, upstream } = recordFactsOf(exchange);
  if (!caller || !operation) return undefined;
  const { principal } = caller;
  const reading = exchange.begun ? exchange.meter?.read() : undefined;
  return {
    id: exchange.id,
    // In the windows of that time, so that usage read back later equals what the limits counted.
    at: countedAt ?? exchange.at,
    keyId: principal.keyId,
    accountId: principal.accountId,
    operation: operation.name,
    model,
    askedModel,
    fallbackFor,
    upstream,
    outcome,
    status,
    code: error?.code ?? null,
    streamed: exchange.streamed,
    promptTokens: reading?.promptTokens ?? 0,
    completionTokens: reading?.completionTokens ?? 0,
    cacheReadTokens: reading?.cacheReadTokens ?? 0,
    cacheWriteTokens: reading?.cacheWriteTokens ?? 0,
    reasoningTokens: reading?.reasoningTokens ?? 0,
    source: reading?.source ?? 'none',
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    firstByteMs: exchange.firstByteMs,
    durationMs,
    queuedMs: exchange.queuedMs,
    readyMs: exchange.readyMs,
    loadMs: exchange.loadMs,
    sentMs: exchange.sentMs,
    firstTokenMs: exchange.firstTokenMs,
    changes: changesOf(exchange),
    refusedBy: error?.by,
    detail: error && detailOf(error),
    address: exchange.address,
    repeats: 1,
    ...costOf(exchange),
  };
}

/** What the caller is told of it in a header; most calls have few lines or none. */
function changesOf({ lines }: Exchange): string | undefined {
  const at = lines.indexOf('x-sekisho-changed');
  if (at < 0) return undefined;
  const later = lines.indexOf('x-sekisho-changed', at + 2);
  return later < 0 ? lines[at + 1] : `${lines[at + 1]}, ${lines[later + 1]}`;
}
