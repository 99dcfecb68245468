// Carries one call to a model server and its answer back: status, content type and body as they come, byte for byte,
// chunk by chunk. Takes a routed call; the promise resolves when the exchange is over, however it ended.
// The caller's hang-up aborts the upstream request at once, streaming or not, also before the first byte. A generation's
// stream is drained eagerly into the response's bounded buffer, since a reader that pauses Ollama can wedge its model
// slot (ollama#17131); a reader that lets the buffer fill is dropped. Whole answers and transfers, for which no model
// slot is held any more and which may be large, get ordinary back-pressure. No redirect is followed or passed on, and a call is
// tried elsewhere only while none of it has left (security HTTP-22).
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../domain/error.ts';
import type { Outcome } from '../domain/usage.ts';
import { clientHeaders, replaceLength, upstreamHeaders } from '../upstream/headers.ts';
import { withoutSecrets } from '../upstream/pass.ts';
import type { Upstream } from '../upstream/pool.ts';
import { setType, wrongType } from './answer-type.ts';
import { ModelNotFound } from './authorize.ts';
import { continueIfAsked } from './body.ts';
import type { Exchange } from './exchange.ts';
import { readFailure } from './failure.ts';
import { promptOf } from './figures.ts';
import { failedMeterFor, meterFor, silentMeter } from './meter.ts';
import { filterModels } from './model-list.ts';
import { type Operation, upstreamPath } from './operation.ts';
import { viaName } from './receive.ts';
import { type Recorder, settle } from './record.ts';
import { type AnswerSettings, breakOff, refuse } from './refuse.ts';
import type { Routed } from './route.ts';
import type { Run, Running } from './running.ts';
import { endWith } from './unread.ts';
import { UsageFilter } from './usage-filter.ts';

export interface TimeLimits {
  readonly firstByteMs: number;
  readonly silenceMs: number;
  readonly totalMs: number;
  readonly metadataMs: number;
  readonly transferSilenceMs: number;
}

export interface RelaySettings extends AnswerSettings {
  readonly times: TimeLimits;
  /** Bytes of an answer that may wait for a slow reader before it is dropped. */
  readonly readerBufferBytes: number;
  readonly listBytes: number;
}

export interface RelayTools {
  readonly settings: RelaySettings;
  readonly recorder: Recorder;
  readonly running: Running;
}

export async function relay(routed: Routed, exchange: Exchange, tools: RelayTools): Promise<void> {
  const passage = new Passage(routed, exchange, tools);
  tools.running.add(passage);
  try {
    await passage.over;
  } finally {
    tools.running.remove(passage);
  }
}

class Passage implements Run, Dispatcher.DispatchHandler {
  readonly exchange: Exchange;
  readonly deadlineMs: number;
  readonly over: Promise<void>;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly #routed: Routed;
  readonly #tools: RelayTools;
  readonly #response: ServerResponse;
  readonly #operation: Operation;
  #finished!: () => void;
  #settled = false;
  #onSocketClose: (() => void) | undefined;
  #candidate = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #sent = false;
  #status = 0;
  #collected: Buffer[] | undefined;
  #collectedBytes = 0;
  #headers: string[] = [];
  #filter: UsageFilter | undefined;
  /** The last two bytes that went out, to know whether a last frame starts in mid-line. */
  #tail = 0;

  constructor(routed: Routed, exchange: Exchange, tools: RelayTools) {
    this.exchange = exchange;
    this.#routed = routed;
    this.#tools = tools;
    this.#response = exchange.response;
    this.#operation = routed.operation;
    const { times } = tools.settings;
    const totalMs = { inference: times.totalMs, metadata: times.metadataMs, transfer: Infinity }[this.#operation.time];
    this.deadlineMs = tools.recorder.nowMs() + totalMs;
    this.over = new Promise((resolve) => {
      this.#finished = resolve;
    });
    this.#response.on('close', () => this.#closed());
    const { socket } = exchange.request;
    // A response that stands behind another on its connection does not hear of the hang-up by itself.
    if (this.#response.socket === null) {
      this.#onSocketClose = () => this.#closed();
      socket.setMaxListeners(0).once('close', this.#onSocketClose);
    }
    if (this.#response.destroyed || socket.destroyed) this.#closed();
    else this.#dispatch();
  }

  #dispatch(): void {
    const upstream = this.#routed.candidates[this.#candidate] as Upstream;
    const { request } = this.exchange;
    this.exchange.upstream = upstream.name;
    upstream.inFlight++;
    const { times } = this.#tools.settings;
    const quick = this.#operation.time === 'metadata';
    const { bodyType } = this.#routed;
    const headers = upstreamHeaders(request.headers, `1.1 ${viaName}`, upstream.pass.headers, bodyType);
    const streamsUp = this.#operation.body === 'blob';
    if (streamsUp) {
      continueIfAsked(this.exchange, this.#response);
      if (request.headers['content-length'] !== undefined)
        headers.push('content-length', request.headers['content-length']);
    }
    try {
      upstream.dispatcher.dispatch(
        {
          method: this.#operation.methods.includes(request.method as string)
            ? (request.method as Dispatcher.HttpMethod)
            : 'GET',
          path: upstream.basePath + upstreamPath(this.#routed),
          headers,
          body: streamsUp ? request : (this.#routed.body ?? null),
          headersTimeout: quick ? times.metadataMs : streamsUp ? 0 : times.firstByteMs,
          bodyTimeout: quick
            ? times.metadataMs
            : this.#operation.time === 'transfer'
              ? times.transferSilenceMs
              : times.silenceMs,
        },
        this,
      );
    } catch (cause) {
      this.#fail(new GatewayError('upstream_failed', { cause }));
    }
  }

  // ---- what the model server does

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#sent = true;
    this.#controller = controller;
    if (this.#settled) {
      controller.abort(new Error('the exchange is over'));
      return;
    }
    // From here on it may cost something, even if nothing ever comes back.
    this.exchange.meter = meterFor(this.#operation.reply, this.exchange.streamed, promptOf(this.#routed));
  }

  onBodySent(chunk: Buffer): void {
    if (this.#operation.body === 'blob') this.exchange.bytesIn += chunk.length;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#settled || status < 200) return;
    this.exchange.firstByteMs = Math.round(this.#tools.recorder.nowMs() - this.exchange.startedMs);
    this.#status = status;
    const known = this.#routed.models.find((model) => model.name !== undefined);
    if (status === 404 && known) {
      // Said in our own bytes, so that a missing model and a hidden one cannot be told apart (house: hidden models).
      this.exchange.meter = silentMeter;
      this.#refuse(new ModelNotFound(known.text), 'upstream_error');
    } else if (status === 401 || status === 403) {
      // The model server refuses the gate, not the caller: a 401 would send people to look for a fault in their key,
      // and Ollama's carries a sign-in address of the operator's account.
      this.#fail(new GatewayError('upstream_refused', { cause: `status ${status}` }));
    } else if (status > 599 || (status >= 300 && status < 400 && status !== 304)) {
      this.#fail(new GatewayError('upstream_failed', { cause: `status ${status}` }));
    } else this.#begin(status, headers);
  }

  #begin(status: number, headers: IncomingHttpHeaders): void {
    const { exchange } = this;
    const lines = clientHeaders(headers);
    if (!setType(this.#operation, status, headers, lines)) {
      this.#fail(new GatewayError('upstream_failed', { message: wrongType }));
      return;
    }
    if (status >= 400) {
      exchange.meter = failedMeterFor(this.#operation.reply, headers['content-type'], promptOf(this.#routed));
      lines.push('x-sekisho-error-owner', 'upstream');
      if (headers['content-encoding'] === undefined && this.exchange.request.method !== 'HEAD') {
        this.#headers = lines;
        this.#collected = [];
        return;
      }
    } else if (filtersList(this.#operation, this.#routed)) {
      this.#headers = lines;
      this.#collected = [];
      return;
    } else if (exchange.streamed && isNoStream(headers)) {
      // Loading and unloading a model answers with one JSON object, whatever `stream` says; and what is encoded, though
      // we ask for no encoding, cannot be read as a stream. Both are carried as they come.
      exchange.meter = meterFor(this.#operation.reply, false, promptOf(this.#routed));
    } else if (exchange.streamed) {
      if (this.#routed.usageInjected) this.#filter = new UsageFilter();
      if (!lines.includes('cache-control')) lines.push('cache-control', 'no-cache');
      lines.push('x-accel-buffering', 'no');
    }
    this.#writeHead(status, lines);
  }

  #writeHead(status: number, lines: string[]): void {
    const { exchange } = this;
    lines.push('x-request-id', exchange.id, ...this.#tools.settings.ownHeaders, ...exchange.cors, ...exchange.lines);
    if (bodyPending(exchange)) lines.push('connection', 'close');
    try {
      this.#response.writeHead(status, lines);
    } catch (cause) {
      this.#fail(new GatewayError('upstream_failed', { cause }));
    }
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    if (this.#collected) {
      this.exchange.meter?.see(chunk);
      this.#collectedBytes += chunk.length;
      if (this.#collectedBytes > this.#tools.settings.listBytes) this.#fail(new GatewayError('upstream_failed'));
      else this.#collected.push(chunk);
      return;
    }
    try {
      this.#send(this.#filter ? this.#filter.push(chunk) : chunk);
    } catch (cause) {
      this.#fail(new GatewayError('upstream_failed', { cause }));
      return;
    }
    this.exchange.meter?.see(chunk);
  }

  #send(bytes: Buffer): void {
    if (bytes.length === 0 || this.#settled) return;
    const { exchange } = this;
    exchange.bytesOut += bytes.length;
    this.#tail =
      bytes.length > 1 ? bytes.readUInt16BE(bytes.length - 2) : ((this.#tail << 8) | (bytes[0] as number)) & 0xffff;
    if (this.#response.write(bytes)) return;
    if (this.#operation.time === 'inference' && exchange.streamed) {
      if (this.#response.writableLength > this.#tools.settings.readerBufferBytes)
        this.#fail(new GatewayError('reader_stalled'));
    } else if (this.#controller?.paused === false) {
      this.#controller.pause();
      this.#response.once('drain', () => this.#controller?.resume());
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    if (this.#collected) {
      try {
        // HEAD has no list to filter, and the length of the whole one would say how much is hidden.
        const isHead = this.exchange.request.method === 'HEAD';
        const whole = Buffer.concat(this.#collected);
        const body =
          this.#status >= 400
            ? withoutSecrets(whole, this.#routed.candidates[this.#candidate] as Upstream)
            : isHead
              ? whole
              : filterModels(this.#operation.reply, whole, this.#routed.principal);
        this.#writeHead(this.#status, replaceLength(this.#headers, isHead ? undefined : body.length));
        this.#send(body);
      } catch (cause) {
        this.#fail(new GatewayError('upstream_failed', { cause }));
        return;
      }
    } else if (this.#filter) this.#send(this.#filter.end());
    const whole = this.exchange.meter?.end() ?? true;
    // A clean end without the end mark looks like a complete answer to every client; it must not.
    if (!whole) this.#fail(new GatewayError('upstream_incomplete'));
    else {
      const failed = this.#status >= 400 || this.exchange.meter?.errorSeen === true;
      this.#finish(failed ? 'upstream_error' : 'completed');
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) {
      this.#release();
      return;
    }
    const failure = readFailure(error, this.#sent);
    // Before the slot comes free: whoever waits for it is not to be sent there.
    if (this.#status === 0 && failure.code !== 'upstream_timeout')
      (this.#routed.candidates[this.#candidate] as Upstream).doubt();
    if (!this.#sent && this.#candidate + 1 < this.#routed.candidates.length) {
      this.#release();
      this.#candidate++;
      this.#dispatch();
      return;
    }
    this.#fail(failure);
  }

  // ---- how it ends

  /** Somebody else ends it: revocation, drain, a time limit, a stuck reader. */
  end(error: GatewayError): void {
    if (!this.#settled) this.#fail(error);
  }

  #closed(): void {
    if (this.#settled) return;
    // OpenAI's clients hang up on [DONE], before the last bytes of the framing: they have the whole answer.
    if (
      this.exchange.streamed &&
      this.#response.headersSent &&
      this.#status < 400 &&
      this.exchange.meter?.end() === true
    ) {
      this.#conclude('completed', this.#status);
      return;
    }
    const error = new GatewayError('client_closed');
    this.#conclude('client_closed', this.#response.headersSent ? this.#status : error.status, error);
  }

  #finish(outcome: Outcome): void {
    this.#conclude(outcome, this.#status);
    endWith(this.exchange, undefined, this.#tools.settings.readerStallMs);
  }

  /** An answer of our own, before anything of the model server's has gone out. */
  #refuse(error: GatewayError, outcome: Outcome): void {
    this.#conclude(outcome, error.status, error);
    refuse(this.exchange, error, this.#tools.settings);
  }

  #fail(error: GatewayError): void {
    if (this.#settled) return;
    this.exchange.meter?.end();
    const outcome = error.owner === 'upstream' ? 'failed' : 'ended';
    if (!this.#response.headersSent) {
      this.#refuse(error, outcome);
      return;
    }
    this.#conclude(outcome, this.#status, error);
    const midLine = this.exchange.bytesOut > 0 && !this.#atBoundary();
    // A reader that does not read cannot be told; anybody else gets a frame.
    if (error.code === 'reader_stalled') this.#response.destroy();
    else breakOff(this.exchange, error, midLine);
  }

  #atBoundary(): boolean {
    return this.#operation.dialect === 'ollama' ? (this.#tail & 0xff) === 0x0a : this.#tail === 0x0a0a;
  }

  /** The record first, then the upstream's slot, then whoever waits for the end. */
  #conclude(outcome: Outcome, status: number, error?: GatewayError): void {
    this.#settled = true;
    if (this.#onSocketClose) this.exchange.request.socket.off('close', this.#onSocketClose);
    settle(this.exchange, error ? { outcome, status, error } : { outcome, status }, this.#tools.recorder);
    // An upstream error body of a refused call is small and is read to its end, which keeps the connection.
    if (outcome === 'completed' || error instanceof ModelNotFound) this.#release();
    else {
      this.#controller?.abort(new Error('the exchange is over'));
      this.#release();
    }
    this.#finished();
  }

  #released = false;
  #release(): void {
    if (this.#released) return;
    this.#released = true;
    const upstream = this.#routed.candidates[this.#candidate] as Upstream;
    upstream.inFlight--;
  }
}

/** Is part of the request's body still unread? Then the connection cannot carry another request. */
export function bodyPending({ request }: Exchange): boolean {
  const declared = request.headers['content-length'];
  return (
    !request.complete &&
    (request.headers['transfer-encoding'] !== undefined || (declared !== undefined && declared !== '0'))
  );
}

function isNoStream(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('application/json') === true || headers['content-encoding'] !== undefined;
}

function filtersList({ reply, methods }: Operation, { principal }: Routed): boolean {
  const isList = reply === 'ollama-models' || reply === 'openai-models';
  return isList && methods.includes('GET') && !(principal.models.all && principal.scopes.has('cloud'));
}
