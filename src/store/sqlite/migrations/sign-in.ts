// Sign-in tables that the library does not manage: identities at providers, and single-use ids.
import { type Kysely, sql } from 'kysely';
import type { PersonId } from '../../../domain/id.ts';

interface OldCredential {
  accountId: string;
  idToken: string | null;
  userId: PersonId;
}

export async function openUsedOnce(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('used_once')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  // Sign-ins in progress must start again, and trusted devices must pass the second step again.
  await sql`delete from verifications`.execute(db);
}

export async function openIdentities(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('provider_identities')
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('person_id', 'text', (column) => column.notNull().references('people.id').onDelete('cascade'))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('provider_identities_key', ['issuer', 'subject'])
    .execute();
  await schema.createIndex('provider_identities_by_person').on('provider_identities').column('person_id').execute();
  // Rows used to be keyed by the subject alone. The stored ID token has the issuer; rows without one, or with a key
  // from a claim other than `sub`, become invalid.
  const { rows } = await sql<OldCredential>`
    select "accountId", "idToken", "userId" from credentials where "providerId" <> 'credential'`.execute(db);
  for (const { accountId, idToken, userId } of rows) {
    const { iss, sub } = claimsOf(idToken);
    if (iss === undefined || sub !== accountId) continue;
    await sql`
      insert into provider_identities (issuer, subject, person_id, created_at)
      values (${iss}, ${sub}, ${userId}, 0) on conflict do nothing`.execute(db);
  }
  await sql`delete from credentials where "providerId" <> 'credential'`.execute(db);
}

/** When a passkey last signed its owner in. */
export async function addPasskeyUse({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('passkeys').addColumn('lastUsedAt', 'text').execute();
}

function claimsOf(idToken: string | null): { iss?: string; sub?: string } {
  try {
    const claims: unknown = JSON.parse(Buffer.from(idToken?.split('.')[1] ?? '', 'base64url').toString());
    const { iss, sub } = claims as Record<string, unknown>;
    return typeof iss === 'string' && typeof sub === 'string' ? { iss, sub } : {};
  } catch {
    return {};
  }
}
