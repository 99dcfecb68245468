// Sends one call to a model server and relays its answer: the body unchanged, chunk by chunk. Takes a routed call; the
// promise resolves when the exchange is over, however it ended. A hang-up of the caller aborts the upstream request at
// once, streaming or not, also before the first byte. The turn at the model ends with the end mark of the answer, not
// with its delivery (delivery.ts). Redirects are neither followed nor relayed.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { GatewayError, toGatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { ActiveRequests, Run } from './active-requests.ts';
import { Answer, nothing } from './answer/answer.ts';
import { refusalOf } from './answer/answer-head.ts';
import type { DeliverySettings } from './answer/delivery.ts';
import { readFailure } from './answer/upstream-error.ts';
import type { Exchange } from './exchange.ts';
import { meterFor, silentMeter } from './meter/meter.ts';
import { promptOf } from './meter/token-counts.ts';
import { ModelNotFound } from './model-access.ts';
import type { NamedModel } from './model-names.ts';
import { continueIfAsked } from './payload/body.ts';
import type { BodyBudget } from './payload/body-budget.ts';
import { endTurn, type Recorder, type Settled } from './record.ts';
import type { Routed } from './route.ts';
import { type ConnectionEnd, type Holding, Settlement } from './settlement.ts';
import { answerCall } from './translate/answer-call.ts';
import { Tries } from './tries.ts';
import { firstByteMsOf, mostInterims, type TimeLimits, totalMsOf } from './upstream-call.ts';

export interface RelaySettings extends DeliverySettings {
  readonly times: TimeLimits;
}

export interface RelayTools {
  readonly settings: RelaySettings;
  readonly recorder: Recorder;
  readonly running: ActiveRequests;
  /** The budget of request bodies. */
  readonly bodies: BodyBudget;
}

export async function relay(routed: Routed, exchange: Exchange, tools: RelayTools): Promise<Settled> {
  const answered = routed.translation && answerCall(routed, exchange, tools);
  if (answered) return answered;
  const call = new UpstreamCall(routed, exchange, tools);
  tools.running.add(call);
  try {
    return await call.over;
  } finally {
    tools.running.remove(call);
  }
}

/**
 * The same for a call that has fallbacks. If no server of its model can be reached and no byte of it has left, resolves with the model
 * that takes its place, and the exchange goes on. `next`: the model; undefined if there is none.
 */
export async function relayOrLeave(
  routed: Routed,
  exchange: Exchange,
  tools: RelayTools,
  next: () => NamedModel | undefined,
): Promise<Settled | NamedModel> {
  const answered = routed.translation && answerCall(routed, exchange, tools);
  if (answered) return answered;
  const left = Promise.withResolvers<NamedModel>();
  const call = new UpstreamCall(routed, exchange, tools, () => {
    const model = exchange.response.headersSent ? undefined : next();
    if (model) left.resolve(model);
    return model !== undefined;
  });
  tools.running.add(call);
  try {
    return await Promise.race([call.over, left.promise]);
  } finally {
    tools.running.remove(call);
  }
}

/** How long a refusal of the model server may be read to its end, which keeps the connection reusable. */
const restMs = 1_000;
const restBytes = 16 * 1024;
/** How long the body of an error may take. */
const errorBodyMs = 10_000;

const over = new Error('the exchange is over');

/** A faulty answer is never the caller's fault. */
const toFailure = (cause: unknown): GatewayError =>
  cause instanceof GatewayError && cause.owner !== 'client' ? cause : new GatewayError('upstream_failed', { cause });

/** One call at a model server: the handler of the HTTP client, and the way to end the call from outside. */
class UpstreamCall implements Run, Holding, Dispatcher.DispatchHandler {
  readonly call: Routed;
  readonly exchange: Exchange;
  deadlineMs = Infinity;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly #tools: RelayTools;
  readonly #tries: Tries;
  readonly #answer: Answer;
  readonly #settlement: Settlement;
  #controller: Dispatcher.DispatchController | undefined;
  /** 1xx responses so far. */
  #interims = 0;
  #restBytes = 0;
  /** The first piece of its stream has arrived. */
  #hasBegun = false;
  /** The call's deadline before its end mark arrived; undefined until then. */
  #markedMs: MonotonicMs | undefined;

  /** Whether the call is carried on elsewhere; undefined: never. */
  readonly #leaves: (() => boolean) | undefined;

  constructor(routed: Routed, exchange: Exchange, tools: RelayTools, leaves?: () => boolean) {
    this.#leaves = leaves;
    this.exchange = exchange;
    this.call = routed;
    this.#tools = tools;
    this.#tries = new Tries(routed, exchange, tools);
    this.#answer = new Answer(exchange, routed, this.#tries, tools.settings, () => this.#controller?.resume());
    this.#settlement = new Settlement(exchange, this.#answer, tools, this);
    this.#settlement.listen();
    if (!this.#settlement.isSettled) this.#dispatch();
  }

  get over(): Promise<Settled> {
    return this.#settlement.over;
  }

  #dispatch(): void {
    const { times } = this.#tools.settings;
    const now = this.#tools.recorder.nowMs();
    this.deadlineMs = now + firstByteMsOf(this.call, times);
    if (this.call.operation.body === 'blob') continueIfAsked(this.exchange, this.exchange.response);
    try {
      this.#tries.dispatch(now, times, this);
    } catch (cause) {
      this.#settlement.fail(cause instanceof GatewayError ? cause : new GatewayError('upstream_failed', { cause }));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#tries.noteSent();
    this.#controller = controller;
    if (this.#settlement.isSettled) {
      this.#tries.cancel(controller, over);
      return;
    }
    // From here on the call may have a cost, even without an answer.
    this.exchange.meter = meterFor(this.#tries.served.reply, this.call.stream, promptOf(this.call));
  }

  onBodySent(chunk: Buffer): void {
    if (this.call.operation.body === 'blob') this.exchange.bytesIn += chunk.length;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#settlement.isSettled || (status < 200 && ++this.#interims <= mostInterims)) return;
    this.#tries.noteHead(status, headers);
    const now = this.#tools.recorder.nowMs();
    this.exchange.firstByteMs = Math.round(now - this.exchange.startedMs);
    this.deadlineMs = this.#tries.dispatchedMs + totalMsOf(this.call, this.#tools.settings.times);
    this.#answer.status = status;
    const refusal = this.#tries.mayLackRoute(status) ? undefined : refusalOf(status, this.call);
    if (refusal) this.#refuse(refusal);
    else
      try {
        const carriage = this.#answer.begin(status, headers);
        // A refusal of the route itself is short; one that does not end must not hold a turn at the model.
        const bodyMs = this.#mayLackRoute ? restMs : errorBodyMs;
        if (carriage === 'error') this.deadlineMs = Math.min(this.deadlineMs, now + bodyMs);
      } catch (cause) {
        this.#settlement.fail(toFailure(cause));
      }
  }

  /** Its answer is an error, which may say that the server lacks the route. */
  get #mayLackRoute(): boolean {
    const { status } = this.#answer;
    return status >= 400 && this.#tries.mayLackRoute(status);
  }

  #refuse(refusal: GatewayError): void {
    if (refusal instanceof ModelNotFound) {
      this.exchange.meter = silentMeter;
      this.#settlement.fail(refusal, 'upstream_error');
    } else this.#settlement.fail(refusal);
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#settlement.isSettled) {
      this.#restBytes += piece.length;
      if (this.#restBytes > restBytes) this.#tries.cancel(controller, over);
      return;
    }
    const { assignment } = this.exchange;
    if (assignment !== undefined && !assignment.hasBegun) assignment.began();
    const { isCollecting, isStream } = this.#answer;
    if (isStream && !this.#hasBegun) this.#noteBeginning();
    try {
      const bytes = this.#answer.push(piece);
      if (this.#answer.isError) this.#sendError(bytes);
      else this.#send(bytes);
    } catch (cause) {
      // What the server has generated is counted, although the caller does not get it.
      if (!isCollecting) this.exchange.meter?.see(piece);
      this.#settlement.fail(toFailure(cause));
      return;
    }
    if (isCollecting) return;
    const { meter } = this.exchange;
    meter?.see(piece);
    if (isStream && this.#markedMs === undefined && meter?.done) this.#noteMark();
  }

  #noteBeginning(): void {
    this.#hasBegun = true;
    this.#tries.noteFirstPiece();
  }

  /**
   * The answer is complete; only the end of its framing may follow. The turn at the model is over, and a server that
   * stays silent instead holds nothing of the gateway's until the deadline.
   */
  #noteMark(): void {
    const now = this.#tools.recorder.nowMs();
    this.#markedMs = this.deadlineMs;
    this.deadlineMs = Math.min(this.deadlineMs, now + restMs);
    this.#tries.release();
    endTurn(this.exchange, now);
  }

  #send(bytes: Buffer): void {
    if (bytes.length === 0 || this.#settlement.isSettled) return;
    const fate = this.#answer.delivery.send(bytes);
    if (fate === 'dropped') this.#settlement.fail(new GatewayError('reader_stalled'));
    else if (fate === 'full') this.#controller?.pause();
  }

  #sendError(bytes: Buffer): void {
    this.exchange.meter?.end();
    if (this.exchange.beganEarly) this.#settlement.answeredInFrame(bytes);
    else this.#settlement.answered('upstream_error', bytes);
  }

  onResponseEnd(): void {
    if (this.#settlement.isSettled || this.#retriesWithoutField() || this.#endsWithoutRoute()) return;
    this.#endAnswer();
  }

  #endAnswer(): void {
    if (this.#markedMs !== undefined) this.deadlineMs = this.#markedMs;
    let last: Buffer = nothing;
    try {
      last = this.#answer.end();
    } catch (cause) {
      this.#settlement.fail(toFailure(cause));
      return;
    }
    if (this.#answer.isError) {
      this.#sendError(last);
      return;
    }
    const whole = this.exchange.meter?.end() ?? true;
    if (whole) {
      const failed = this.#answer.status >= 400 || this.exchange.meter?.errorSeen === true;
      this.#settlement.answered(failed ? 'upstream_error' : 'completed', last);
      return;
    }
    // A clean end without the end mark would look like a complete answer to every client.
    this.#send(last);
    this.#settlement.fail(new GatewayError('upstream_incomplete'));
  }

  /** A strict server refused a field that the gateway added: retry without it. */
  #retriesWithoutField(): boolean {
    const error = this.#answer.errorBytes;
    if (!error || !this.#tries.retriesWithoutField(this.#answer.status, error)) return false;
    this.#repeat();
    return true;
  }

  #repeat(): void {
    this.#answer.forget();
    this.#tries.release();
    this.#dispatch();
  }

  /** The server may lack the route: repeat the call on another one, or report what its status means otherwise. */
  #endsWithoutRoute(): boolean {
    const { status } = this.#answer;
    const inspected = this.#tries.mayLackRoute(status) ? this.#answer.inspected : undefined;
    if (!inspected) return false;
    let refusal: GatewayError | undefined;
    try {
      if (this.#tries.retriesTranslated(status, inspected)) {
        this.#repeat();
        return true;
      }
      refusal = refusalOf(status, this.call);
    } catch (cause) {
      refusal = toGatewayError(cause);
    }
    if (refusal) this.#refuse(refusal);
    return refusal !== undefined;
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#tries.release();
    if (this.#settlement.isSettled || this.#settlement.isAnswered) return;
    if (this.#markedMs !== undefined) {
      this.#endAnswer();
      return;
    }
    const { status } = this.#answer;
    if (status === 0 && this.#tries.retriesOnNewConnection(error)) {
      this.#dispatch();
      return;
    }
    const failure = readFailure(error, this.#tries.sent);
    // Before the slot is released, so that the next queued call is not sent there.
    if (status === 0) this.#tries.noteBroken(failure);
    if (this.#tries.triesNextServer()) this.#dispatch();
    else if (this.#tries.isUnsent && this.#leaves?.()) this.#settlement.leave();
    else this.#settlement.fail(failure);
  }

  /** Ends the call from outside: revocation, drain, a time limit, a stalled reader. */
  end(error: GatewayError): void {
    const { isSettled, isAnswered } = this.#settlement;
    if (isSettled) return;
    const isLate = error.code === 'upstream_timeout';
    if (isLate && this.#answer.status === 0) this.#tries.noteBroken(error);
    if (isLate && this.#markedMs !== undefined && !isAnswered) {
      this.#endAnswer();
      this.#tries.cancel(this.#controller, over);
      return;
    }
    const refusal = isLate && !isAnswered && this.#mayLackRoute ? refusalOf(this.#answer.status, this.call) : undefined;
    if (refusal) {
      this.#refuse(refusal);
      return;
    }
    // Once the model server is done, only the reader can exceed the time.
    this.#settlement.fail(isLate && isAnswered ? new GatewayError('reader_stalled') : error);
  }

  releaseServer(end: ConnectionEnd): void {
    if (end === 'cut-later') setTimeout(() => this.#tries.cancel(this.#controller, over), restMs).unref();
    else if (end === 'cut') this.#tries.cancel(this.#controller, over);
    this.#tries.release();
  }
}
