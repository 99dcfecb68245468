// The one port of a gate that encrypts. The first byte of a connection says what its caller speaks: 22 opens a TLS
// handshake, anything else is plain HTTP, which gets a word of refusal where a TLS server would only hang up.

import { constants } from 'node:crypto';
import type { Server as HttpServer } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer, type ServerOptions } from 'node:https';
import { Server, type Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { Certificates } from './certificates.ts';

export interface Encryption {
  readonly certificates: Certificates;
  /** Are callers asked for a certificate, and may they have none? */
  readonly clientCertificates: 'none' | 'optional' | 'required';
  /** How long a handshake may take. */
  readonly handshakeMs: number;
  /** Answers a connection that an authority opened to validate a name (RFC 8737); undefined while none is expected. */
  readonly challenged?: (firstBytes: Buffer) => TlsServer | undefined;
}

/** An HTTPS server that does not listen by itself; `options` are those of node:http. */
export function openSecure(
  options: ServerOptions,
  { certificates, clientCertificates, handshakeMs }: Encryption,
): HttpsServer {
  const asked = clientCertificates !== 'none';
  const first = certificates.first?.options ?? {};
  const withTickets = (given: typeof first): typeof first =>
    // A resumed session would bring back a caller whose certificate has been revoked since.
    asked ? { ...given, secureOptions: Number(given.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET } : given;
  const server = createHttps({
    ...options,
    ...withTickets(first),
    ALPNProtocols: ['http/1.1'],
    SNICallback: (name, done) => done(null, certificates.contextFor(name)),
    requestCert: asked,
    rejectUnauthorized: clientCertificates === 'required',
    handshakeTimeout: handshakeMs,
  });
  // Before node:https makes a broken request of it: a client that has not finished the handshake cannot be told anything.
  server.prependListener('tlsClientError', (_error, socket) => socket.destroy());
  certificates.onChange((pair) => server.setSecureContext(withTickets(pair.options)));
  return server;
}

const handshakeByte = 0x16;

export class ProtocolDetector extends Server {
  readonly #secure: HttpsServer;
  readonly #plain: HttpServer;
  readonly #firstByteMs: number;
  readonly #challenged: Encryption['challenged'];
  /** Those who have not said a word. */
  readonly #silent = new Set<Socket>();

  constructor(secure: HttpsServer, plain: HttpServer, { handshakeMs, challenged }: Encryption) {
    super({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000, highWaterMark: 64 * 1024 });
    this.#secure = secure;
    this.#plain = plain;
    this.#firstByteMs = handshakeMs;
    this.#challenged = challenged;
    this.on('connection', (socket: Socket) => this.#receive(socket));
    // Node begins to watch over a server's connections when it listens; these never do it themselves.
    this.once('listening', () => {
      secure.emit('listening');
      plain.emit('listening');
    });
    this.once('close', () => {
      secure.close();
      plain.close();
    });
  }

  closeIdleConnections(): void {
    this.#secure.closeIdleConnections();
    this.#plain.closeIdleConnections();
    for (const socket of this.#silent) socket.destroy();
  }

  closeAllConnections(): void {
    this.#secure.closeAllConnections();
    this.#plain.closeAllConnections();
    for (const socket of this.#silent) socket.destroy();
  }

  #receive(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#firstByteMs);
    const onError = (): void => void socket.destroy();
    const leave = (): void => {
      clearTimeout(timer);
      this.#silent.delete(socket);
    };
    this.#silent.add(socket);
    socket.on('error', onError).once('close', leave);
    let bytes: Buffer = Buffer.alloc(0);
    const onReadable = (): void => {
      const more = socket.read() as Buffer | null;
      if (more) bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
      // Kept here until it is whole: what is put back into the socket would at once be readable again, without end.
      if (more && this.#challenged && !isWholeHello(bytes)) return;
      leave();
      socket.off('close', leave).off('error', onError).off('readable', onReadable);
      if (!more) {
        socket.destroy();
        return;
      }
      socket.unshift(bytes);
      const server = bytes[0] === handshakeByte ? (this.#challenged?.(bytes) ?? this.#secure) : this.#plain;
      server.emit('connection', socket);
    };
    socket.on('readable', onReadable);
  }
}

/** Has the first record of a handshake arrived (RFC 8446, section 5.1)? What is no handshake needs nothing more. */
function isWholeHello(bytes: Buffer): boolean {
  return (
    bytes[0] !== handshakeByte || (bytes.length >= 5 && bytes.length >= 5 + Math.min(bytes.readUInt16BE(3), 16_384))
  );
}
