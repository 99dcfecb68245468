// The connections to one model server: a pool of kept ones, and a new one for a call that a kept one failed. It knows what
// the gate shows there, and whose certificate it believes; files that are read again hold for connections to come.
import { buildConnector, Client, Pool } from 'undici';
import type { Credentials } from './credentials.ts';

export class Connection {
  readonly dispatcher: Pool;
  readonly #origin: string;
  readonly #timeoutMs: number;
  #connect: buildConnector.connector;

  constructor(origin: string, timeoutMs: number, credentials: Credentials) {
    this.#origin = origin;
    this.#timeoutMs = timeoutMs;
    this.#connect = this.#connector(credentials);
    // No retry, redirect, cache or decompression: each has desynchronised somebody (undici CVE-2026-16728 and others).
    // The number of sockets is not limited here: admission is, and a request must never wait where a hang-up of its
    // caller cannot be seen.
    this.dispatcher = new Pool(origin, this.#options());
  }

  /** For one call over a connection that is new: those that are kept may all have ended when the server began anew. */
  anew(): { dispatch: Client['dispatch'] } {
    const client = new Client(this.#origin, this.#options());
    return {
      dispatch: (options, handler) => {
        const taken = client.dispatch(options, handler);
        // Waits for the call, and then ends the connection.
        client.close().catch(() => undefined);
        return taken;
      },
    };
  }

  /** For connections to come; those that are open stay. */
  renew(credentials: Credentials): void {
    this.#connect = this.#connector(credentials);
  }

  /** Ends every connection at once; what was still asked over one fails. */
  close(): Promise<void> {
    return this.dispatcher.destroy();
  }

  #options(): Client.Options {
    return {
      pipelining: 1,
      connect: (options, done) => this.#connect(options, done),
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 60_000,
      allowH2: false,
    };
  }

  /** A server's certificate is always checked: against the public authorities, or its own. */
  #connector({ tls }: Credentials): buildConnector.connector {
    return buildConnector({ timeout: this.#timeoutMs, ...tls, rejectUnauthorized: true });
  }
}
