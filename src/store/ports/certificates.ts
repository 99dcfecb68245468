// Certificates that the gate gets from an authority, and what that takes.
import type { WallMs } from '../../domain/time.ts';

export interface StoredCertificate {
  /** The authority and the names. */
  readonly id: string;
  /** PEM, the leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** What an authority will ask for to see that a name is ours (RFC 8555, section 8). */
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
  /** Private key (PEM) of the account there; `fresh` becomes it where there is none. */
  acmeAccount(directory: string, fresh: string): Promise<string>;
  saveChallenge(challenge: Challenge): Promise<void>;
  findChallenge(
    by: { readonly token: string } | { readonly domain: string },
    now: WallMs,
  ): Promise<Challenge | undefined>;
  /** Those, and all that are over. */
  removeChallenges(tokens: readonly string[], now: WallMs): Promise<void>;
}
