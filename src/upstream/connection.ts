// The connections to one model server: a pool of kept ones, and a new one for a call whose kept connection had ended. New
// connections use the credentials and authorities that were read last.
import { buildConnector, Client, Pool } from 'undici';
import { joinWrites } from '../one-write.ts';
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
    // No retry, redirect, cache or decompression: each has desynchronized connections (undici CVE-2026-16728 and others).
    // The number of sockets is not limited here. Admission limits calls, and a request must never wait where the gate cannot
    // see that its caller has hung up.
    this.dispatcher = new Pool(origin, this.#options());
  }

  /** For one call over a new connection: all kept ones may have ended when the server restarted. */
  openNew(): { dispatch: Client['dispatch'] } {
    const client = new Client(this.#origin, this.#options());
    return {
      dispatch: (options, handler) => {
        const taken = client.dispatch(options, handler);
        // Closes the connection after the call.
        client.close().catch(() => undefined);
        return taken;
      },
    };
  }

  /** For new connections; open ones stay. */
  renew(credentials: Credentials): void {
    this.#connect = this.#connector(credentials);
  }

  /** Closes every connection at once. Requests on them fail. */
  close(): Promise<void> {
    return this.dispatcher.destroy();
  }

  #options(): Client.Options {
    return {
      pipelining: 1,
      connect: (options, done) =>
        this.#connect(options, (...[error, socket]) => (error ? done(error, null) : done(null, joinWrites(socket)))),
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 60_000,
      allowH2: false,
    };
  }

  /** The server's certificate is always verified, against the public authorities or the configured ones. */
  #connector({ tls }: Credentials): buildConnector.connector {
    return buildConnector({ timeout: this.#timeoutMs, ...tls, rejectUnauthorized: true });
  }
}
