// Steps taken by rules and operators, with their appeals.
import type { ExpressionBuilder, Kysely, Selectable } from 'kysely';
import type { AccountId, SuspensionId } from '../../domain/id.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { SuspensionStore } from '../ports/suspensions.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function suspensionQueries({ db, transact }: Connection): SuspensionStore {
  return {
    insertSuspension: (suspension, event) =>
      transact(async (transaction) => {
        await transaction.insertInto('suspensions').values(rowOf(suspension)).execute();
        await writeAudit(transaction, event);
      }),
    findSuspension: async (id) => {
      const row = await db.selectFrom('suspensions').selectAll().where('id', '=', id).executeTakeFirst();
      return row && suspensionOf(row);
    },
    listSuspensions: async ({ accountId, inForceAt, unshadowed, before, limit }) => {
      let query = db.selectFrom('suspensions').selectAll().orderBy('id', 'desc').limit(limit);
      if (inForceAt !== undefined) query = query.where(isOpen(inForceAt));
      if (inForceAt !== undefined || unshadowed) query = query.where('shadow', '=', 0);
      if (accountId !== undefined) query = query.where('account_id', '=', accountId);
      if (before !== undefined) query = query.where('id', '<', before as SuspensionId);
      return (await query.execute()).map(suspensionOf);
    },
    openSuspensions: (accountId, now) => openSuspensions(db, accountId, now),
    latestSteps: (accountId) => latestSteps(db, accountId),
    updateSuspension: (suspension, event) =>
      transact(async (transaction) => {
        const { lifted_at, lifted_by, appeal, appealed_at, answer, answered_at, answered_by } = rowOf(suspension);
        await transaction
          .updateTable('suspensions')
          .set({ lifted_at, lifted_by, appeal, appealed_at, answer, answered_at, answered_by })
          .where('id', '=', suspension.id)
          .execute();
        await writeAudit(transaction, event);
      }),
    countAppeals: async () => {
      const found = await db
        .selectFrom('suspensions')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('appealed_at', 'is not', null)
        .where('answered_at', 'is', null)
        .executeTakeFirstOrThrow();
      return Number(found.count);
    },
    countSuspensions: async (accountId, keyId, since) => {
      const all = db
        .selectFrom('suspensions')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('account_id', '=', accountId)
        .where('shadow', '=', 0)
        .where('step', 'in', ['suspend', 'review'])
        .where('created_at', '>=', since);
      const found = await (keyId === null ? all : all.where('key_id', '=', keyId)).executeTakeFirstOrThrow();
      return Number(found.count);
    },
  };
}

/** Neither lifted nor over. */
const isOpen = (now: number) => (where: ExpressionBuilder<Tables, 'suspensions'>) =>
  where.and([where('lifted_at', 'is', null), where.or([where('ends_at', 'is', null), where('ends_at', '>', now)])]);

export async function openSuspensions(db: Kysely<Tables>, accountId: AccountId, now: number): Promise<Suspension[]> {
  const rows = await db
    .selectFrom('suspensions')
    .selectAll()
    .where('account_id', '=', accountId)
    .where(isOpen(now))
    .orderBy('id')
    .execute();
  return rows.map(suspensionOf);
}

async function latestSteps(db: Kysely<Tables>, accountId: AccountId): Promise<Suspension[]> {
  const newest = db
    .selectFrom('suspensions')
    .select(({ fn }) => fn.max('id').as('id'))
    .where('account_id', '=', accountId)
    .where('rule', 'is not', null)
    .groupBy(['rule', 'key_id', 'shadow']);
  const rows = await db.selectFrom('suspensions').selectAll().where('id', 'in', newest).orderBy('id', 'desc').execute();
  return rows.map(suspensionOf);
}

function rowOf(suspension: Suspension): Tables['suspensions'] {
  return {
    id: suspension.id,
    account_id: suspension.accountId,
    key_id: suspension.keyId,
    step: suspension.step,
    rule: suspension.rule,
    reason: suspension.reason,
    evidence: suspension.evidence === null ? null : JSON.stringify(suspension.evidence),
    shadow: suspension.shadow ? 1 : 0,
    created_at: suspension.createdAt,
    ends_at: suspension.endsAt,
    lifted_at: suspension.liftedAt,
    lifted_by: suspension.liftedBy,
    appeal: suspension.appeal,
    appealed_at: suspension.appealedAt,
    answer: suspension.answer,
    answered_at: suspension.answeredAt,
    answered_by: suspension.answeredBy,
  };
}

export function suspensionOf(row: Selectable<Tables['suspensions']>): Suspension {
  const time = (value: number | null): number | null => (value === null ? null : Number(value));
  return {
    id: row.id,
    accountId: row.account_id,
    keyId: row.key_id,
    step: row.step,
    rule: row.rule,
    reason: row.reason,
    evidence: parsed(row.evidence),
    shadow: Number(row.shadow) === 1,
    createdAt: Number(row.created_at),
    endsAt: time(row.ends_at),
    liftedAt: time(row.lifted_at),
    liftedBy: row.lifted_by,
    appeal: row.appeal,
    appealedAt: time(row.appealed_at),
    answer: row.answer,
    answeredAt: time(row.answered_at),
    answeredBy: row.answered_by,
  };
}

function parsed(text: string | null): Record<string, unknown> | null {
  return text === null ? null : (JSON.parse(text) as Record<string, unknown>);
}
