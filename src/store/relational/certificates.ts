// Certificates obtained by the gateway, its account at the authority, and pending challenges.
import type { CertificateStore } from '../ports/certificates.ts';
import type { Connection } from './connection.ts';

export function certificateQueries({ db }: Connection): CertificateStore {
  return {
    findCertificate: async (id) => {
      const row = await db.selectFrom('certificates').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row) return undefined;
      const { chain, private_key: key } = row;
      return { id, chain, key, issuedAt: Number(row.issued_at), notAfter: Number(row.not_after) };
    },
    saveCertificate: async ({ id, chain, key, issuedAt, notAfter }) => {
      const row = { chain, private_key: key, issued_at: issuedAt, not_after: notAfter };
      await db
        .insertInto('certificates')
        .values({ id, ...row })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
    },
    acmeAccount: async (directory, fresh) => {
      await db
        .insertInto('acme_accounts')
        .values({ directory, private_key: fresh })
        .onConflict((conflict) => conflict.column('directory').doNothing())
        .execute();
      const rows = db.selectFrom('acme_accounts').select('private_key').where('directory', '=', directory);
      return (await rows.executeTakeFirstOrThrow()).private_key;
    },
    saveChallenge: async ({ token, domain, answer, expiresAt }) => {
      const row = { domain, answer, expires_at: expiresAt };
      await db
        .insertInto('acme_challenges')
        .values({ token, ...row })
        .onConflict((conflict) => conflict.column('token').doUpdateSet(row))
        .execute();
    },
    findChallenge: async (by, now) => {
      const rows = db
        .selectFrom('acme_challenges')
        .selectAll()
        .where('expires_at', '>', now)
        .orderBy('expires_at', 'desc');
      const row = await ('token' in by ? rows.where('token', '=', by.token) : rows.where('domain', '=', by.domain))
        .limit(1)
        .executeTakeFirst();
      return row && { token: row.token, domain: row.domain, answer: row.answer, expiresAt: Number(row.expires_at) };
    },
    removeChallenges: async (tokens, now) => {
      await db
        .deleteFrom('acme_challenges')
        .where((eb) => eb.or([...tokens.map((token) => eb('token', '=', token)), eb('expires_at', '<=', now)]))
        .execute();
    },
  };
}
