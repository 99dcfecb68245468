// Letters that the gate sends by itself: which are due, and who has them. One statement decides a claim, so that of many
// that come at once one gets it.
import { type SqlBool, sql } from 'kysely';
import type { NoticeStore } from '../ports/notices.ts';
import { applicationOf } from './applications.ts';
import type { Connection } from './connection.ts';
import { suspensionOf } from './suspensions.ts';

/** No claim lasts longer: one that seems to was made under a clock that was ahead. */
const longestClaimMs = 3_600_000;

const isDue = (id: 'applications.id' | 'suspensions.id', what: 'decided' | 'taken' | 'answered') =>
  sql<SqlBool>`not exists (
    select 1 from notices where notices.id = ${sql.ref(id)} || ${` ${what}`} and notices.done_at is not null)`;

export function noticeQueries({ db }: Connection): NoticeStore {
  return {
    decisionsToTell: async (since, limit) => {
      const rows = await db
        .selectFrom('applications')
        .selectAll()
        .where('status', '<>', 'pending')
        .where('decided_at', '>=', since)
        .where('email', '<>', '')
        // An applicant whom a rule let in at once saw it happen, unless they had to confirm their address first.
        .where(sql<SqlBool>`not (coalesce(decided_by, '') like 'registration:%' and confirmed_at is null)`)
        .where(isDue('applications.id', 'decided'))
        .orderBy('decided_at')
        .limit(limit)
        .execute();
      return rows.map(applicationOf);
    },
    stepsToTell: async (since, limit) => {
      const rows = await db
        .selectFrom('suspensions')
        .selectAll()
        .where('shadow', '=', 0)
        .where((where) =>
          where.or([
            where.and([
              where('created_at', '>=', since),
              where('step', '<>', 'warn'),
              where('lifted_at', 'is', null),
              isDue('suspensions.id', 'taken'),
            ]),
            where.and([
              where('answered_at', '>=', since),
              where('answer', 'is not', null),
              isDue('suspensions.id', 'answered'),
            ]),
          ]),
        )
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(suspensionOf);
    },
    claimNotice: async (id, { owner, at, until }) => {
      const found = await db.selectFrom('notices').selectAll().where('id', '=', id).executeTakeFirst();
      // Asked often, and nearly always of one that is done: that is not to cost a transaction.
      if (found && found.done_at !== null) return false;
      const made = await db
        .insertInto('notices')
        .values({ id, at, owner, until, done_at: null })
        .onConflict((conflict) =>
          conflict
            .column('id')
            .doUpdateSet({ owner, until })
            .where('notices.done_at', 'is', null)
            .where((where) =>
              where.or([
                where('notices.owner', '=', owner),
                where('notices.until', '<=', at),
                where('notices.until', '>', at + longestClaimMs),
              ]),
            ),
        )
        .executeTakeFirst();
      return Number(made.numInsertedOrUpdatedRows) > 0;
    },
    finishNotice: async (id, at) => {
      await db
        .insertInto('notices')
        .values({ id, at, owner: '', until: 0, done_at: at })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ done_at: at }))
        .execute();
    },
    dropNotice: async (id, owner) => {
      await db
        .updateTable('notices')
        .set({ until: 0 })
        .where('id', '=', id)
        .where('owner', '=', owner)
        .where('done_at', 'is', null)
        .execute();
    },
  };
}
