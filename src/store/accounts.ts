// Accounts and the plans they have.
import type { Kysely, Selectable } from 'kysely';
import { type Account, roleOfNewAccount } from '../domain/account.ts';
import { type AccountId, newAccountId } from '../domain/id.ts';
import type { Plan, Terms } from '../domain/plan.ts';
import { behind, holds, writeAudit } from './adapter.ts';
import type { AccountStore, PlanStore } from './ports.ts';
import type { Tables } from './schema.ts';

export function accountQueries(db: Kysely<Tables>): AccountStore & PlanStore {
  return {
    ensureAccount: (name, plan, event) =>
      db.transaction().execute(async (transaction) => {
        const id = newAccountId();
        const made = await transaction
          .insertInto('accounts')
          .values({ id, name, plan, created_at: event.at, role: roleOfNewAccount(name), closed_at: null })
          .onConflict((conflict) => conflict.column('name').doNothing())
          .executeTakeFirst();
        if (Number(made.numInsertedOrUpdatedRows) > 0) await writeAudit(transaction, { ...event, subject: id });
        return accountOfRow(
          await transaction.selectFrom('accounts').selectAll().where('name', '=', name).executeTakeFirstOrThrow(),
        );
      }),
    findAccount: async (idOrName) => {
      const row = await db
        .selectFrom('accounts')
        .selectAll()
        .where((where) => where.or([where('id', '=', idOrName as AccountId), where('name', '=', idOrName)]))
        .executeTakeFirst();
      return row && accountOfRow(row);
    },
    listAccounts: async () => {
      const rows = await db.selectFrom('accounts').selectAll().orderBy('created_at').orderBy('id').execute();
      return rows.map(accountOfRow);
    },
    pageAccounts: async ({ after, limit, search, role }) => {
      let query = db.selectFrom('accounts').selectAll().orderBy('created_at').orderBy('id').limit(limit);
      if (search !== undefined)
        query = query.where((where) => where.or([holds('name', search), where('id', '=', search as AccountId)]));
      if (role !== undefined) query = query.where('role', '=', role);
      return (await (after ? query.where(behind(after)) : query).execute()).map(accountOfRow);
    },
    countAccounts: async (role) => {
      const found = await db
        .selectFrom('accounts')
        .innerJoin('people', 'people.accountId', 'accounts.id')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('role', '=', role)
        .executeTakeFirstOrThrow();
      return Number(found.count);
    },
    setAccountRole: (id, role, event) =>
      db.transaction().execute(async (transaction) => {
        await transaction.updateTable('accounts').set({ role }).where('id', '=', id).execute();
        await writeAudit(transaction, event);
      }),
    setAccountPlan: (id, plan, event) =>
      db.transaction().execute(async (transaction) => {
        await transaction.updateTable('accounts').set({ plan }).where('id', '=', id).execute();
        await writeAudit(transaction, event);
      }),
    findPlan: async (name) => {
      const row = await db.selectFrom('plans').selectAll().where('name', '=', name).executeTakeFirst();
      return row && planOfRow(row);
    },
    listPlans: async () => (await db.selectFrom('plans').selectAll().orderBy('name').execute()).map(planOfRow),
    putPlan: ({ name, version, ...terms }, event) =>
      db.transaction().execute(async (transaction) => {
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
      db.transaction().execute(async (transaction) => {
        // Asked and done in one statement: a transaction that reads first can lose its place to another writer.
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

function accountOfRow(row: Selectable<Tables['accounts']>): Account {
  return {
    id: row.id,
    name: row.name,
    plan: row.plan,
    role: row.role,
    createdAt: Number(row.created_at),
    closedAt: row.closed_at === null ? null : Number(row.closed_at),
  };
}

export function planOfRow({ name, version, terms }: Selectable<Tables['plans']>): Plan {
  return { ...(JSON.parse(terms) as Terms), name, version: Number(version) };
}
