// People who sign in on the web, and one-time links that sign them in without a password. Pure.
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
 * `setup`: the recipient becomes a person of that account. `password`: sets a new password. `confirm`: proves that the
 * recipient reads mail at an address.
 */
export const linkPurposes = ['setup', 'password', 'confirm'] as const;
export type LinkPurpose = (typeof linkPurposes)[number];

export interface OneTimeLink {
  /** Hex SHA-256 of the code. */
  readonly digest: string;
  readonly purpose: LinkPurpose;
  /** The id of the account, person or application. */
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

/** The portal page for each kind of link. */
export const linkPages: Readonly<Record<LinkPurpose, string>> = {
  setup: 'setup',
  password: 'reset',
  confirm: 'confirm',
};

/** The end of placeholder addresses, for people without their own address here. RFC 2606 reserves .invalid. */
export const placeholderDomain = '@taken.invalid';

/** A unique placeholder address for a person without one. `id`: the person's or their application's. */
export const placeholderEmail = (id: string): string => `${id.toLowerCase()}${placeholderDomain}`;
