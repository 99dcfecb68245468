// Sends one call to a published service and relays its answer, both streamed at the pace of the slower side and never held.
// A hang-up of the caller aborts the call at the service; revocation, drain and time limits end it (active-requests.ts).
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { AddressBlocks } from '../../domain/address.ts';
import { GatewayError, registry } from '../../domain/error.ts';
import { mayUseTool } from '../../domain/mcp-tools.ts';
import { readServicePath } from '../../domain/service-path.ts';
import { type ServiceServer, tryOrder } from '../../upstream/service-server.ts';
import type { Run } from '../active-requests.ts';
import type { ServiceAdmitted } from '../admit.ts';
import { bodyPending } from '../answer/answer-head.ts';
import { Delivery } from '../answer/delivery.ts';
import { isStale, readFailure } from '../answer/upstream-error.ts';
import type { Exchange } from '../exchange.ts';
import { continueIfAsked } from '../payload/body.ts';
import type { Settled } from '../record.ts';
import type { RelayTools } from '../relay.ts';
import { type ConnectionEnd, type Holding, Settlement } from '../settlement.ts';
import { mostInterims } from '../upstream-call.ts';
import { type CostMeter, costMeterFor, hasCost } from './cost-meter.ts';
import type { McpCall } from './mcp/take-mcp.ts';
import { ListEvents, type ToolFilter, WholeList } from './mcp/tool-list.ts';
import type { Published } from './published.ts';
import { hasBody, RequestBody } from './request-body.ts';
import { answerLines, brokeOff, refusalOf } from './service-answer.ts';
import { dropLine, requestOf, type ServiceTarget } from './service-request.ts';

export interface ServiceTools extends RelayTools {
  /** Those in front of the gate that are trusted. */
  readonly proxies: AddressBlocks;
}

export async function relayPublished(
  admitted: ServiceAdmitted,
  exchange: Exchange,
  tools: ServiceTools,
): Promise<Settled> {
  const call = new ServiceCall(admitted, exchange, tools);
  tools.running.add(call);
  try {
    return await call.over;
  } finally {
    tools.running.remove(call);
  }
}

const over = new Error('the exchange is over');
const nothing = Buffer.alloc(0);

/** One call at a service: the handler of the HTTP client, and the way to end the call from outside. */
class ServiceCall implements Run, Holding, Dispatcher.DispatchHandler {
  readonly call: ServiceAdmitted['call'];
  readonly exchange: Exchange;
  deadlineMs: number;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  /** Of the answer, as `Settlement` reads it. */
  status = 0;
  readonly delivery: Delivery;
  /** No answer is a stream in a format that the gate knows. */
  readonly isStreamed = false;
  readonly isEndless: boolean;
  readonly #tools: ServiceTools;
  readonly #published: Published;
  readonly #target: ServiceTarget;
  readonly #candidates: readonly ServiceServer[];
  readonly #totalAtMs: number;
  readonly #settlement: Settlement;
  readonly #cost: CostMeter | undefined;
  /** The answer may have a list of tools, which is shown as far as the caller may use them. */
  readonly #mayList: boolean;
  #filter: ToolFilter | undefined;
  /** The head of an answer that is held whole. */
  #lines: string[] = [];
  #at = 0;
  #body: RequestBody | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #counted = false;
  #sent = false;
  #onNewConnection = false;
  #interims = 0;

  constructor({ call, server }: ServiceAdmitted, exchange: Exchange, tools: ServiceTools) {
    this.call = call;
    this.exchange = exchange;
    this.#tools = tools;
    this.#published = call.operation.service;
    const { servers, route } = this.#published;
    this.#candidates = call.mcp?.session ? [call.mcp.session.server] : tryOrder(servers, server);
    this.#target = { published: this.#published, target: readServicePath(call.parameter), proxies: tools.proxies };
    this.isEndless = call.mcp?.waits === true;
    this.#mayList = route.mcp !== null && mayList(call.mcp, exchange.request.method);
    this.#cost = costMeterFor(route.cost, tools.recorder.nowMs, call.mcp?.tool);
    this.#totalAtMs = tools.recorder.nowMs() + (route.times.totalSeconds ?? Infinity) * 1000;
    this.deadlineMs = this.#totalAtMs;
    this.delivery = new Delivery(exchange, call, tools.settings, () => this.#controller?.resume());
    this.#settlement = new Settlement(exchange, this, tools, this);
    this.#settlement.listen();
    if (!this.#settlement.isSettled) this.#dispatch();
  }

  get over(): Promise<Settled> {
    return this.#settlement.over;
  }

  get #server(): ServiceServer {
    return this.#candidates[this.#at] as ServiceServer;
  }

  #dispatch(): void {
    const { request, response, notes } = this.exchange;
    const server = this.#server;
    const { bodyBytes, times } = this.#published.route;
    notes.noteUpstream(server.name);
    server.begin();
    this.exchange.server = server;
    this.#counted = true;
    this.#sent = false;
    const { body: held } = this.call;
    this.#body =
      !held && hasBody(request)
        ? new RequestBody(request, bodyBytes, times.idleSeconds * 1000, (count) => {
            this.exchange.bytesIn += count;
          })
        : undefined;
    // The HTTP client destroys it together with the call, and reports the error itself.
    this.#body?.on('error', () => undefined);
    if (this.#body) continueIfAsked(this.exchange, response);
    try {
      const options = requestOf(this.#target, request, server, held ?? this.#body, this.call.mcp?.session);
      // The answer has to be read.
      if (this.#mayList) dropLine(options.headers as string[], 'accept-encoding');
      (this.#onNewConnection ? server.openNew() : server.dispatcher).dispatch(options, this);
    } catch (cause) {
      this.#settlement.fail(new GatewayError('upstream_failed', { message: brokeOff, cause }));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#sent = true;
    this.#controller = controller;
    if (hasCost(this.call.mcp)) this.exchange.cost = this.#cost;
    if (this.#settlement.isSettled) controller.abort(over);
  }

  /** The whole request is on its way: from now on the time to the head counts. */
  onRequestSent(): void {
    const { headSeconds } = this.#published.route.times;
    if (this.status === 0)
      this.deadlineMs = Math.min(this.#totalAtMs, this.#tools.recorder.nowMs() + headSeconds * 1000);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#settlement.isSettled || (status < 200 && status !== 101 && ++this.#interims <= mostInterims)) return;
    const { exchange } = this;
    this.exchange.firstByteMs = Math.round(this.#tools.recorder.nowMs() - exchange.startedMs);
    this.status = status;
    this.#cost?.begin(status, headers);
    this.deadlineMs = this.#totalAtMs;
    try {
      const refusal = refusalOf(status);
      if (refusal) throw refusal;
      this.#begin(status, headers);
    } catch (cause) {
      this.#settlement.fail(toFailure(cause));
    }
  }

  #begin(status: number, headers: IncomingHttpHeaders): void {
    const { exchange } = this;
    const { published, target } = this.#target;
    const callersHost = exchange.request.headers.host;
    const lines = answerLines(status, headers, { published, server: this.#server, target, callersHost });
    lines.push('x-request-id', exchange.id, ...ownLines(published, this.#tools), ...exchange.cors, ...exchange.lines);
    if (bodyPending(exchange)) lines.push('connection', 'close');
    this.#showSession(headers, lines);
    this.#filter = this.#mayList && status < 300 ? this.#filterFor(headers) : undefined;
    if (this.#filter instanceof WholeList) this.#lines = lines;
    else this.delivery.begin(status, lines);
  }

  /** A session that the server has opened is the caller's. */
  #showSession(headers: IncomingHttpHeaders, lines: string[]): void {
    const { mcp, caller } = this.call;
    const id = headers['mcp-session-id'];
    if (mcp === undefined || typeof id !== 'string') return;
    const { sessions, name } = this.#published;
    const holder = { route: name, lineage: caller.principal.lineage };
    const shown = sessions.show({ id, server: this.#server }, holder);
    if (shown === undefined) throw new GatewayError('upstream_failed', { message: brokeOff, cause: 'its session id' });
    lines.push('mcp-session-id', shown);
  }

  /** @throws GatewayError `upstream_failed` for an answer that cannot be read. */
  #filterFor(headers: IncomingHttpHeaders): ToolFilter | undefined {
    const { caller, operation } = this.call;
    const tools = operation.service.route.mcp?.tools ?? [];
    const mayUse = (tool: string): boolean => mayUseTool(tools, caller.principal.scopes, tool);
    if (headers['content-encoding'] !== undefined) throw new GatewayError('upstream_failed', { message: brokeOff });
    if (headers['content-type']?.startsWith('text/event-stream') === true) return new ListEvents(mayUse);
    return this.exchange.request.method === 'POST' ? new WholeList(mayUse) : undefined;
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#settlement.isSettled) controller.abort(over);
    else if (this.#filter) this.#pass(this.#filter, controller, piece);
    else if (this.delivery.send(piece) === 'full') controller.pause();
  }

  #pass(filter: ToolFilter, controller: Dispatcher.DispatchController, piece: Buffer): void {
    try {
      const shown = filter.add(piece);
      if (shown.length > 0 && this.delivery.send(shown) === 'full') controller.pause();
    } catch (cause) {
      this.#settlement.fail(toFailure(cause));
    }
  }

  onResponseEnd(): void {
    const outcome = this.status >= 500 ? 'upstream_error' : 'completed';
    if (this.#settlement.isSettled) return;
    if (!this.#filter) this.#settlement.answered(outcome, nothing);
    else
      try {
        const last = this.#filter.end();
        if (this.#filter instanceof WholeList) this.#beginWhole(last);
        this.#settlement.answered(outcome, last);
      } catch (cause) {
        this.#settlement.fail(toFailure(cause));
      }
  }

  #beginWhole(last: Buffer): void {
    const lines = [...this.#lines];
    dropLine(lines, 'content-length');
    this.delivery.begin(this.status, [...lines, 'content-length', String(last.length)]);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#release();
    if (this.#settlement.isSettled || this.#settlement.isAnswered) return;
    if (error instanceof GatewayError) {
      this.#settlement.fail(error);
      return;
    }
    if (this.#repeats(error)) {
      this.#dispatch();
      return;
    }
    const failure = readFailure(error, this.#sent);
    if (this.status === 0 && failure.code !== 'upstream_timeout') this.#server.doubt(failure.code);
    if (!this.#sent && this.#body?.isUsed !== true && this.#at + 1 < this.#candidates.length) {
      this.#at++;
      this.#dispatch();
      return;
    }
    this.#settlement.fail(toFailure(failure));
  }

  /** A kept connection had ended before an idempotent call without a body reached the service (RFC 9110 §9.2.2). */
  #repeats(error: Error): boolean {
    const { method } = this.exchange.request;
    const isIdempotent = method === 'GET' || method === 'HEAD';
    if (this.status !== 0 || !this.#sent || this.#onNewConnection || !isStale(error) || !isIdempotent) return false;
    this.#onNewConnection = true;
    return true;
  }

  /** What arrived of a broken answer is at its caller already. */
  cut(): Buffer {
    return nothing;
  }

  /** Ends the call from outside: revocation, drain, a time limit, a stalled reader. */
  end(error: GatewayError): void {
    if (this.#settlement.isSettled) return;
    const isReaders = error.code === 'upstream_timeout' && this.#settlement.isAnswered;
    this.#settlement.fail(isReaders ? new GatewayError('reader_stalled') : error);
  }

  releaseServer(end: ConnectionEnd): void {
    // What the caller still sends is read by the refusal, if there is one.
    if (end !== 'keep') {
      this.#body?.destroy();
      this.#controller?.abort(over);
    }
    this.#release();
  }

  #release(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.exchange.server = undefined;
    this.#server.finish();
  }
}

/** A service on its own host may have pages; one on the gate's host may not, since those could act as the portal's user. */
function ownLines({ hasOwnHost }: Published, { settings: { ownHeaders } }: ServiceTools): readonly string[] {
  return hasOwnHost ? hostLines : ownHeaders;
}

const hostLines = ['x-content-type-options', 'nosniff', 'referrer-policy', 'same-origin'] as const;

/** In words that fit a service. A faulty answer is never the caller's fault. */
export function toFailure(cause: unknown): GatewayError {
  if (!(cause instanceof GatewayError)) return new GatewayError('upstream_failed', { message: brokeOff, cause });
  const message = words.get(cause.code);
  return message !== undefined && cause.message === registry[cause.code].message
    ? new GatewayError(cause.code as WordedCode, { message, cause: cause.cause })
    : cause;
}

/** The answer to tools/list, and the stream of a session, which can repeat it (2025-11-25, "Resumability and Redelivery"). */
const mayList = (mcp: McpCall | undefined, method: string | undefined): boolean =>
  mcp?.method === 'tools/list' || method === 'GET';

type WordedCode = 'upstream_unreachable' | 'upstream_untrusted' | 'upstream_failed' | 'upstream_timeout';
const words: ReadonlyMap<string, string> = new Map<WordedCode, string>([
  ['upstream_unreachable', 'The service cannot be reached.'],
  ['upstream_untrusted', 'The gateway does not trust the certificate of the service.'],
  ['upstream_failed', brokeOff],
  ['upstream_timeout', 'The service took too long.'],
]);
