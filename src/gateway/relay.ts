// Carries one call to a model server and its answer back: body as it comes, byte for byte, chunk by chunk. Takes a routed
// call; the promise resolves when the exchange is over, however it ended.
// The caller's hang-up aborts the upstream request at once, streaming or not, also before the first byte. The turn at the
// model ends with the end mark of its answer, not with its delivery (delivery.ts). No redirect is followed or passed on.
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Outcome } from '../domain/usage.ts';
import { clientHeaders } from '../upstream/headers.ts';
import type { ActiveRequests, Run } from './active-requests.ts';
import { bodyPending, carriageOf, refusalOf, streamLines } from './answer/answer-head.ts';
import { setType, wrongType } from './answer/answer-type.ts';
import { type Collected, collectedFor } from './answer/collected.ts';
import { cutOffAfter } from './answer/cut-off.ts';
import { Delivery, type DeliverySettings } from './answer/delivery.ts';
import { onHangUp } from './answer/hang-up.ts';
import { StreamBody } from './answer/stream-body.ts';
import { readFailure } from './answer/upstream-error.ts';
import { sayWhole } from './answer/whole-answer.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Exchange } from './exchange.ts';
import { failedMeterFor, meterFor, silentMeter } from './meter/meter.ts';
import { promptOf } from './meter/token-counts.ts';
import { ModelNotFound } from './model-access.ts';
import { continueIfAsked } from './payload/body.ts';
import { endTurn, type Recorder, type Settled, settle } from './record.ts';
import { refuse } from './refuse.ts';
import type { Routed } from './route.ts';
import { Tries } from './tries.ts';
import { firstByteMsOf, mostInterims, type TimeLimits, totalMsOf } from './upstream-call.ts';

export interface RelaySettings extends DeliverySettings {
  readonly times: TimeLimits;
}

export interface RelayTools {
  readonly settings: RelaySettings;
  readonly recorder: Recorder;
  readonly running: ActiveRequests;
}

export async function relay(routed: Routed, exchange: Exchange, tools: RelayTools): Promise<Settled> {
  const passage = new Passage(routed, exchange, tools);
  tools.running.add(passage);
  try {
    return await passage.over;
  } finally {
    tools.running.remove(passage);
  }
}

/** How long a refusal of the model server's may take to be read to its end, which keeps its connection. */
const restMs = 1_000;
const restBytes = 16 * 1024;
/** How long the body of an error may take. */
const errorBodyMs = 10_000;

const over = new Error('the exchange is over');

/** What is wrong with an answer is never its caller's fault. */
const toFailure = (cause: unknown): GatewayError =>
  cause instanceof GatewayError && cause.owner !== 'client' ? cause : new GatewayError('upstream_failed', { cause });

class Passage implements Run, Dispatcher.DispatchHandler {
  readonly call: Routed;
  readonly exchange: Exchange;
  deadlineMs = Infinity;
  readonly over: Promise<Settled>;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly #tools: RelayTools;
  readonly #response: ServerResponse;
  readonly #operation: Operation;
  readonly #delivery: Delivery;
  #finished!: (settled: Settled) => void;
  #settled = false;
  readonly #stopListening: (() => void) | undefined;
  readonly #tries: Tries;
  #controller: Dispatcher.DispatchController | undefined;
  #dispatchedMs = 0;
  /** Answers of 1xx so far. */
  #interims = 0;
  #status = 0;
  #coding: string | undefined;
  /** What is read whole before anything goes on, and for which purpose. */
  #collected: Collected | undefined;
  #headers: string[] = [];
  #stream: StreamBody | undefined;
  #restBytes = 0;
  /** Everything of the answer has come. */
  #ended = false;
  /** When the call had to be over, once its end mark has come; before that undefined. */
  #markedMs: MonotonicMs | undefined;

  constructor(routed: Routed, exchange: Exchange, tools: RelayTools) {
    this.exchange = exchange;
    this.call = routed;
    this.#tools = tools;
    this.#response = exchange.response;
    this.#operation = routed.operation;
    this.#tries = new Tries(routed, exchange);
    this.over = new Promise((resolve) => {
      this.#finished = resolve;
    });
    this.#delivery = new Delivery(exchange, routed, tools.settings, () => this.#controller?.resume());
    this.#stopListening = onHangUp(exchange, () => this.#closed());
    if (!this.#settled) this.#dispatch();
  }

  #dispatch(): void {
    const { times } = this.#tools.settings;
    this.#dispatchedMs = this.#tools.recorder.nowMs();
    this.deadlineMs = this.#dispatchedMs + firstByteMsOf(this.call, times);
    if (this.#operation.body === 'blob') continueIfAsked(this.exchange, this.#response);
    try {
      this.#tries.dispatch(times, this);
    } catch (cause) {
      this.#fail(new GatewayError('upstream_failed', { cause }));
    }
  }

  // ---- what the model server does

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#tries.sent = true;
    this.#controller = controller;
    if (this.#settled) {
      controller.abort(over);
      return;
    }
    // From here on it may cost something, even if nothing ever comes back.
    this.exchange.meter = meterFor(this.#operation.reply, this.call.stream, promptOf(this.call));
  }

  onBodySent(chunk: Buffer): void {
    if (this.#operation.body === 'blob') this.exchange.bytesIn += chunk.length;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#settled || (status < 200 && ++this.#interims <= mostInterims)) return;
    this.exchange.firstByteMs = Math.round(this.#tools.recorder.nowMs() - this.exchange.startedMs);
    this.deadlineMs = this.#dispatchedMs + totalMsOf(this.call, this.#tools.settings.times);
    this.#status = status;
    const refusal = refusalOf(status, this.call);
    if (refusal instanceof ModelNotFound) {
      this.exchange.meter = silentMeter;
      this.#fail(refusal, 'upstream_error');
    } else if (refusal) this.#fail(refusal);
    else this.#begin(status, headers);
  }

  #begin(status: number, headers: IncomingHttpHeaders): void {
    const { exchange } = this;
    const lines = clientHeaders(headers);
    this.#headers = lines;
    this.#coding = headers['content-encoding'];
    const carriage = carriageOf(this.call, exchange, status, headers);
    const isKnown = carriage === 'error' || setType(this.#operation, status, headers, lines);
    exchange.takesComments = carriage === 'stream' && lines.some((line) => line.startsWith('text/event-stream'));
    if (!isKnown) {
      this.#fail(new GatewayError('upstream_failed', { message: wrongType }));
      return;
    }
    this.#collected = collectedFor(carriage, exchange, this.#tools.settings.answers);
    switch (carriage) {
      case 'error':
        exchange.meter = failedMeterFor(this.#operation.reply, headers['content-type'], promptOf(this.call));
        this.deadlineMs = Math.min(this.deadlineMs, this.#tools.recorder.nowMs() + errorBodyMs);
        return;
      case 'list':
        return;
      case 'stream':
        this.#tries.noteStream();
        this.#stream = new StreamBody(this.#tries.server.screen, this.#tries.usageInjected, exchange.frames.areEvents);
        this.#headers = streamLines(lines);
        this.#writeHead();
        return;
      default:
        if (this.call.stream) exchange.meter = meterFor(this.#operation.reply, false, promptOf(this.call));
        if (!this.#collected) this.#writeHead();
    }
  }

  #writeHead(): void {
    const { exchange } = this;
    if (exchange.beganEarly) return;
    const lines = this.#headers;
    lines.push('x-request-id', exchange.id, ...this.#tools.settings.ownHeaders, ...exchange.cors, ...exchange.lines);
    if (bodyPending(exchange)) lines.push('connection', 'close');
    try {
      this.#delivery.begin(this.#status, lines);
    } catch (cause) {
      this.#fail(new GatewayError('upstream_failed', { cause }));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) {
      this.#restBytes += chunk.length;
      if (this.#restBytes > restBytes) controller.abort(over);
      return;
    }
    try {
      if (this.#collected) {
        this.#collect(this.#collected, chunk);
        return;
      }
      this.#send(this.#stream ? this.#stream.push(chunk) : chunk);
    } catch (cause) {
      this.#fail(toFailure(cause));
      return;
    }
    const { meter } = this.exchange;
    meter?.see(chunk);
    if (this.#stream && this.#markedMs === undefined && meter?.done) this.#noteMark();
  }

  /**
   * The answer is whole, and what may still come is the end of its framing. The turn at the model is over, and a server that
   * keeps silent instead holds nothing of the gate's until its time is over.
   */
  #noteMark(): void {
    const now = this.#tools.recorder.nowMs();
    this.#markedMs = this.deadlineMs;
    this.deadlineMs = Math.min(this.deadlineMs, now + restMs);
    this.#tries.release();
    endTurn(this.exchange, now);
  }

  #collect(collected: Collected, chunk: Buffer): void {
    this.exchange.meter?.see(chunk);
    if (collected.add(chunk)) return;
    if (collected.purpose === 'list') this.#fail(new GatewayError('upstream_failed'));
    else if (collected.purpose === 'error' || !collected.mayGrow(this.#coding)) this.#sayCollected(collected, false);
  }

  /** An error is said anew, and that is the end; of everything else goes on what was read, and what follows with it. */
  #sayCollected(collected: Collected, isWhole: boolean): void {
    const { screen } = this.#tries.server;
    const head = { status: this.#status, coding: this.#coding, lines: this.#headers };
    const said = sayWhole(collected, isWhole, head, this.call, this.exchange, screen);
    this.#collected = undefined;
    this.#headers = said.lines;
    this.#writeHead();
    this.#send(said.body);
    if (!said.isError || this.#settled) return;
    this.exchange.meter?.end();
    if (this.exchange.beganEarly) {
      this.#conclude('upstream_error', this.#status);
      cutOffAfter(this.#response);
    } else this.#finish('upstream_error');
  }

  #send(bytes: Buffer): void {
    if (this.#settled) return;
    const fate = this.#delivery.send(bytes);
    if (fate === 'dropped') this.#fail(new GatewayError('reader_stalled'));
    else if (fate === 'full') this.#controller?.pause();
  }

  onResponseEnd(): void {
    if (this.#settled || this.#saidPlainly()) return;
    this.#endAnswer();
  }

  #endAnswer(): void {
    if (this.#markedMs !== undefined) this.deadlineMs = this.#markedMs;
    try {
      if (this.#collected) this.#sayCollected(this.#collected, true);
      else if (this.#stream) this.#send(this.#stream.end());
    } catch (cause) {
      this.#fail(toFailure(cause));
    }
    if (this.#settled) return;
    const whole = this.exchange.meter?.end() ?? true;
    // A clean end without the end mark looks like a complete answer to every client; it must not.
    if (!whole) this.#fail(new GatewayError('upstream_incomplete'));
    else {
      const failed = this.#status >= 400 || this.exchange.meter?.errorSeen === true;
      this.#finish(failed ? 'upstream_error' : 'completed');
    }
  }

  /** A strict server has refused a field of ours: the call is said once more without it. */
  #saidPlainly(): boolean {
    if (this.#collected?.purpose !== 'error') return false;
    if (!this.#tries.mayGoPlain(this.#status, this.#collected.bytes())) return false;
    this.#collected = undefined;
    this.#status = 0;
    this.#tries.release();
    this.#dispatch();
    return true;
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#tries.release();
    if (this.#settled || this.#ended) return;
    if (this.#markedMs !== undefined) {
      this.#endAnswer();
      return;
    }
    if (this.#status === 0 && this.#tries.mayGoAnew(error)) {
      this.#dispatch();
      return;
    }
    const failure = readFailure(error, this.#tries.sent);
    // Before the slot comes free, so that the next call in the queue is not sent there.
    if (this.#status === 0 && failure.code !== 'upstream_timeout') this.#tries.server.health.doubt();
    if (this.#tries.mayGoOn()) this.#dispatch();
    else this.#fail(failure);
  }

  // ---- how it ends

  /** Somebody else ends it: revocation, drain, a time limit, a stuck reader. */
  end(error: GatewayError): void {
    if (this.#settled) return;
    if (error.code === 'upstream_timeout' && this.#markedMs !== undefined && !this.#ended) {
      this.#endAnswer();
      this.#controller?.abort(over);
      return;
    }
    // Where the model server is done, only the reader can still take time.
    const late = error.code === 'upstream_timeout' && this.#ended;
    this.#fail(late ? new GatewayError('reader_stalled') : error);
  }

  #closed(): void {
    if (this.#settled) return;
    // OpenAI's clients hang up on [DONE], before the last bytes of the framing: they have the whole answer.
    if (
      this.call.stream &&
      this.#response.headersSent &&
      this.#status < 400 &&
      this.#delivery.waitingBytes === 0 &&
      this.exchange.meter?.end() === true
    ) {
      this.#conclude('completed', this.#status);
      return;
    }
    this.exchange.meter?.end();
    this.#delivery.give();
    const error = new GatewayError('client_closed');
    this.#conclude('client_closed', this.#response.headersSent ? this.#status || 200 : error.status, error);
  }

  /** The model server has said everything: its turn is over, and what is left is the reader's own time. */
  #finish(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#delivery.waitingBytes > 0) {
      this.#tries.release();
      endTurn(this.exchange, this.#tools.recorder.nowMs());
    }
    this.#delivery.end(() => this.#conclude(outcome, this.#status));
  }

  /** Says so: in an answer of our own, or, where one has begun, in its last frame. */
  #fail(error: GatewayError, outcome: Outcome = error.owner === 'upstream' ? 'failed' : 'ended'): void {
    if (this.#settled) return;
    this.exchange.meter?.end();
    if (!this.#response.headersSent) {
      refuse(this.#conclude(outcome, error.status, error), error, this.#tools.settings);
      return;
    }
    // What came of a line that was cut goes on; it holds no error.
    if (this.#stream && error.code !== 'reader_stalled') this.#delivery.send(this.#stream.cut());
    this.#delivery.passRest(error);
    this.#conclude(outcome, this.#status || 200, error);
    this.#delivery.breakOff(error);
  }

  /** The record first, then the upstream's place, then whoever waits for the end. */
  #conclude(outcome: Outcome, status: number, error?: GatewayError): Settled {
    this.#settled = true;
    this.#stopListening?.();
    const ending = error ? { outcome, status, error } : { outcome, status };
    const settled = settle(this.exchange, ending, this.#tools.recorder);
    // The body of a refusal is small: reading it to its end keeps the connection.
    if (error && outcome === 'upstream_error') setTimeout(() => this.#controller?.abort(over), restMs).unref();
    else if (outcome !== 'completed') this.#controller?.abort(over);
    this.#tries.release();
    this.#finished(settled);
    return settled;
  }
}
