// The rules of the ladder, each as JSON text under its name.
import type { Rule } from '../../domain/rule.ts';
import type { RuleStore } from '../ports/rules.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';

export function ruleQueries({ db, transact }: Connection): RuleStore {
  return {
    listRules: async () => {
      const rows = await db.selectFrom('rules').selectAll().orderBy('name').execute();
      return rows.map(({ definition }) => JSON.parse(definition) as Rule);
    },
    putRule: (rule, event) =>
      transact(async (transaction) => {
        const definition = JSON.stringify(rule);
        await transaction
          .insertInto('rules')
          .values({ name: rule.name, definition })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ definition }))
          .execute();
        await writeAudit(transaction, event);
      }),
    deleteRule: (name, event) =>
      transact(async (transaction) => {
        const result = await transaction.deleteFrom('rules').where('name', '=', name).executeTakeFirst();
        if (Number(result.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
  };
}
