// The attempts of one call: which model server has it now, and whether it is sent once more. It goes to another server only
// while no byte of it has left (security HTTP-22), and to the same server again only if the call is idempotent, or if the
// server refused a field that the gate had added.
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
  /** It is sent once more, over a new connection. */
  #again = false;
  /** The model server has refused the field with which the gate asks for the usage of a stream. */
  #plain = false;
  #counted = false;
  /** The connection was there, and the request may have gone out. */
  sent = false;
  /** The gate, and not the caller, has asked for the usage of the stream. */
  usageInjected = false;

  constructor(routed: Routed, exchange: Exchange) {
    this.#routed = routed;
    this.#exchange = exchange;
    if (!this.server.takesCalls) this.#goOn();
  }

  get server(): Upstream {
    return this.#routed.candidates[this.#candidate] as Upstream;
  }

  /** @throws where the HTTP client refuses the call. */
  dispatch(times: TimeLimits, handler: Dispatcher.DispatchHandler): void {
    const { server } = this;
    this.#exchange.notes.noteUpstream(server.name);
    server.begin();
    this.#exchange.server = server;
    this.#counted = true;
    this.sent = false;
    const changes = writeFigures(this.#routed, server);
    if (changes) this.#say(changes);
    const { body, usageInjected } = bodyFor(this.#routed, this.#plain || !server.takesStreamOptions);
    this.usageInjected = usageInjected;
    (this.#again ? server.anew() : server.dispatcher).dispatch(
      callOf(this.#routed, this.#exchange.request, server, body, times),
      handler,
    );
  }

  /** The server need not go on with it. */
  cancel(running: Dispatcher.DispatchController | undefined, reason: Error): void {
    if (running) this.server.kind.cancel(running, reason);
  }

  /** The server is done with it. */
  release(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#exchange.server = undefined;
    this.server.finish();
  }

  /** A stream has begun. If it needed the call without the field, the server does not get the field again. */
  noteStream(): void {
    if (this.#plain) this.server.leaveStreamOptionsOut();
  }

  /** No byte of an answer came. Is the call to be sent over a new connection, since a kept one had ended? */
  mayGoAnew(error: Error): boolean {
    if (!this.sent || this.#again || !isStale(error) || !mayRepeat(this.#routed, this.#exchange.request)) return false;
    this.#again = true;
    return true;
  }

  /** Is it to be tried elsewhere? */
  mayGoOn(): boolean {
    return !this.sent && this.#goOn();
  }

  /** To the next server that takes calls; one may have been drained since the call was routed. */
  #goOn(): boolean {
    const { candidates } = this.#routed;
    for (let at = this.#candidate + 1; at < candidates.length; at++)
      if (candidates[at]?.takesCalls === true) {
        this.#candidate = at;
        return true;
      }
    return false;
  }

  /** A server has refused the call. Is it to be sent without the field that only the gate had added? */
  mayGoPlain(status: number, body: Buffer): boolean {
    if (!this.usageInjected || this.#plain || !this.server.kind.usage.refusesStreamOptions(status, body)) return false;
    this.#plain = this.#exchange.takesComments = true;
    return true;
  }

  /** Names what was changed for this server, in place of what would be changed for another. */
  #say(changes: readonly string[]): void {
    const { lines } = this.#exchange;
    const at = lines.indexOf('x-sekisho-changed');
    if (at >= 0) lines.splice(at, 2);
    if (changes.length > 0) lines.push('x-sekisho-changed', changes.join(', '));
  }
}
