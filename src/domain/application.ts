// Asking for access on the web: how registration is open, an invitation, an application and its decision. Pure.
import type { AccountId, ApplicationId, InviteId, PersonId } from './id.ts';
import type { Language } from './person.ts';

/** `open`: issued at once. `domain`: at once for addresses of some domains, others wait for an operator. `invite`: with a code. `approval`: an operator decides. `closed`: nobody may ask. */
export const registrationModes = ['open', 'domain', 'invite', 'approval', 'closed'] as const;
export type RegistrationMode = (typeof registrationModes)[number];

/** Changeable at run time. */
export interface Registration {
  readonly mode: RegistrationMode;
  /** What whoever is let in gets, if neither the invitation nor the operator says another. */
  readonly plan: string;
  /** Of e-mail addresses that the mode `domain` lets in. */
  readonly domains: readonly string[];
  /** Domains whose mail server takes no notice of dots before the @, beside those that are known for it. */
  readonly dotless: readonly string[];
  /** Applications that may wait for a decision; more are turned away. */
  readonly maxPending: number;
}

/** Closed: opening the gateway is a decision for the person who runs it. */
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
  /** When whoever reads that mailbox confirmed it; null: nobody has. */
  readonly confirmedAt: number | null;
  readonly purpose: string;
  /** Models that were asked for; what is given is the plan's affair. */
  readonly models: readonly string[];
  /** A plan that was asked for; likewise. */
  readonly wantedPlan: string | null;
  /** Who signs in with it; null where it came without a wish to sign in. */
  readonly personId: PersonId | null;
  readonly language: Language | null;
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
  /** Why an operator has to decide, although a rule or an invitation would have let the applicant in. */
  readonly held: HeldFor | null;
}

/**
 * `barred`: an account of this mailbox was closed while a step of the ladder was in force against it. `second`: the mailbox has an
 * account already.
 */
export const heldFor = ['barred', 'second'] as const;
export type HeldFor = (typeof heldFor)[number];

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
 * look-alike letter is another address, oauth2-proxy CVE-2026-40574), lower case, no spaces or control characters. None under
 * .invalid (RFC 2606): those stand for people who have no address here, and somebody else must not take them first.
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
