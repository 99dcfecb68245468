// Rows of people and of how they sign in. The sign-in library names these columns itself, writes times as text (RFC
// 3339), and booleans as the database has them: integers in SQLite, booleans in PostgreSQL.
import type { ColumnType } from 'kysely';
import type { AccountId, PersonId, ViewId } from '../../domain/id.ts';

/** Always written as a boolean; SQLite returns 0 or 1. */
export type Flag = ColumnType<boolean | number, boolean, boolean>;

export interface PeopleTables extends SignInOwnTables {
  /** Written by the sign-in library, which names the columns. Only the library reads its other tables. */
  people: {
    id: PersonId;
    name: string;
    email: string;
    emailVerified: Flag;
    createdAt: string;
    updatedAt: string;
    twoFactorEnabled: Flag | null;
    accountId: AccountId | null;
    language: string | null;
  };
  credentials: {
    id: string;
    accountId: string;
    providerId: string;
    userId: PersonId;
    password: string | null;
    createdAt: string;
    updatedAt: string;
  };
  sessions: {
    id: string;
    userId: PersonId;
    createdAt: string;
    updatedAt: string;
    expiresAt: string;
    ipAddress: string | null;
    userAgent: string | null;
    provenAt: string | null;
  };
  verifications: { id: string; value: string; expiresAt: string };
  two_factors: { id: string; userId: PersonId };
}

interface SignInOwnTables {
  /** OpenID Connect Core §5.7: only issuer and subject together identify a person. */
  provider_identities: { issuer: string; subject: string; person_id: PersonId; created_at: number };
  /** Operators who look at the pages of a member now. */
  views: { id: ViewId; session_id: string; operator_id: PersonId; account_id: AccountId; started_at: number };
  used_once: { id: string; expires_at: number };
  passkeys: {
    id: string;
    name: string | null;
    publicKey: string;
    userId: PersonId;
    credentialID: string;
    counter: number;
    deviceType: string;
    backedUp: Flag;
    transports: string | null;
    createdAt: string | null;
    lastUsedAt: string | null;
    aaguid: string | null;
  };
}
