// Applications. A step that may happen once, such as a claim, is one statement that changes nothing if it was already
// done; admission.ts has the steps that let people in.
import type { Selectable, Transaction } from 'kysely';
import { digestOf, type StoredKey } from '../../domain/api-key.ts';
import { type Application, heldFor } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { ApplicationId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { ApplicationStore } from '../ports/applications.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import { rowOfKey } from './keys.ts';
import type { AdmissionColumns, Tables } from './tables.ts';

export function applicationQueries({ db, transact }: Connection): ApplicationStore {
  return {
    findApplication: async (id) => {
      const row = await db.selectFrom('applications').selectAll().where('id', '=', id).executeTakeFirst();
      return row && applicationOf(row);
    },
    listApplications: async ({ status, before, limit }) => {
      let query = db.selectFrom('applications').selectAll().orderBy('id', 'desc').limit(limit);
      if (status !== undefined) query = query.where('status', '=', status);
      if (before !== undefined) query = query.where('id', '<', before as ApplicationId);
      return (await query.execute()).map(applicationOf);
    },
    findApplicationOf: async (personId) => {
      const row = await db
        .selectFrom('applications')
        .selectAll()
        .where('person_id', '=', personId)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && applicationOf(row);
    },
    holdApplication: (id, why, event) =>
      transact(async (transaction) => {
        await transaction.updateTable('applications').set({ held: why }).where('id', '=', id).execute();
        await writeAudit(transaction, event);
      }),
    decideApplication: (application, event) =>
      transact(async (transaction) => {
        const { status, decided_at, decided_by, decision, account_id } = rowOf(application);
        const result = await transaction
          .updateTable('applications')
          .set({ status, decided_at, decided_by, decision, account_id })
          .where('id', '=', application.id)
          .where('status', '=', 'pending')
          .returning('mailbox')
          .executeTakeFirst();
        if (!result) return false;
        // An operator admitted this mailbox deliberately, which settles the restrictions of an earlier account.
        if (status === 'approved')
          await transaction.deleteFrom('barred').where('digest', '=', digestOf(result.mailbox)).execute();
        await writeAudit(transaction, event);
        return true;
      }),
    reopenApplication: (id, decidedAt, event) => transact((transaction) => reopen(transaction, id, decidedAt, event)),
    claimApplication: (id, key, at, event) => transact((transaction) => claim(transaction, id, key, at, event)),
  };
}

export function rowOf(application: Application): Omit<Tables['applications'], keyof AdmissionColumns> {
  return {
    id: application.id,
    name: application.name,
    email: application.email,
    purpose: application.purpose,
    models: JSON.stringify(application.models),
    status: application.status,
    claim_digest: application.claimDigest,
    created_at: application.createdAt,
    decided_at: application.decidedAt,
    decided_by: application.decidedBy,
    decision: application.decision,
    account_id: application.accountId,
    claimed_at: application.claimedAt,
    confirmed_at: application.confirmedAt,
    person_id: application.personId,
    language: application.language,
    wanted_plan: application.wantedPlan,
    held: application.held,
  };
}

export function applicationOf(row: Selectable<Omit<Tables['applications'], keyof AdmissionColumns>>): Application {
  const time = (value: number | null): number | null => (value === null ? null : Number(value));
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    purpose: row.purpose,
    models: JSON.parse(row.models) as string[],
    status: row.status,
    claimDigest: row.claim_digest,
    createdAt: Number(row.created_at),
    decidedAt: time(row.decided_at),
    decidedBy: row.decided_by,
    decision: row.decision,
    accountId: row.account_id,
    claimedAt: time(row.claimed_at),
    confirmedAt: time(row.confirmed_at),
    personId: row.person_id,
    language: row.language,
    wantedPlan: row.wanted_plan,
    held: heldFor.find((why) => why === row.held) ?? null,
  };
}

async function reopen(
  transaction: Transaction<Tables>,
  id: ApplicationId,
  decidedAt: WallMs,
  event: AuditEvent,
): Promise<boolean> {
  const result = await transaction
    .updateTable('applications')
    .set({ status: 'pending', decided_at: null, decided_by: null, decision: null })
    .where('id', '=', id)
    .where('status', '=', 'rejected')
    .where('decided_at', '=', decidedAt)
    .executeTakeFirst();
  if (Number(result.numUpdatedRows) === 0) return false;
  await writeAudit(transaction, event);
  return true;
}

async function claim(
  transaction: Transaction<Tables>,
  id: ApplicationId,
  key: StoredKey,
  at: WallMs,
  event: AuditEvent,
): Promise<boolean> {
  const result = await transaction
    .updateTable('applications')
    .set({ claimed_at: at })
    .where('id', '=', id)
    .where('status', '=', 'approved')
    .where('claimed_at', 'is', null)
    .executeTakeFirst();
  if (Number(result.numUpdatedRows) === 0) return false;
  await transaction.insertInto('keys').values(rowOfKey(key)).execute();
  await writeAudit(transaction, event);
  return true;
}
