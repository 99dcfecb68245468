// Applying for access on the web: registration modes, invitations, applications and decisions. Pure.
import type { AccountId, ApplicationId, InviteId, PersonId } from './id.ts';
import type { Language } from './person.ts';

/**
 * `open`: issued at once. `domain`: at once for addresses of listed domains; others wait for an operator. `invite`:
 * needs a code. `approval`: an operator decides. `closed`: no applications.
 */
export const registrationModes = ['open', 'domain', 'invite', 'approval', 'closed'] as const;
export type RegistrationMode = (typeof registrationModes)[number];

/** Can be changed at run time. */
export interface Registration {
  readonly mode: RegistrationMode;
  /** The plan of a new account, unless the invitation or the operator names another. */
  readonly plan: string;
  /** Email domains that the mode `domain` accepts. */
  readonly domains: readonly string[];
  /** Domains whose mail server ignores dots before the @, in addition to the built-in ones. */
  readonly dotless: readonly string[];
  /** Applications that may wait for a decision; further ones are refused. */
  readonly maxPending: number;
}

/** Closed: the operator decides when to open the gateway. */
export const firstRegistration: Registration = {
  mode: 'closed',
  plan: 'trial',
  domains: [],
  dotless: [],
  maxPending: 200,
};

export interface Application {
  readonly id: ApplicationId;
  readonly name: string;
  /** Normalised. */
  readonly email: string;
  /** When the applicant proved that they read this mailbox; null if they have not. */
  readonly confirmedAt: number | null;
  readonly purpose: string;
  /** Models that the applicant asked for. The plan decides which they get. */
  readonly models: readonly string[];
  /** The plan that the applicant asked for. The decision may name another. */
  readonly wantedPlan: string | null;
  /** The person who signs in with it; null if the applicant did not ask to sign in. */
  readonly personId: PersonId | null;
  readonly language: Language | null;
  readonly status: 'pending' | 'approved' | 'rejected';
  /** Hex SHA-256 of the token with which only the applicant collects the key. */
  readonly claimDigest: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly decidedAt: number | null;
  readonly decidedBy: string | null;
  /** The reason that the operator or the rule gave. */
  readonly decision: string | null;
  readonly accountId: AccountId | null;
  /** When the key was collected; the token cannot be used again. */
  readonly claimedAt: number | null;
  /** Why an operator has to decide although a rule or an invitation would have accepted the applicant. */
  readonly held: HeldFor | null;
}

/**
 * `barred`: an account of this mailbox was closed while suspended by the ladder. `second`: the mailbox already has an
 * account.
 */
export const heldFor = ['barred', 'second'] as const;
export type HeldFor = (typeof heldFor)[number];

export interface Invite {
  readonly id: InviteId;
  /** Hex SHA-256 of the code. */
  readonly digest: string;
  /** The address it is for; null: anyone with the code. */
  readonly email: string | null;
  readonly plan: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

/**
 * Normalises an email address to one spelling, or returns undefined: exactly one @, ASCII only (a fullwidth ＠ or a
 * look-alike letter is another address, oauth2-proxy CVE-2026-40574), lower case, no spaces or control characters.
 * Refuses .invalid (RFC 2606): those are placeholders for people without an address here, and must not be claimed by
 * others.
 */
export function normalEmail(text: string): string | undefined {
  const trimmed = text.trim().toLowerCase();
  if (trimmed.length > 254 || !/^[\x21-\x7e]+$/.test(trimmed) || trimmed.endsWith('.invalid')) return undefined;
  return /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/.test(
    trimmed,
  )
    ? trimmed
    : undefined;
}
