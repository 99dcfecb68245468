// Plans: terms as JSON text, and the number of the version, which every change must increment.
import type { Selectable } from 'kysely';
import { openTerms, type Plan, type Terms } from '../../domain/plan.ts';
import type { PlanStore } from '../ports/plans.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function planQueries({ db, transact }: Connection): PlanStore {
  return {
    findPlan: async (name) => {
      const row = await db.selectFrom('plans').selectAll().where('name', '=', name).executeTakeFirst();
      return row && planOfRow(row);
    },
    listPlans: async () => (await db.selectFrom('plans').selectAll().orderBy('name').execute()).map(planOfRow),
    putPlan: ({ name, version, ...terms }, event) =>
      transact(async (transaction) => {
        const text = JSON.stringify(terms);
        const changed =
          version === 1
            ? await transaction
                .insertInto('plans')
                .values({ name, version, terms: text })
                .onConflict((conflict) => conflict.column('name').doNothing())
                .executeTakeFirst()
            : await transaction
                .updateTable('plans')
                .set({ version, terms: text })
                .where('name', '=', name)
                .where('version', '=', version - 1)
                .executeTakeFirst();
        const rows = 'numUpdatedRows' in changed ? changed.numUpdatedRows : changed.numInsertedOrUpdatedRows;
        if (Number(rows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
    deletePlan: (name, event) =>
      transact(async (transaction) => {
        // Checks and deletes in one statement: a transaction that reads first can lose to another writer.
        const result = await transaction
          .deleteFrom('plans')
          .where('name', '=', name)
          .where((where) => where.not(where.exists(where.selectFrom('accounts').select('id').where('plan', '=', name))))
          .executeTakeFirst();
        if (Number(result.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
  };
}

export function planOfRow({ name, version, terms }: Selectable<Tables['plans']>): Plan {
  // Terms that were introduced after the row was written get their defaults.
  return { ...openTerms, ...(JSON.parse(terms) as Partial<Terms>), name, version: Number(version) };
}
