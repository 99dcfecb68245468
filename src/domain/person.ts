// A person who signs in on the web, and the one-time links that let somebody in without a password. Pure.
import type { AccountId, PersonId } from './id.ts';

export const languages = ['en', 'ja'] as const;
export type Language = (typeof languages)[number];

export interface Person {
  readonly id: PersonId;
  readonly name: string;
  /** Normalised. */
  readonly email: string;
  readonly emailVerified: boolean;
  readonly twoFactor: boolean;
  readonly language: Language | null;
  /** Null until an application is approved. */
  readonly accountId: AccountId | null;
}

/**
 * `setup`: whoever opens it becomes a person of that account. `password`: chooses a new password. `confirm`: shows that
 * mail to an address arrives.
 */
export const linkPurposes = ['setup', 'password', 'confirm'] as const;
export type LinkPurpose = (typeof linkPurposes)[number];

export interface OneTimeLink {
  /** Hex SHA-256 of the code. */
  readonly digest: string;
  readonly purpose: LinkPurpose;
  /** Id of the account, person or application it is about. */
  readonly subject: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

const hourMs = 3_600_000;
export const linkLifeMs: Readonly<Record<LinkPurpose, number>> = {
  setup: 24 * hourMs,
  password: hourMs,
  confirm: 48 * hourMs,
};

/** What the portal's page for a link is called. */
export const linkPages: Readonly<Record<LinkPurpose, string>> = {
  setup: 'setup',
  password: 'reset',
  confirm: 'confirm',
};

/** Ends the address of somebody who has none of their own here: RFC 2606 keeps that name from ever being anybody's. */
export const nobodysMailbox = '@taken.invalid';

/** The address of somebody who signs in under none; nobody can have the same. `id`: theirs, or their application's. */
export const standIn = (id: string): string => `${id.toLowerCase()}${nobodysMailbox}`;
