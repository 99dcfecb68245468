// Invitations, by the digest of their code. admission.ts uses them up.
import type { Selectable } from 'kysely';
import type { Invite } from '../../domain/application.ts';
import type { InvitationStore } from '../ports/invitations.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function invitationQueries({ db, transact }: Connection): InvitationStore {
  return {
    insertInvite: (invite, event) =>
      transact(async (transaction) => {
        await transaction
          .insertInto('invites')
          .values({
            id: invite.id,
            digest: invite.digest,
            email: invite.email,
            plan: invite.plan,
            created_at: invite.createdAt,
            expires_at: invite.expiresAt,
            used_at: invite.usedAt,
          })
          .execute();
        await writeAudit(transaction, event);
      }),
    listInvites: async (limit) => {
      const rows = await db.selectFrom('invites').selectAll().orderBy('id', 'desc').limit(limit).execute();
      return rows.map(inviteOf);
    },
    findInvite: async (digest, email, at) => {
      const row = await db
        .selectFrom('invites')
        .selectAll()
        .where('digest', '=', digest)
        .where('used_at', 'is', null)
        .where('expires_at', '>', at)
        .$if(email !== undefined, (query) =>
          query.where((where) => where.or([where('email', 'is', null), where('email', '=', email ?? '')])),
        )
        .executeTakeFirst();
      return row && inviteOf(row);
    },
  };
}

function inviteOf(row: Selectable<Tables['invites']>): Invite {
  return {
    id: row.id,
    digest: row.digest,
    email: row.email,
    plan: row.plan,
    createdAt: Number(row.created_at),
    expiresAt: Number(row.expires_at),
    usedAt: row.used_at === null ? null : Number(row.used_at),
  };
}
