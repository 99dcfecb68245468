// The rules of the ladder, each one JSON text under its name.
import type { Kysely } from 'kysely';
import type { Rule } from '../../domain/rule.ts';
import type { RuleStore } from '../ports/rules.ts';
import type { Tables } from '../sqlite/migrations/list.ts';
import { inTransaction, writeAudit } from './engine.ts';

export function ruleQueries(db: Kysely<Tables>): RuleStore {
  return {
    listRules: async () => {
      const rows = await db.selectFrom('rules').selectAll().orderBy('name').execute();
      return rows.map(({ definition }) => JSON.parse(definition) as Rule);
    },
    putRule: (rule, event) =>
      inTransaction(db, async (transaction) => {
        const definition = JSON.stringify(rule);
        await transaction
          .insertInto('rules')
          .values({ name: rule.name, definition })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ definition }))
          .execute();
        await writeAudit(transaction, event);
      }),
    deleteRule: (name, event) =>
      inTransaction(db, async (transaction) => {
        const result = await transaction.deleteFrom('rules').where('name', '=', name).executeTakeFirst();
        if (Number(result.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
  };
}
