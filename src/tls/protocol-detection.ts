// The port of a gateway that encrypts. The first byte of a connection shows its protocol: 22 starts a TLS handshake; anything
// else is plain HTTP, which gets a refusal, while a TLS server would only disconnect.

import { constants } from 'node:crypto';
import type { Server as HttpServer } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer, type ServerOptions } from 'node:https';
import { Server, type Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { Certificates } from './certificates.ts';

export interface Encryption {
  readonly certificates: Certificates;
  /** Whether callers are asked for a certificate, and whether it is required. */
  readonly clientCertificates: 'none' | 'optional' | 'required';
  /** How long a handshake may take. */
  readonly handshakeMs: number;
  /** Answers a validation connection of an authority (RFC 8737); undefined if none is expected. */
  readonly challenged?: (firstBytes: Buffer) => TlsServer | undefined;
}

/** An HTTPS server that does not listen itself; `options` are those of node:http. */
export function openSecure(
  options: ServerOptions,
  { certificates, clientCertificates, handshakeMs }: Encryption,
): HttpsServer {
  const asked = clientCertificates !== 'none';
  const first = certificates.first?.options ?? {};
  const withTickets = (given: typeof first): typeof first =>
    // A resumed session would readmit a caller whose certificate was revoked.
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
  // Before node:https treats it as a bad request; a client without a finished handshake cannot be answered.
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
  /** Connections that have not sent a byte. */
  readonly #silent = new Set<Socket>();

  constructor(secure: HttpsServer, plain: HttpServer, { handshakeMs, challenged }: Encryption) {
    super({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000, highWaterMark: 64 * 1024 });
    this.#secure = secure;
    this.#plain = plain;
    this.#firstByteMs = handshakeMs;
    this.#challenged = challenged;
    this.on('connection', (socket: Socket) => this.#receive(socket));
    // Node starts its timeouts when a server listens, which these servers never do.
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
      // Buffered until complete, because bytes that are put back into the socket would immediately trigger another read.
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

/** Whether the first record of a handshake has arrived (RFC 8446, section 5.1); true for anything that is not a handshake. */
function isWholeHello(bytes: Buffer): boolean {
  return (
    bytes[0] !== handshakeByte || (bytes.length >= 5 && bytes.length >= 5 + Math.min(bytes.readUInt16BE(3), 16_384))
  );
}
