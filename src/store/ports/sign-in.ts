// What the store keeps of how people sign in, beside what the sign-in library keeps itself: passkeys, identities at providers, what
// works once, and where somebody is signed in.
import type { AuditEvent } from '../../domain/audit.ts';
import type { PersonId } from '../../domain/id.ts';
import type { Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import type { NewPerson } from './admission.ts';

export interface StoredPasskey {
  readonly id: string;
  readonly personId: PersonId;
  readonly name: string;
  /** Base64url, as the authenticator names it. */
  readonly credentialId: string;
  /** COSE. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly counter: number;
  readonly deviceType: string;
  readonly backedUp: boolean;
  readonly transports: readonly string[];
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly aaguid: string;
}

/** Who a provider means: its subjects are unique within it and nowhere else. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
}

export interface SignInStore {
  /** Claims what works once (a code of an authenticator app, a challenge); false where it was claimed before. */
  claimOnce(id: string, expiresAt: number): Promise<boolean>;
  listPasskeys(personId: PersonId): Promise<StoredPasskey[]>;
  findPasskey(credentialId: string): Promise<StoredPasskey | undefined>;
  /** Adds one while the session that asks for it still goes on, and while there are fewer than `most`. */
  insertPasskey(
    passkey: StoredPasskey,
    sessionId: string,
    most: number,
  ): Promise<'added' | 'taken' | 'too_many' | 'signed_out'>;
  /** Moves the signature counter; false where somebody else moved it, or the passkey is gone. */
  movePasskey(id: string, from: number, to: number): Promise<boolean>;
  /**
   * Only that person's own. Whoever came by it goes with it: every session ends but the one that is named, since a passkey is often
   * removed because somebody else has it.
   */
  deletePasskey(personId: PersonId, id: string, sessionId: string): Promise<boolean>;
  findPersonOfIdentity(identity: Identity): Promise<Person | undefined>;
  /**
   * Somebody new, with the identity that opens; false where the identity is known or the address taken. To an address that is
   * confirmed, somebody who merely wrote it down gives way.
   */
  insertVouched(person: Omit<NewPerson, 'passwordHash'>, identity: Identity, event: AuditEvent): Promise<boolean>;
  /** Those that a provider knows them by, the oldest first. */
  listIdentities(personId: PersonId): Promise<(Identity & { readonly createdAt: number })[]>;
  /** Where they are signed in, the oldest first; nothing that would let somebody in. */
  listSessions(personId: PersonId, now: WallMs): Promise<StoredVisit[]>;
  deleteIdentities(personId: PersonId): Promise<void>;
}

export interface StoredVisit {
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly address: string;
  readonly userAgent: string;
}
