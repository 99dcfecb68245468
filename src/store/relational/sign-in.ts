// Passkeys, identities at providers, and single-use ids. Whatever may happen once, or a limited number of times, is one
// statement or transaction.
import type { Insertable, Selectable } from 'kysely';
import type { PersonId } from '../../domain/id.ts';
import type { SignInStore, StoredPasskey } from '../ports/sign-in.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import { freeAddress, insertPerson } from './new-person.ts';
import { personColumns, personOf } from './people.ts';
import type { Tables } from './tables.ts';

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of queries that share one connection
export function signInQueries({ db, transact }: Connection): SignInStore {
  const passkeys = () => db.selectFrom('passkeys').selectAll();
  return {
    claimOnce: async (id, expiresAt) => {
      const made = await db
        .insertInto('used_once')
        .values({ id, expires_at: expiresAt })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst();
      return Number(made.numInsertedOrUpdatedRows) > 0;
    },
    listPasskeys: async (personId) =>
      (await passkeys().where('userId', '=', personId).orderBy('createdAt').orderBy('id').execute()).map(passkeyOf),
    findPasskey: async (credentialId) => {
      const row = await passkeys().where('credentialID', '=', credentialId).executeTakeFirst();
      return row && passkeyOf(row);
    },
    insertPasskey: (passkey, sessionId, most) =>
      transact(async (transaction) => {
        const session = await transaction
          .selectFrom('sessions')
          .select('id')
          .where('id', '=', sessionId)
          .where('userId', '=', passkey.personId)
          .executeTakeFirst();
        if (!session) return 'signed_out';
        const { count } = await transaction
          .selectFrom('passkeys')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('userId', '=', passkey.personId)
          .executeTakeFirstOrThrow();
        if (Number(count) >= most) return 'too_many';
        const made = await transaction
          .insertInto('passkeys')
          .values(rowOf(passkey))
          .onConflict((conflict) => conflict.column('credentialID').doNothing())
          .executeTakeFirst();
        return Number(made.numInsertedOrUpdatedRows) > 0 ? 'added' : 'taken';
      }),
    movePasskey: async (id, from, to, at) => {
      const moved = await db
        .updateTable('passkeys')
        .set({ counter: to, lastUsedAt: new Date(at).toISOString() })
        .where('id', '=', id)
        .where('counter', '=', from)
        .executeTakeFirst();
      return Number(moved.numUpdatedRows) > 0;
    },
    renamePasskey: async (personId, id, name) => {
      const renamed = await db
        .updateTable('passkeys')
        .set({ name })
        .where('userId', '=', personId)
        .where('id', '=', id)
        .executeTakeFirst();
      return Number(renamed.numUpdatedRows) > 0;
    },
    deletePasskey: (personId, id, sessionId) =>
      transact(async (transaction) => {
        const gone = await transaction
          .deleteFrom('passkeys')
          .where('userId', '=', personId)
          .where('id', '=', id)
          .executeTakeFirst();
        if (Number(gone.numDeletedRows) === 0) return false;
        await transaction.deleteFrom('sessions').where('userId', '=', personId).where('id', '<>', sessionId).execute();
        return true;
      }),
    findPersonOfIdentity: async ({ issuer, subject }) =>
      personOf(
        await db
          .selectFrom('people')
          .innerJoin('provider_identities', 'provider_identities.person_id', 'people.id')
          .select(personColumns)
          .where('provider_identities.issuer', '=', issuer)
          .where('provider_identities.subject', '=', subject)
          .executeTakeFirst(),
      ),
    insertVouched: (person, { issuer, subject }, event) =>
      transact(async (transaction) => {
        const known = await transaction
          .selectFrom('provider_identities')
          .select('person_id')
          .where('issuer', '=', issuer)
          .where('subject', '=', subject)
          .executeTakeFirst();
        if (known) return false;
        if (person.emailVerified && !(await freeAddress(transaction, person.email))) return false;
        if (!(await insertPerson(transaction, { ...person, passwordHash: null }, null, event.at))) return false;
        await transaction
          .insertInto('provider_identities')
          .values({ issuer, subject, person_id: person.id, created_at: event.at })
          .execute();
        await writeAudit(transaction, event);
        return true;
      }),
    listIdentities: async (personId) => {
      const rows = await db
        .selectFrom('provider_identities')
        .selectAll()
        .where('person_id', '=', personId)
        .orderBy('created_at')
        .execute();
      return rows.map(({ issuer, subject, created_at }) => ({ issuer, subject, createdAt: Number(created_at) }));
    },
    listSessions: async (personId, now) => {
      const rows = await db
        .selectFrom('sessions')
        .select(['id', 'createdAt', 'updatedAt', 'expiresAt', 'ipAddress', 'userAgent'])
        .where('userId', '=', personId)
        .where('expiresAt', '>', new Date(now).toISOString())
        .orderBy('createdAt')
        .execute();
      return rows.map(({ id, createdAt, updatedAt, expiresAt, ipAddress, userAgent }) => ({
        id,
        createdAt: Date.parse(createdAt),
        expiresAt: Date.parse(expiresAt),
        activeAt: Date.parse(updatedAt),
        address: ipAddress ?? '',
        userAgent: userAgent ?? '',
      }));
    },
    endSession: async (personId, id) => {
      const gone = await db
        .deleteFrom('sessions')
        .where('userId', '=', personId)
        .where('id', '=', id)
        .executeTakeFirst();
      return Number(gone.numDeletedRows) > 0;
    },
    endOtherSessions: async (personId, kept) => {
      await db.deleteFrom('sessions').where('userId', '=', personId).where('id', '<>', kept).execute();
    },
    deleteIdentities: async (personId: PersonId) => {
      await db.deleteFrom('provider_identities').where('person_id', '=', personId).execute();
    },
    countOperatorSignIns: async (issuer) => {
      const operators = () =>
        db
          .selectFrom('accounts')
          .innerJoin('people', 'people.accountId', 'accounts.id')
          .where('role', '=', 'operator')
          .where('closed_at', 'is', null)
          .select(({ fn }) => fn.countAll<number>().as('count'));
      const own = operators().where((where) =>
        where.or([
          where.exists(
            where
              .selectFrom('credentials')
              .select('credentials.id')
              .whereRef('credentials.userId', '=', 'people.id')
              .where('password', 'is not', null),
          ),
          where.exists(
            where.selectFrom('passkeys').select('passkeys.id').whereRef('passkeys.userId', '=', 'people.id'),
          ),
        ]),
      );
      const byIssuer = operators().where((where) =>
        where.exists(
          where
            .selectFrom('provider_identities')
            .select('subject')
            .whereRef('person_id', '=', 'people.id')
            .where('issuer', '=', issuer),
        ),
      );
      const count = async (query: typeof own): Promise<number> => Number((await query.executeTakeFirstOrThrow()).count);
      return { own: await count(own), byIssuer: await count(byIssuer) };
    },
  };
}

function passkeyOf(row: Selectable<Tables['passkeys']>): StoredPasskey {
  return {
    id: row.id,
    personId: row.userId,
    name: row.name ?? '',
    credentialId: row.credentialID,
    publicKey: Buffer.from(row.publicKey, 'base64'),
    counter: row.counter,
    deviceType: row.deviceType,
    backedUp: Boolean(row.backedUp),
    transports: (row.transports ?? '').split(',').filter((each) => each !== ''),
    createdAt: row.createdAt === null ? 0 : Date.parse(row.createdAt),
    lastUsedAt: row.lastUsedAt === null ? null : Date.parse(row.lastUsedAt),
    aaguid: row.aaguid ?? '',
  };
}

function rowOf(passkey: StoredPasskey): Insertable<Tables['passkeys']> {
  return {
    id: passkey.id,
    userId: passkey.personId,
    name: passkey.name,
    credentialID: passkey.credentialId,
    publicKey: Buffer.from(passkey.publicKey).toString('base64'),
    counter: passkey.counter,
    deviceType: passkey.deviceType,
    backedUp: passkey.backedUp,
    transports: passkey.transports.join(','),
    createdAt: new Date(passkey.createdAt).toISOString(),
    lastUsedAt: passkey.lastUsedAt === null ? null : new Date(passkey.lastUsedAt).toISOString(),
    aaguid: passkey.aaguid,
  };
}
