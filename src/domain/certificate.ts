// Client certificates as credentials. One is known by the SHA-256 of its public key, not by its name, which an authority
// may give to anybody, nor by itself, so that it can be renewed with the same key (as RFC 7469 pins, section 2.4).
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { digestOf } from './api-key.ts';
import type { WallMs } from './time.ts';

/** Hex, 64 characters; undefined where the text is no certificate in PEM. */
export function certificateDigest(pem: string): string | undefined {
  // Not with a `\s*` before it: that would read a text of line feeds once for each of them.
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) return undefined;
  try {
    return publicKeyDigest(new X509Certificate(pem));
  } catch {
    return undefined;
  }
}

interface Shown {
  readonly digest: string;
  /** Unix milliseconds. */
  readonly until: number;
}

const known = new WeakMap<Socket, Shown | null>();

/**
 * Of the certificate that was shown on a connection, if it is one of the operator's authority and its time is not over;
 * undefined otherwise.
 */
export function shownCertificate(socket: Socket, now: WallMs): string | undefined {
  // Only of an encrypted connection is it ever true, and only where the authority, the dates and the list of what was
  // revoked say so.
  if (!(socket as TLSSocket).authorized) return undefined;
  let shown = known.get(socket);
  if (shown === undefined) {
    shown = readShown(socket as TLSSocket) ?? null;
    known.set(socket, shown);
  }
  // The handshake has looked at the dates, and a connection may outlive them.
  return shown !== null && now < shown.until ? shown.digest : undefined;
}

function readShown(socket: TLSSocket): Shown | undefined {
  const certificate = socket.getPeerX509Certificate?.();
  return certificate && { digest: publicKeyDigest(certificate), until: Date.parse(certificate.validTo) };
}

function publicKeyDigest({ publicKey }: X509Certificate): string {
  return digestOf(publicKey.export({ type: 'spki', format: 'der' }));
}
