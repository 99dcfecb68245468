// The end of every exchange: exactly one row for the ledger and one line in the log, however it ended. The row is in the
// journal before the caller can see the end of the answer, so that no kill can lose an answer that somebody got; only
// refusals without end wait for each other (refusal-rollup.ts).
// Callers that were not identified get a log line only: a stranger must not be able to fill the ledger.
import type { ErrorCode } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import { neverLeft, type Outcome, type UsageRecord } from '../domain/usage.ts';
import type { UsageJournal } from '../store/ports/journal.ts';
import type { Exchange } from './exchange.ts';
import type { Ending, EndObservers } from './observers.ts';
import { recordFactsOf } from './record-facts.ts';

export interface Recorder {
  readonly end: UsageJournal['end'];
  readonly endSoon: UsageJournal['endSoon'];
  readonly log: (exchange: Exchange, ending: Ending, durationMs: number) => void;
  readonly nowMs: () => MonotonicMs;
  /** Those who look at what was done. */
  readonly observers: EndObservers;
}

declare class Mark {
  protected readonly settled: true;
}
/** An exchange that has its record, or needs none. Its caller may hear of the end now. */
export interface Settled extends Exchange, Mark {}

/** Settles an exchange. The second call for one exchange does nothing, so every way out may call it. */
export function settle(exchange: Exchange, ending: Ending, recorder: Recorder): Settled {
  if (!exchange.recorded) conclude(exchange, ending, recorder, undefined);
  return exchange as Settled;
}

/**
 * As `settle`, for an answer whose last piece can wait for the end of this turn of the event loop: its row is written with
 * those of the others. `then` is called on a later turn, and sends that piece. For an exchange that is not settled yet.
 */
export function settleSoon(
  exchange: Exchange,
  ending: Ending,
  recorder: Recorder,
  then: (settled: Settled) => void,
): void {
  conclude(exchange, ending, recorder, () => then(exchange as Settled));
}

/** `written`: called when the row is written, on a later turn; without it the row is written when this returns. */
function conclude(exchange: Exchange, ending: Ending, recorder: Recorder, written: (() => void) | undefined): void {
  exchange.recorded = true;
  exchange.outcome = ending.outcome;
  const durationMs = Math.round(recorder.nowMs() - exchange.startedMs);
  const row = rowOf(exchange, ending.outcome, ending.status, ending.error?.code ?? null, durationMs);
  if (row) {
    if (written) recorder.endSoon(row, exchange.begun, written);
    else recorder.end(row, exchange.begun);
    release(exchange, row);
  } else if (written) setImmediate(written);
  recorder.observers.tell(exchange, row, ending);
  recorder.log(exchange, ending, durationMs);
}

/** For what is answered to everybody and costs nothing: it has no record. */
export function leaveUnrecorded(exchange: Exchange): Settled {
  exchange.recorded = true;
  return exchange as Settled;
}

/** What was reserved becomes what was used, or nothing where the call never left: as the ledger counts it when it is read back. */
function release(exchange: Exchange, row: UsageRecord): void {
  const { caller, lease, metering } = recordFactsOf(exchange);
  if (!lease) return;
  if (neverLeft(row.outcome, row.upstream)) {
    lease.cancel();
    return;
  }
  const { promptTokens, completionTokens } = row;
  if (completionTokens > 0 && caller && metering?.kind === 'metered')
    metering.usage.key(caller.principal.lineage).recentAnswers.note(completionTokens);
  lease.settle({ requests: 1, promptTokens, completionTokens });
}

/** What a turn costs at least: the model was loaded, or looked at the call, or listened, even where no token came of it. */
const leastTurnTokens = 50;

declare class TurnMark {
  protected readonly turnEnded: true;
}
/** An exchange that has no turn at a model any more. */
export interface TurnEnded extends Exchange, TurnMark {}

/** Gives the turn at a model back, with what it cost: nothing where the call never reached a model server. */
export function endTurn<Any extends Exchange>(exchange: Any, nowMs: MonotonicMs): Any & TurnEnded {
  const { meter } = exchange;
  const { slot, turnAtMs } = recordFactsOf(exchange);
  if (slot && !meter) slot.release(0);
  else if (slot && meter) {
    const { promptTokens, completionTokens, source } = meter.read();
    const held = { ms: nowMs - turnAtMs, isSaid: source === 'exact' };
    slot.release(Math.max(leastTurnTokens, promptTokens + completionTokens), held);
  }
  return exchange as Any & TurnEnded;
}

/** The row as it would stand if this process died now; undefined for a caller we do not know. */
export function draftOf(exchange: Exchange): UsageRecord | undefined {
  return rowOf(exchange, 'interrupted', 0, null, 0);
}

function rowOf(
  exchange: Exchange,
  outcome: Outcome,
  status: number,
  code: ErrorCode | null,
  durationMs: number,
): UsageRecord | undefined {
  const { caller, countedAt, model, operation, upstream } = recordFactsOf(exchange);
  if (!caller || !operation) return undefined;
  const { principal } = caller;
  const reading = exchange.begun ? exchange.meter?.read() : undefined;
  return {
    id: exchange.id,
    // In the windows of that moment, so that what is read back later is what the limits counted.
    at: countedAt ?? exchange.at,
    keyId: principal.keyId,
    accountId: principal.accountId,
    operation: operation.name,
    model,
    upstream,
    outcome,
    status,
    code,
    streamed: exchange.streamed,
    promptTokens: reading?.promptTokens ?? 0,
    completionTokens: reading?.completionTokens ?? 0,
    cacheReadTokens: reading?.cacheReadTokens ?? 0,
    cacheWriteTokens: reading?.cacheWriteTokens ?? 0,
    source: reading?.source ?? 'none',
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    firstByteMs: exchange.firstByteMs,
    durationMs,
    queuedMs: exchange.queuedMs,
    address: exchange.address,
    repeats: 1,
  };
}
