// Accounts. A change and what it revokes are one transaction.
import type { Kysely, Selectable, Transaction } from 'kysely';
import { type Account, mayManage, operatorName, type Role, roleOfNewAccount } from '../../domain/account.ts';
import { type AccountId, isAccountId, newAccountId } from '../../domain/id.ts';
import { skeletonOf } from '../../domain/label.ts';
import { type Unlimited, unlimited } from '../../domain/plan.ts';
import { refusal } from '../../domain/refusal.ts';
import { managementScopes, type Scope } from '../../domain/scope.ts';
import type { AccountStore } from '../ports/accounts.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Engine } from './engine.ts';
import { behind } from './pages.ts';
import type { Tables } from './tables.ts';

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of queries that share one connection
export function accountQueries({ db, engine, transact }: Connection): AccountStore {
  return {
    ensureAccount: (name, plan, event, role = roleOfNewAccount(name)) =>
      transact(async (transaction) => {
        const id = newAccountId();
        refuseUnlimited(role, plan);
        await refuseTwin(transaction, name);
        const made = await transaction
          .insertInto('accounts')
          .values({
            id,
            name,
            skeleton: skeletonOf(name),
            ...columnsOf(plan),
            created_at: event.at,
            role,
            closed_at: null,
          })
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
        // Either id or name: an account named like another's id must not be found in its place.
        .where(isAccountId(idOrName) ? 'id' : 'name', '=', idOrName)
        .executeTakeFirst();
      return row && accountOfRow(row);
    },
    looksTaken: async (name) =>
      (await db.selectFrom('accounts').select('id').where('skeleton', '=', skeletonOf(name)).executeTakeFirst()) !==
      undefined,
    listAccounts: async () => {
      const rows = await db.selectFrom('accounts').selectAll().orderBy('created_at').orderBy('id').execute();
      return rows.map(accountOfRow);
    },
    pageAccounts: async ({ after, limit, search, role }) => {
      let query = db.selectFrom('accounts').selectAll().orderBy('created_at').orderBy('id').limit(limit);
      if (search !== undefined)
        query = query.where((where) =>
          where.or([
            engine.holds('accounts.name', search),
            where('accounts.id', '=', search as AccountId),
            where('accounts.id', 'in', accountsOfPeople(db, engine, search)),
          ]),
        );
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
    changeAccount: (id, change, event) =>
      transact(async (transaction) => {
        const row = await transaction.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst();
        if (!row) throw refusal('account_missing_id', { id }, 'not_found');
        const before = accountOfRow(row);
        if (before.closedAt !== null) throw refusal('account_closed', {}, 'conflict');
        const after = { ...before, ...change };
        refuseUnlimited(after.role, after.plan);
        if (after.role !== before.role) {
          await refuseLastOperator(transaction, before);
          await narrowKeys(transaction, id, after.role, event.at);
          const person = transaction.selectFrom('people').select('id').where('accountId', '=', id);
          await transaction.deleteFrom('sessions').where('userId', 'in', person).execute();
          // A link was created for the role at that time: those who may create a link for a member may not for an
          // operator.
          await transaction
            .deleteFrom('one_time_links')
            .where('used_at', 'is', null)
            .where((where) => where.or([where('subject', '=', id), where('subject', 'in', person)]))
            .execute();
        }
        await transaction
          .updateTable('accounts')
          .set({ role: after.role, ...columnsOf(after.plan) })
          .where('id', '=', id)
          .execute();
        await writeAudit(transaction, event);
        return after;
      }),
  };
}

/** Accounts whose person has a name or email address that contains the text. */
export function accountsOfPeople(db: Kysely<Tables>, engine: Engine, search: string) {
  return db
    .selectFrom('people')
    .select('people.accountId')
    .where('people.accountId', 'is not', null)
    .where((where) => where.or([engine.holds('people.name', search), engine.holds('people.email', search)]))
    .$castTo<{ accountId: AccountId }>();
}

/** Refuses a name that people could mistake for another account's. @throws Refusal. */
async function refuseTwin(transaction: Transaction<Tables>, name: string): Promise<void> {
  const skeleton = skeletonOf(name);
  const twin = await transaction
    .selectFrom('accounts')
    .select('name')
    .where('skeleton', '=', skeleton)
    .where('name', '<>', name)
    .executeTakeFirst();
  const like =
    twin?.name ?? (name !== operatorName && skeleton === skeletonOf(operatorName) ? operatorName : undefined);
  if (like !== undefined) throw refusal('account_look_alike', { name: like }, 'conflict');
}

/** Keeps at least one operator. @throws Refusal. */
export async function refuseLastOperator(
  transaction: Transaction<Tables>,
  { id, role }: Pick<Account, 'id' | 'role'>,
): Promise<void> {
  if (role !== 'operator') return;
  const others = await transaction
    .selectFrom('accounts')
    .innerJoin('people', 'people.accountId', 'accounts.id')
    .select('accounts.id')
    .where('role', '=', 'operator')
    .limit(2)
    .execute();
  if (others.length === 1 && others[0]?.id === id) throw refusal('last_operator', {}, 'conflict');
}

/** Removes from the keys what the role does not allow, so that it does not return with a later role. */
async function narrowKeys(transaction: Transaction<Tables>, id: AccountId, role: Role, at: number): Promise<void> {
  const beyond: readonly Scope[] = managementScopes.filter((scope) => !mayManage(role, scope));
  const keys = await transaction
    .selectFrom('keys')
    .select(['id', 'scopes'])
    .where('account_id', '=', id)
    .where('status', '=', 'active')
    .execute();
  for (const key of keys) {
    const held = JSON.parse(key.scopes) as Scope[];
    const left = held.filter((scope) => !beyond.includes(scope));
    if (left.length === held.length) continue;
    await transaction
      .updateTable('keys')
      .set(left.length === 0 ? { status: 'revoked', revoked_at: at } : { scopes: JSON.stringify(left) })
      .where('id', '=', key.id)
      .execute();
  }
}

/** @throws Refusal. */
function refuseUnlimited(role: Role, plan: string | Unlimited): void {
  if (plan === unlimited && role !== 'operator') throw refusal('unlimited_operator', {});
}

const columnsOf = (plan: string | Unlimited): Pick<Tables['accounts'], 'plan' | 'unlimited'> =>
  plan === unlimited ? { plan: null, unlimited: 1 } : { plan, unlimited: 0 };

/** @throws if the account has neither a plan nor the `unlimited` flag: that does not mean "no limits". */
function planOfAccount({ id, plan, unlimited: without }: Selectable<Tables['accounts']>): string | Unlimited {
  if (Number(without) === 1) return unlimited;
  if (plan === null) throw new Error(`the account ${id} has no plan`);
  return plan;
}

export function accountOfRow(row: Selectable<Tables['accounts']>): Account {
  return {
    id: row.id,
    name: row.name,
    plan: planOfAccount(row),
    role: row.role,
    createdAt: Number(row.created_at),
    closedAt: row.closed_at === null ? null : Number(row.closed_at),
  };
}
