// Certificates that the gateway obtains from an authority, and the data needed for that.
import type { WallMs } from '../../domain/time.ts';

export interface StoredCertificate {
  /** The authority and the names. */
  readonly id: string;
  /** PEM, leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** What an authority requests to verify control of a name (RFC 8555 §8). */
export interface Challenge {
  readonly token: string;
  readonly domain: string;
  /** The key authorization. */
  readonly answer: string;
  readonly expiresAt: number;
}

export interface CertificateStore {
  findCertificate(id: string): Promise<StoredCertificate | undefined>;
  saveCertificate(certificate: StoredCertificate): Promise<void>;
  /** The private key (PEM) of the account at that directory; `fresh` is stored if there is none. */
  acmeAccount(directory: string, fresh: string): Promise<string>;
  saveChallenge(challenge: Challenge): Promise<void>;
  findChallenge(
    by: { readonly token: string } | { readonly domain: string },
    now: WallMs,
  ): Promise<Challenge | undefined>;
  /** Removes these, and all that have expired. */
  removeChallenges(tokens: readonly string[], now: WallMs): Promise<void>;
}
