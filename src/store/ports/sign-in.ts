// Sign-in data that the sign-in library does not manage: passkeys, identities at providers, one-time claims, and the
// list of sessions.
import type { AuditEvent } from '../../domain/audit.ts';
import type { PersonId } from '../../domain/id.ts';
import type { Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import type { NewPerson } from './admission.ts';

export interface StoredPasskey {
  readonly id: string;
  readonly personId: PersonId;
  readonly name: string;
  /** Base64url, as assigned by the authenticator. */
  readonly credentialId: string;
  /** COSE. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly counter: number;
  readonly deviceType: string;
  readonly backedUp: boolean;
  readonly transports: readonly string[];
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Of the last sign-in; null before the first one, and for those before it was kept. */
  readonly lastUsedAt: number | null;
  readonly aaguid: string;
}

/** A person at a provider: a subject is unique only within its provider. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
}

export interface SignInStore {
  /** Claims a single-use id (a code of an authenticator app, a challenge); false if it was already claimed. */
  claimOnce(id: string, expiresAt: number): Promise<boolean>;
  listPasskeys(personId: PersonId): Promise<StoredPasskey[]>;
  findPasskey(credentialId: string): Promise<StoredPasskey | undefined>;
  /** Adds a passkey if the requesting session is still open and there are fewer than `most`. */
  insertPasskey(
    passkey: StoredPasskey,
    sessionId: string,
    most: number,
  ): Promise<'added' | 'taken' | 'too_many' | 'signed_out'>;
  /** Advances the signature counter of a passkey that is used; false if another request advanced it, or the passkey is gone. */
  movePasskey(id: string, from: number, to: number, at: WallMs): Promise<boolean>;
  /** Renames the person's own passkey; false if it is not there. */
  renamePasskey(personId: PersonId, id: string, name: string): Promise<boolean>;
  /**
   * Deletes the person's own passkey and ends all their sessions except the named one, since a passkey is often removed
   * because another person has it.
   */
  deletePasskey(personId: PersonId, id: string, sessionId: string): Promise<boolean>;
  findPersonOfIdentity(identity: Identity): Promise<Person | undefined>;
  /**
   * Adds a new person with the identity that signs them in; false if the identity is known or the address taken. For a
   * confirmed address, an unconfirmed claim to it is dropped.
   */
  insertVouched(person: Omit<NewPerson, 'passwordHash'>, identity: Identity, event: AuditEvent): Promise<boolean>;
  /** The identities of a person at providers, oldest first. */
  listIdentities(personId: PersonId): Promise<(Identity & { readonly createdAt: number })[]>;
  /** The sessions of a person, oldest first, without anything that could be used to sign in. */
  listSessions(personId: PersonId, now: WallMs): Promise<StoredVisit[]>;
  /** Ends a session of the person; false if it is not there. */
  endSession(personId: PersonId, id: string): Promise<boolean>;
  /** Ends every session of the person except that one. */
  endOtherSessions(personId: PersonId, kept: string): Promise<void>;
  deleteIdentities(personId: PersonId): Promise<void>;
  /** Operators who can sign in with a password or passkey, and those who can through an identity at this issuer. */
  countOperatorSignIns(issuer: string): Promise<{ readonly own: number; readonly byIssuer: number }>;
}

export interface StoredVisit {
  readonly id: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** When it was last renewed, which a session in use is every few minutes. */
  readonly activeAt: number;
  readonly address: string;
  readonly userAgent: string;
}
