// The attempts of one call: which model server has it, and whether it is retried. It goes to another server only while
// no byte of it was sent (security HTTP-22), and to the same server again only if the call is idempotent, or if the
// server refused it unread: for a field that the gateway added, or because it lacks the route.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { type ErrorCode, GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Upstream } from '../upstream/server.ts';
import { bodyFor } from './answer/plain-stream.ts';
import { isStale } from './answer/upstream-error.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Exchange } from './exchange.ts';
import { bodiesOf } from './limits/account-usage.ts';
import { hasRoute } from './model-facts.ts';
import type { BodyBudget } from './payload/body-budget.ts';
import type { Recorder } from './record.ts';
import type { Routed } from './route.ts';
import { writeFigures } from './server-figures.ts';
import { CallTranslation, type Sending } from './translate/call-translation.ts';
import type { ServerBody } from './translate/server-body.ts';
import { laterRoutes } from './translate/translations.ts';
import { callOf, mayRepeat, type TimeLimits } from './upstream-call.ts';

export interface TryTools {
  readonly recorder: Pick<Recorder, 'nowMs'>;
  /** The budget of request bodies. */
  readonly bodies: BodyBudget;
}

/** For people who look at the server. */
const broken: Partial<Record<ErrorCode, string>> = {
  upstream_unreachable: 'a call could not connect',
  upstream_untrusted: 'a call could not trust its certificate',
  upstream_timeout: 'an answer did not begin in time',
};

export class Tries {
  readonly #routed: Routed;
  readonly #exchange: Exchange;
  #candidates: readonly Upstream[];
  #candidate = 0;
  /** The call is repeated on a new connection. */
  #onNewConnection = false;
  /** The model server refused the field with which the gateway requests a stream's usage. */
  #withoutField = false;
  #counted = false;
  /** A connection existed, and the request may have been sent. */
  sent = false;
  /** The same of any try. */
  #wasSent = false;
  /** The gateway, not the caller, requested the usage of the stream. */
  usageInjected = false;

  /** When the call was sent to the server. */
  dispatchedMs = 0;
  readonly #tools: TryTools;
  /** The call as the server gets it, if the server lacks its route. */
  #sending: Sending | undefined;
  /** The server has answered that it lacks the route. */
  #otherRoute: CallTranslation | undefined;

  constructor(routed: Routed, exchange: Exchange, tools: TryTools) {
    this.#routed = routed;
    this.#candidates = routed.candidates;
    this.#exchange = exchange;
    this.#tools = tools;
    if (!this.server.takesCalls) this.#nextServer();
  }

  get server(): Upstream {
    return this.#candidates[this.#candidate] as Upstream;
  }

  /** The server's operation: the call's own, or the one that the call is translated to. */
  get served(): Operation {
    return this.#sending?.served ?? this.#routed.operation;
  }

  /** How to write the answer; undefined if the server has the call's route. */
  get translated(): Sending['writing'] | undefined {
    return this.#sending?.writing;
  }

  elapsedMs(): number {
    return this.#tools.recorder.nowMs() - this.dispatchedMs;
  }

  /** @throws if the HTTP client rejects the call, or GatewayError if it cannot be written for this server. */
  dispatch(now: MonotonicMs, times: TimeLimits, handler: Dispatcher.DispatchHandler): void {
    const { server } = this;
    this.#exchange.notes.noteUpstream(server.name);
    server.begin();
    this.#exchange.server = server;
    this.#exchange.assignment?.moveTo(server);
    this.#counted = true;
    this.sent = false;
    this.dispatchedMs = now;
    this.#exchange.sentMs ??= Math.round(now - this.#exchange.startedMs);
    const changes = writeFigures(this.#routed, server);
    if (changes) this.#reportChanges(changes);
    const body = this.#bodyFor(server);
    (this.#onNewConnection ? server.openNew() : server.dispatcher).dispatch(
      callOf(this.#routed, this.served, this.#exchange.request, server, body, times),
      handler,
    );
  }

  #bodyFor(server: Upstream): Buffer | undefined {
    const { operation } = this.#routed;
    const plain = this.#withoutField || !server.takesStreamOptions;
    const translation = this.#otherRoute ?? (hasRoute(server, operation) ? undefined : this.#routed.translation);
    if (!translation) {
      this.#sending = undefined;
      const { body, usageInjected } = bodyFor(this.#routed, plain);
      this.usageInjected = usageInjected;
      return body;
    }
    const { sending, body } = translation.openFor(server, !plain);
    this.#sending = sending;
    this.usageInjected = sending.asksForUsage;
    return this.#write(body);
  }

  /** The caller's body stays too, for another server. */
  #write(body: ServerBody): Buffer {
    const { bodies } = this.#tools;
    const exchange = this.#exchange;
    const holder = bodiesOf(this.#routed.metering);
    if (!bodies.take(body.length, holder, exchange.network)) throw new GatewayError('bodies_too_many');
    exchange.heldBytes += body.length;
    exchange.heldBy = holder;
    return body.bytes();
  }

  /** The server need not continue. */
  cancel(running: Dispatcher.DispatchController | undefined, reason: Error): void {
    if (running) this.server.kind.cancel(running, reason);
  }

  /** The server has finished the call. */
  release(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#exchange.server = undefined;
    this.server.finish();
  }

  /** The head of an answer has arrived. Only inference shows whether the server can work. */
  noteHead(status: number, headers: IncomingHttpHeaders): void {
    const { operation, models } = this.#routed;
    if (operation.time !== 'inference') return;
    const { health, models: listed } = this.server;
    // Another host refuses the server there, not the server the gateway.
    if (status === 401 && models.some(({ name }) => name !== undefined && listed.remote.has(name.canonical))) return;
    // The type does not know that a repeated field is a list.
    const after: unknown = headers['retry-after'];
    health.answered(status, typeof after === 'string' ? after : undefined);
  }

  /** The first piece of a stream has arrived. */
  noteFirstPiece(): void {
    const elapsedMs = this.elapsedMs();
    this.#exchange.firstTokenMs = Math.round(this.dispatchedMs + elapsedMs - this.#exchange.startedMs);
    const model = this.#routed.models[0]?.name?.canonical;
    if (model !== undefined) this.server.peers.note(this.server, model, elapsedMs);
  }

  /** No answer has begun, and none will. */
  noteBroken({ code }: GatewayError): void {
    this.server.health.doubt(broken[code] ?? 'a call broke there');
  }

  /** When the first of the servers that load the model will have it, if that is known. */
  loadLeftMs(): number | undefined {
    const { candidates, others, models } = this.#routed;
    const left = [...candidates, ...(others?.() ?? [])]
      .map((server) => server.loadLeftMs(models[0]?.name?.canonical))
      .filter((ms) => ms !== undefined);
    return left.length === 0 ? undefined : Math.min(...left);
  }

  /** A stream has begun. If that required omitting the field, this server does not get the field again. */
  noteStream(): void {
    if (this.#withoutField) this.server.leaveStreamOptionsOut();
  }

  /**
   * Whether an answer with this status can mean that the server lacks the route: it lists the model, so that is not what it
   * misses. Its body says more.
   */
  mayLackRoute(status: number): boolean {
    if (status === 404 || status === 405 || status === 501) return this.#knowsOtherRoute;
    return status === 200 && this.server.kind.lacksRoute !== undefined && this.#knowsOtherRoute;
  }

  /**
   * Whether to repeat the call on another route of the server. `body`: of an answer that can mean that it lacks this one.
   * @throws GatewayError if the call cannot be translated.
   */
  retriesTranslated(status: number, body: Buffer): boolean {
    const text = body.toString('latin1');
    if (status === 200 ? !this.server.kind.lacksRoute?.(text) : /model/i.test(text)) return false;
    const translation = this.#routed.translation ?? CallTranslation.of(this.#routed);
    const refusal = translation?.refusalFor(this.server);
    if (refusal) throw refusal;
    this.#otherRoute = translation;
    return translation !== undefined;
  }

  get #knowsOtherRoute(): boolean {
    const { models, operation } = this.#routed;
    const model = models[0]?.name?.canonical;
    if (this.#sending || model === undefined || !laterRoutes.has(operation.path)) return false;
    return this.server.models.names?.has(model) === true;
  }

  /** An answer to a translated call has begun. If the server's own word was needed for it, it is remembered. */
  noteTranslated(): void {
    if (this.#otherRoute) this.server.noteLack(this.#routed.operation.path);
  }

  /** Whether to repeat the call on a new connection, because a kept one ended before any byte of an answer. */
  retriesOnNewConnection(error: Error): boolean {
    if (!this.sent || this.#onNewConnection || !isStale(error) || !mayRepeat(this.#routed, this.#exchange.request))
      return false;
    this.#onNewConnection = true;
    return true;
  }

  /** A connection existed; from now on bytes of the call may leave. */
  noteSent(): void {
    this.sent = this.#wasSent = true;
  }

  /** No byte of the call has left in any try. */
  get isUnsent(): boolean {
    return !this.#wasSent;
  }

  /** Whether to try another server. */
  triesNextServer(): boolean {
    return !this.sent && this.#nextServer();
  }

  /** Moves on to the next server that takes calls; one may have been drained since the call was routed. */
  #nextServer(): boolean {
    if (this.#candidate + 1 === this.#candidates.length) this.#addOthers();
    for (let at = this.#candidate + 1; at < this.#candidates.length; at++)
      if (this.#candidates[at]?.takesCalls === true) {
        this.#candidate = at;
        this.#otherRoute = undefined;
        return true;
      }
    return false;
  }

  #addOthers(): void {
    const { candidates, others } = this.#routed;
    if (others && this.#candidates === candidates) this.#candidates = [...candidates, ...others()];
  }

  /** Whether to repeat a refused call without the field that only the gateway added. */
  retriesWithoutField(status: number, body: Buffer): boolean {
    if (!this.usageInjected || this.#withoutField || !this.server.kind.usage.refusesStreamOptions(status, body))
      return false;
    this.#withoutField = this.#exchange.takesComments = true;
    return true;
  }

  /** Reports the changes for this server, instead of those for another. */
  #reportChanges(changes: readonly string[]): void {
    const { lines } = this.#exchange;
    const at = lines.indexOf('x-sekisho-changed');
    if (at >= 0) lines.splice(at, 2);
    if (changes.length > 0) lines.push('x-sekisho-changed', changes.join(', '));
  }
}
