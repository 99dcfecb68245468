// Asking for access on the web: how registration is open, an invitation, an application and its decision. Pure.
import type { AccountId, ApplicationId, InviteId } from './id.ts';

/** `open`: issued at once. `invite`: with a code. `approval`: an operator decides. `closed`: nobody may ask. */
export const registrationModes = ['open', 'invite', 'approval', 'closed'] as const;
export type RegistrationMode = (typeof registrationModes)[number];

/** Changeable at run time. */
export interface Registration {
  readonly mode: RegistrationMode;
  /** What whoever is let in gets, if neither the invitation nor the operator says another. */
  readonly plan: string;
  /** Applications that may wait for a decision; more are turned away. */
  readonly maxPending: number;
}

/** Closed: whoever starts a gate decides for himself to open it. */
export const firstRegistration: Registration = { mode: 'closed', plan: 'trial', maxPending: 200 };

export interface Application {
  readonly id: ApplicationId;
  readonly name: string;
  /** Normalised; not verified. */
  readonly email: string;
  readonly purpose: string;
  /** Models that were asked for; what is given is the plan's affair. */
  readonly models: readonly string[];
  readonly status: 'pending' | 'approved' | 'rejected';
  /** Hex SHA-256 of the token with which the applicant, and nobody else, comes for the key. */
  readonly claimDigest: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly decidedAt: number | null;
  readonly decidedBy: string | null;
  /** What the operator, or the rule, had to say. */
  readonly decision: string | null;
  readonly accountId: AccountId | null;
  /** When the key was handed over; afterwards nobody gets another with the same token. */
  readonly claimedAt: number | null;
}

export interface Invite {
  readonly id: InviteId;
  /** Hex SHA-256 of the code. */
  readonly digest: string;
  /** Whom it is for; null is whoever has the code. */
  readonly email: string | null;
  readonly plan: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

/**
 * One spelling for one mailbox, or undefined where it cannot be one: exactly one @, ASCII only (a fullwidth ＠ or a
 * look-alike letter is another address, oauth2-proxy CVE-2026-40574), lower case, no spaces or control characters.
 */
export function normalEmail(text: string): string | undefined {
  const trimmed = text.trim().toLowerCase();
  if (trimmed.length > 254 || !/^[\x21-\x7e]+$/.test(trimmed)) return undefined;
  return /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/.test(
    trimmed,
  )
    ? trimmed
    : undefined;
}
