// Views of members' pages: a row for each that has not been ended. What is over is in the audit log.
import type { Selectable } from 'kysely';
import type { View } from '../../domain/view.ts';
import type { ViewStore } from '../ports/views.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function viewQueries({ db, transact }: Connection): ViewStore {
  return {
    insertView: (view, event) =>
      transact(async (transaction) => {
        await transaction.insertInto('views').values(rowOf(view)).execute();
        await writeAudit(transaction, event);
      }),
    findView: async (id) => {
      const row = await db.selectFrom('views').selectAll().where('id', '=', id).executeTakeFirst();
      return row && viewOf(row);
    },
    listViews: async () => {
      const rows = await db
        .selectFrom('views')
        .leftJoin('sessions', 'sessions.id', 'views.session_id')
        .selectAll('views')
        .select('sessions.id as session')
        .execute();
      return rows.map(({ session, ...row }) => ({ ...viewOf(row), hasSession: session !== null }));
    },
    endView: (id, event) =>
      transact(async (transaction) => {
        const gone = await transaction.deleteFrom('views').where('id', '=', id).executeTakeFirst();
        if (Number(gone.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
  };
}

const rowOf = ({ id, sessionId, operatorId, accountId, startedAt }: View): Tables['views'] => ({
  id,
  session_id: sessionId,
  operator_id: operatorId,
  account_id: accountId,
  started_at: startedAt,
});

const viewOf = (row: Selectable<Tables['views']>): View => ({
  id: row.id,
  sessionId: row.session_id,
  operatorId: row.operator_id,
  accountId: row.account_id,
  startedAt: Number(row.started_at),
});
