// Opens one WebSocket at a published service for a caller, and carries its frames until either side ends it. The caller's connection
// is opened only after a 101 that answers the gateway's own handshake; any other answer of the service is an ordinary answer, small
// and whole, and closes the connection. So there is never a tunnel that only one side knows of.
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../../domain/error.ts';
import { detail } from '../../domain/refusal-details.ts';
import { readServicePath } from '../../domain/service-path.ts';
import { type ServiceServer, tryOrder } from '../../upstream/service-server.ts';
import type { Run } from '../active-requests.ts';
import type { ServiceAdmitted } from '../admit.ts';
import { onHangUp } from '../answer/hang-up.ts';
import { endWith } from '../answer/unread.ts';
import { isStale, readFailure } from '../answer/upstream-error.ts';
import type { Exchange } from '../exchange.ts';
import type { Ending } from '../observers.ts';
import { type Settled, settle } from '../record.ts';
import { refuse } from '../refuse.ts';
import { type CostMeter, costMeterFor } from '../services/cost-meter.ts';
import type { Published } from '../services/published.ts';
import { answerLines, refusalOf } from '../services/service-answer.ts';
import { type ServiceTools, toFailure } from '../services/service-call.ts';
import { requestOf, type ServiceTarget } from '../services/service-request.ts';
import { mostInterims } from '../upstream-call.ts';
import type { CallerSocket } from './caller-socket.ts';
import { type Handshake, type OwnHandshake, ownHandshake, plainProtocol, readHandshake } from './handshake.ts';
import type { OpenSockets } from './open-sockets.ts';
import { Refusal } from './refusal.ts';
import { Tunnel, type TunnelEnd } from './tunnel.ts';

export interface SocketTools extends ServiceTools {
  readonly openSockets: OpenSockets;
}

/** The bytes of all fragments of a message, in frames of the largest size. */
const framesOfMessage = 16;

/** @throws GatewayError `too_many_concurrent`, `no_web_socket`. */
export async function relaySocket(
  admitted: ServiceAdmitted,
  caller: CallerSocket,
  exchange: Exchange,
  tools: SocketTools,
): Promise<Settled> {
  const { call } = admitted;
  const { route, name } = call.operation.service;
  if (!route.webSocket) throw new GatewayError('no_web_socket');
  const { perKey } = route.webSocket;
  const leave = tools.openSockets.take(name, call.caller.principal.lineage, perKey);
  if (!leave)
    throw new GatewayError('too_many_concurrent', {
      message: detail('sockets_full', { service: name, most: String(perKey) }),
    });
  const run = new SocketCall(admitted, caller, exchange, tools);
  tools.running.add(run);
  try {
    return await run.over;
  } finally {
    tools.running.remove(run);
    leave();
  }
}

const over = new Error('the exchange is over');

/** The handler of the HTTP client until the service has answered, and the way to end the call from outside. */
class SocketCall implements Run, Dispatcher.DispatchHandler {
  readonly call: ServiceAdmitted['call'];
  readonly exchange: Exchange;
  readonly isEndless = true;
  readonly over: Promise<Settled>;
  deadlineMs: number;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly #tools: SocketTools;
  readonly #caller: CallerSocket;
  readonly #target: ServiceTarget;
  readonly #candidates: readonly ServiceServer[];
  readonly #theirs: Handshake;
  readonly #own: OwnHandshake;
  readonly #cost: CostMeter | undefined;
  readonly #stopListening: () => void;
  #finished!: (settled: Settled) => void;
  #at = 0;
  #interims = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #counted = false;
  #sent = false;
  #onNewConnection = false;
  #isSettled = false;
  #refusal: Refusal | undefined;
  #tunnel: Tunnel | undefined;

  constructor({ call, server }: ServiceAdmitted, caller: CallerSocket, exchange: Exchange, tools: SocketTools) {
    const published = call.operation.service;
    this.call = call;
    this.exchange = exchange;
    this.over = new Promise((resolve) => {
      this.#finished = resolve;
    });
    this.#tools = tools;
    this.#caller = caller;
    this.#candidates = tryOrder(published.servers, server);
    this.#target = { published, target: readServicePath(call.parameter), proxies: tools.proxies };
    this.#theirs = readHandshake(exchange.request.headers);
    this.#own = ownHandshake(this.#theirs.protocols);
    this.#cost = costMeterFor(published.route.cost, tools.recorder.nowMs);
    this.deadlineMs = tools.recorder.nowMs() + published.route.times.headSeconds * 1000;
    this.#stopListening = onHangUp(exchange, () => this.#fail(new GatewayError('client_closed'), 'client_closed'));
    if (!this.#isSettled) this.#dispatch();
  }

  get #published(): Published {
    return this.#target.published;
  }

  get #server(): ServiceServer {
    return this.#candidates[this.#at] as ServiceServer;
  }

  #dispatch(): void {
    const { exchange } = this;
    const server = this.#server;
    exchange.notes.noteUpstream(server.name);
    server.begin();
    exchange.server = server;
    this.#counted = true;
    this.#sent = false;
    try {
      const options = requestOf(this.#target, exchange.request, server, undefined);
      const lines = [...(options.headers as string[]), ...this.#own.lines];
      // Services compare it with their Host (ComfyUI, Jupyter). The gateway has compared the caller's with the route's list.
      if (exchange.request.headers.origin !== undefined) lines.push('origin', originAt(server));
      const dispatcher = this.#onNewConnection ? server.openNew() : server.dispatcher;
      dispatcher.dispatch({ ...options, headers: lines, upgrade: 'websocket' }, this);
    } catch (cause) {
      this.#fail(toFailure(cause));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#sent = true;
    this.#controller = controller;
    if (this.#isSettled) controller.abort(over);
    // From here on the call may have a cost, even without an answer.
    else this.exchange.cost = this.#cost;
  }

  onRequestUpgrade(
    _: Dispatcher.DispatchController,
    _status: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    socket.on('error', () => socket.destroy());
    if (this.#isSettled) {
      socket.destroy();
      return;
    }
    try {
      this.#cost?.begin(101, headers);
      const { protocol } = this.#own.check(headers);
      this.#open(protocol, socket);
    } catch (cause) {
      socket.destroy();
      this.#fail(toFailure(cause));
    }
  }

  #open(protocol: string | undefined, service: Duplex): void {
    const { exchange } = this;
    const { recorder, settings } = this.#tools;
    const webSocket = this.#published.route.webSocket;
    if (!webSocket) throw new GatewayError('no_web_socket');
    const { maxFrameBytes, idleSeconds, maxSeconds } = webSocket;
    const chosen = protocol ?? (this.#theirs.takesPlain ? plainProtocol : undefined);
    const lines = ['sec-websocket-accept', this.#theirs.accept, 'x-request-id', exchange.id, ...exchange.lines];
    if (chosen !== undefined) lines.push('sec-websocket-protocol', chosen);
    const caller = this.#caller.open(lines);
    this.#stopListening();
    const now = recorder.nowMs();
    exchange.firstByteMs = Math.round(now - exchange.startedMs);
    this.deadlineMs = now + maxSeconds * 1000;
    const limits = { maxFrameBytes, maxMessageBytes: maxFrameBytes * framesOfMessage };
    this.#tunnel = new Tunnel(
      caller,
      service,
      { limits, idleMs: idleSeconds * 1000, stallMs: settings.readerStallMs },
      exchange,
      (end) => this.#conclude({ ...end, status: 101 }),
    );
    this.#tunnel.open();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#isSettled || (status < 200 && status !== 101 && ++this.#interims <= mostInterims)) return;
    const error =
      refusalOf(status) ?? (status < 400 ? new GatewayError('upstream_failed', notOpened(status)) : undefined);
    this.#cost?.begin(status, headers);
    if (error) this.#fail(error);
    else this.#refusal = new Refusal(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#isSettled || !this.#refusal) controller.abort(over);
    else if (!this.#refusal.add(piece))
      this.#fail(new GatewayError('upstream_failed', notOpened(this.#refusal.status)));
  }

  /** The service has refused, with a small answer of its own, which its caller gets. */
  onResponseEnd(): void {
    if (this.#isSettled || !this.#refusal) return;
    const { exchange } = this;
    const { status, headers, body } = this.#refusal;
    const { published, target } = this.#target;
    const answered = { published, server: this.#server, target, callersHost: exchange.request.headers.host };
    try {
      const lines = answerLines(status, { ...headers, 'content-length': String(body.length) }, answered);
      exchange.bytesOut = body.length;
      this.#conclude({ outcome: 'upstream_error', status });
      const { ownHeaders, readerStallMs } = this.#tools.settings;
      exchange.response.writeHead(status, [...lines, 'x-request-id', exchange.id, ...ownHeaders, ...exchange.lines]);
      endWith(exchange, body, readerStallMs);
    } catch (cause) {
      this.#fail(toFailure(cause));
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#release();
    if (this.#isSettled) return;
    if (this.#sent && !this.#onNewConnection && !this.#refusal && isStale(error)) {
      this.#onNewConnection = true;
      this.#dispatch();
      return;
    }
    const failure = readFailure(error, this.#sent);
    if (!this.#refusal && failure.code !== 'upstream_timeout') this.#server.doubt(failure.code);
    if (!this.#sent && this.#at + 1 < this.#candidates.length) {
      this.#at++;
      this.#dispatch();
    } else this.#fail(toFailure(failure));
  }

  /** Ends the call from outside: revocation, drain, a time limit. */
  end(error: GatewayError): void {
    if (!this.#tunnel) this.#fail(toFailure(error));
    else this.#tunnel.end(error.code === 'upstream_timeout' ? new GatewayError('connection_over') : error);
  }

  /** Before the 101: the caller gets an ordinary refusal. */
  #fail(error: GatewayError, outcome: Ending['outcome'] = error.owner === 'upstream' ? 'failed' : 'ended'): void {
    if (this.#isSettled) return;
    const settled = this.#conclude({ outcome, status: error.status, error });
    this.#controller?.abort(over);
    refuse(settled, error, this.#tools.settings);
  }

  #conclude(end: TunnelEnd & Pick<Ending, 'status'>): Settled {
    this.#isSettled = true;
    this.#stopListening();
    const settled = settle(this.exchange, end, this.#tools.recorder);
    this.#release();
    this.#finished(settled);
    return settled;
  }

  #release(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.exchange.server = undefined;
    this.#server.finish();
  }
}

/** The origin of the service's own pages, as the service itself knows it. */
const originAt = ({ name, host }: ServiceServer): string =>
  host === undefined ? name : `${new URL(name).protocol}//${host}`;

const notOpened = (status: number): { readonly message: string; readonly cause: string } => ({
  message: 'The service did not open a WebSocket.',
  cause: `status ${status}`,
});
