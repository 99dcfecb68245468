// The attempts of one call: which model server has it, and whether it is retried. It goes to another server only while
// no byte of it was sent (security HTTP-22), and to the same server again only if the call is idempotent, or if the
// server refused a field that the gateway added.
import type { Dispatcher } from 'undici';
import type { Upstream } from '../upstream/server.ts';
import { bodyFor } from './answer/plain-stream.ts';
import { isStale } from './answer/upstream-error.ts';
import type { Exchange } from './exchange.ts';
import type { Routed } from './route.ts';
import { writeFigures } from './server-figures.ts';
import { callOf, mayRepeat, type TimeLimits } from './upstream-call.ts';

export class Tries {
  readonly #routed: Routed;
  readonly #exchange: Exchange;
  #candidate = 0;
  /** The call is repeated on a new connection. */
  #onNewConnection = false;
  /** The model server refused the field with which the gateway requests a stream's usage. */
  #withoutField = false;
  #counted = false;
  /** A connection existed, and the request may have been sent. */
  sent = false;
  /** The gateway, not the caller, requested the usage of the stream. */
  usageInjected = false;

  constructor(routed: Routed, exchange: Exchange) {
    this.#routed = routed;
    this.#exchange = exchange;
    if (!this.server.takesCalls) this.#nextServer();
  }

  get server(): Upstream {
    return this.#routed.candidates[this.#candidate] as Upstream;
  }

  /** @throws if the HTTP client rejects the call. */
  dispatch(times: TimeLimits, handler: Dispatcher.DispatchHandler): void {
    const { server } = this;
    this.#exchange.notes.noteUpstream(server.name);
    server.begin();
    this.#exchange.server = server;
    this.#counted = true;
    this.sent = false;
    const changes = writeFigures(this.#routed, server);
    if (changes) this.#reportChanges(changes);
    const { body, usageInjected } = bodyFor(this.#routed, this.#withoutField || !server.takesStreamOptions);
    this.usageInjected = usageInjected;
    (this.#onNewConnection ? server.openNew() : server.dispatcher).dispatch(
      callOf(this.#routed, this.#exchange.request, server, body, times),
      handler,
    );
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

  /** A stream has begun. If that required omitting the field, this server does not get the field again. */
  noteStream(): void {
    if (this.#withoutField) this.server.leaveStreamOptionsOut();
  }

  /** Whether to repeat the call on a new connection, because a kept one ended before any byte of an answer. */
  retriesOnNewConnection(error: Error): boolean {
    if (!this.sent || this.#onNewConnection || !isStale(error) || !mayRepeat(this.#routed, this.#exchange.request))
      return false;
    this.#onNewConnection = true;
    return true;
  }

  /** Whether to try another server. */
  triesNextServer(): boolean {
    return !this.sent && this.#nextServer();
  }

  /** Moves on to the next server that takes calls; one may have been drained since the call was routed. */
  #nextServer(): boolean {
    const { candidates } = this.#routed;
    for (let at = this.#candidate + 1; at < candidates.length; at++)
      if (candidates[at]?.takesCalls === true) {
        this.#candidate = at;
        return true;
      }
    return false;
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
