// Client certificates as credentials. A certificate is identified by the SHA-256 of its public key: not by its name,
// which an authority may give to anyone, and not by its own digest, so it can be renewed with the same key (as pins of
// RFC 7469 §2.4).
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { digestOf } from './api-key.ts';
import type { WallMs } from './time.ts';

/** Hex, 64 characters; undefined if the text is not a PEM certificate. */
export function certificateDigest(pem: string): string | undefined {
  // `includes` instead of a regular expression that starts with `\s*`: that would take quadratic time on many line
  // feeds.
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
 * The digest of the client certificate shown on a connection, if the operator's authority issued it and it has not
 * expired; undefined otherwise.
 */
export function shownCertificate(socket: Socket, now: WallMs): string | undefined {
  // True only on an encrypted connection, after the authority, the dates and the revocation list were checked.
  if (!(socket as TLSSocket).authorized) return undefined;
  let shown = known.get(socket);
  if (shown === undefined) {
    shown = readShown(socket as TLSSocket) ?? null;
    known.set(socket, shown);
  }
  // The handshake checked the dates, but the connection may outlive them.
  return shown !== null && now < shown.until ? shown.digest : undefined;
}

function readShown(socket: TLSSocket): Shown | undefined {
  const certificate = socket.getPeerX509Certificate?.();
  return certificate && { digest: publicKeyDigest(certificate), until: Date.parse(certificate.validTo) };
}

function publicKeyDigest({ publicKey }: X509Certificate): string {
  return digestOf(publicKey.export({ type: 'spki', format: 'der' }));
}
