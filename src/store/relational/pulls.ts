// Pulls of models. Two cannot run for one model and server: an index on those that run is unique.
import type { Selectable } from 'kysely';
import { refusal } from '../../domain/refusal.ts';
import type { StoredPull } from '../../domain/server-models.ts';
import type { PullStore } from '../ports/pulls.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function pullQueries({ db, transact }: Connection): PullStore {
  return {
    insertPull: ({ id, server, model, state, startedBy, startedAt, endedAt, error, gate }, event) =>
      transact(async (transaction) => {
        const made = await transaction
          .insertInto('pulls')
          .values({
            id,
            server,
            model,
            state,
            started_by: startedBy,
            started_at: startedAt,
            ended_at: endedAt,
            error,
            gate,
          })
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirst();
        if (Number(made.numInsertedOrUpdatedRows) === 0) throw refusal('pull_running', { model, server }, 'conflict');
        await writeAudit(transaction, event);
      }),
    endPull: (id, { state, at, error }, event) =>
      transact(async (transaction) => {
        const changed = await transaction
          .updateTable('pulls')
          .set({ state, ended_at: at, error })
          .where('id', '=', id)
          .where('state', '=', 'running')
          .executeTakeFirst();
        if (Number(changed.numUpdatedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
    findPull: async (id) => {
      const row = await db.selectFrom('pulls').selectAll().where('id', '=', id).executeTakeFirst();
      return row && pullOf(row);
    },
    listPulls: async (limit) => {
      const rows = await db
        .selectFrom('pulls')
        .selectAll()
        .orderBy((of) => of.case().when('state', '=', 'running').then(0).else(1).end())
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(pullOf);
    },
    forgetPulls: async (before) => {
      await db.deleteFrom('pulls').where('ended_at', '<', before).execute();
    },
  };
}

function pullOf(row: Selectable<Tables['pulls']>): StoredPull {
  const { id, server, model, state, error, gate } = row;
  return {
    id,
    server,
    model,
    state,
    startedBy: row.started_by,
    startedAt: Number(row.started_at),
    endedAt: row.ended_at === null ? null : Number(row.ended_at),
    error,
    gate,
  };
}
