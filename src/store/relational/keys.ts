// API keys, and keys with everything that determines what their calls may do.
import type { Selectable, SqlBool } from 'kysely';
import { sql } from 'kysely';
import { passingKeyMs, type StoredKey } from '../../domain/api-key.ts';
import { type AccountId, isAccountId, type KeyId } from '../../domain/id.ts';
import { type Plan, type Unlimited, unlimited } from '../../domain/plan.ts';
import type { Caller, KeyStore } from '../ports/keys.ts';
import { accountOfRow, accountsOfPeople } from './accounts.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { CallerRow } from './engine.ts';
import { behind } from './pages.ts';
import { planOfRow } from './plans.ts';
import { openSuspensions } from './suspensions.ts';
import type { Tables } from './tables.ts';

const isPassing = sql<SqlBool>`(expires_at is not null and expires_at - created_at <= ${sql.lit(passingKeyMs)})`;

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of queries that share one connection
export function keyQueries({ db, engine, transact }: Connection): KeyStore {
  const callers = () =>
    db
      .selectFrom('keys')
      .innerJoin('accounts', 'accounts.id', 'keys.account_id')
      .leftJoin('plans', 'plans.name', 'accounts.plan')
      .selectAll('keys')
      .select([
        'accounts.name as account_name',
        'accounts.created_at as account_created_at',
        'accounts.role as account_role',
        'accounts.closed_at as account_closed_at',
        'accounts.unlimited as account_unlimited',
        'accounts.plan as plan_name',
        'plans.version as plan_version',
        'plans.terms as plan_terms',
      ]);
  const callerOf = async (row: CallerRow | undefined, now: number): Promise<Caller | undefined> => {
    if (!row) return undefined;
    const plan = planOfCaller(row);
    return {
      key: keyOfRow(row),
      account: {
        id: row.account_id,
        name: row.account_name,
        plan: plan === unlimited ? unlimited : plan.name,
        role: row.account_role,
        createdAt: Number(row.account_created_at),
        closedAt: row.account_closed_at === null ? null : Number(row.account_closed_at),
      },
      plan,
      suspensions: await openSuspensions(db, row.account_id, now),
    };
  };
  const accountsNamed = (search: string) =>
    db.selectFrom('accounts').select('accounts.id').where(engine.holds('accounts.name', search));
  return {
    insertKey: (key, event) =>
      transact(async (transaction) => {
        await transaction.insertInto('keys').values(rowOfKey(key)).execute();
        if (event) await writeAudit(transaction, event);
      }),
    findKey: async (id) => {
      const row = await db.selectFrom('keys').selectAll().where('id', '=', id).executeTakeFirst();
      return row && keyOfRow(row);
    },
    findKeyByDigest: async (digest) => {
      const row = await db
        .selectFrom('keys')
        .selectAll()
        .where('digest', '=', digest)
        .where('kind', '!=', 'secret')
        .executeTakeFirst();
      return row && keyOfRow(row);
    },
    findCaller: async (id, now) =>
      callerOf(
        engine.findCaller && !engine.findCaller.behind()
          ? engine.findCaller(id)
          : await callers().where('keys.id', '=', id).executeTakeFirst(),
        now,
      ),
    findCallerByDigest: async (digest, now) =>
      callerOf(
        await callers().where('keys.digest', '=', digest).where('keys.kind', '!=', 'secret').executeTakeFirst(),
        now,
      ),
    findOwner: async (account, now) => {
      const row = await db
        .selectFrom('accounts')
        .leftJoin('plans', 'plans.name', 'accounts.plan')
        .selectAll('accounts')
        .select(['plans.version as plan_version', 'plans.terms as plan_terms'])
        .where(isAccountId(account) ? 'accounts.id' : 'accounts.name', '=', account)
        .executeTakeFirst();
      if (!row) return undefined;
      const plan = planOfCaller({ ...row, account_unlimited: row.unlimited, plan_name: row.plan });
      return { account: accountOfRow(row), plan, suspensions: await openSuspensions(db, row.id, now) };
    },
    listKeys: async (accountId) => {
      const all = db.selectFrom('keys').selectAll().orderBy('created_at').orderBy('id');
      const rows = await (accountId === undefined ? all : all.where('account_id', '=', accountId)).execute();
      return rows.map(keyOfRow);
    },
    countKeys: async (accountId, now, which = 'lasting') => {
      const found = await db
        .selectFrom('keys')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('account_id', '=', accountId)
        .where('status', '=', 'active')
        .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
        .where('of_page', '=', which === 'page' ? 1 : 0)
        .where(which === 'lasting' ? sql<SqlBool>`not ${isPassing}` : isPassing)
        .executeTakeFirstOrThrow();
      return Number(found.count);
    },
    pageKeys: async ({ after, accountId, search, limit }) => {
      let query = db
        .selectFrom('keys')
        .selectAll()
        .where('of_page', '=', 0)
        .orderBy('created_at')
        .orderBy('id')
        .limit(limit);
      if (search !== undefined)
        query = query.where((where) =>
          where.or([
            engine.holds('keys.name', search),
            where('keys.id', '=', search as KeyId),
            where('keys.account_id', '=', search as AccountId),
            where('keys.account_id', 'in', accountsNamed(search)),
            where('keys.account_id', 'in', accountsOfPeople(db, engine, search)),
          ]),
        );
      if (accountId !== undefined) query = query.where('account_id', '=', accountId);
      if (after) query = query.where(behind(after));
      return (await query.execute()).map(keyOfRow);
    },
    keysExpiring: async (from, before) => {
      const rows = await db
        .selectFrom('keys')
        .selectAll()
        .where('status', '=', 'active')
        .where('of_page', '=', 0)
        .where('expires_at', '>', from)
        .where('expires_at', '<', before)
        .limit(1000)
        .execute();
      return rows.map(keyOfRow);
    },
    touchKeys: (usedAt) =>
      transact(async (transaction) => {
        for (const [id, at] of usedAt) {
          // Rows may arrive long after their exchange began, when a later use is already stored.
          await transaction
            .updateTable('keys')
            .set({ last_used_at: at })
            .where('id', '=', id)
            .where((key) => key.or([key('last_used_at', 'is', null), key('last_used_at', '<', at)]))
            .execute();
        }
      }),
    changeKey: (key, event) =>
      transact(async (transaction) => {
        const { name, scopes, models, cidr, expires_at, narrowing, bound_certificate } = rowOfKey(key);
        const result = await transaction
          .updateTable('keys')
          .set({ name, scopes, models, cidr, expires_at, narrowing, bound_certificate })
          .where('id', '=', key.id)
          .where('status', '=', 'active')
          .executeTakeFirst();
        if (Number(result.numUpdatedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
    revokeKey: (id, at, event) =>
      transact(async (transaction) => {
        const result = await transaction
          .updateTable('keys')
          .set({ status: 'revoked', revoked_at: at })
          .where('id', '=', id)
          .where('revoked_at', 'is', null)
          .executeTakeFirst();
        if (Number(result.numUpdatedRows) > 0) {
          if (event) await writeAudit(transaction, event);
          return true;
        }
        return (
          (await transaction.selectFrom('keys').select(sql`1`.as('one')).where('id', '=', id).executeTakeFirst()) !==
          undefined
        );
      }),
    rotateKey: (oldId, successor, oldEndsAt, event) =>
      transact(async (transaction) => {
        await transaction.insertInto('keys').values(rowOfKey(successor)).execute();
        await transaction.updateTable('keys').set({ expires_at: oldEndsAt }).where('id', '=', oldId).execute();
        await writeAudit(transaction, event);
      }),
  };
}

/** @throws if the account has no plan, or a missing one: unknown limits are not "no limits". */
function planOfCaller({
  id,
  account_unlimited,
  plan_name,
  plan_version,
  plan_terms,
}: Pick<CallerRow, 'account_unlimited' | 'plan_name' | 'plan_version' | 'plan_terms'> & { readonly id: string }):
  | Plan
  | Unlimited {
  if (Number(account_unlimited) === 1) return unlimited;
  if (plan_name === null) throw new Error(`the account of ${id} has no plan`);
  if (plan_version === null || plan_terms === null) throw new Error(`the plan ${plan_name} is not in the store`);
  return planOfRow({ name: plan_name, version: plan_version, terms: plan_terms });
}

export function rowOfKey(key: StoredKey): Tables['keys'] {
  return {
    id: key.id,
    account_id: key.accountId,
    name: key.name,
    kind: key.kind,
    digest: key.digest,
    status: key.status,
    scopes: JSON.stringify(key.scopes),
    models: JSON.stringify(key.models),
    cidr: JSON.stringify(key.cidr),
    allow_path: key.allowPath ? 1 : 0,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    rotated_from: key.rotatedFrom,
    lineage: key.lineage,
    narrowing: JSON.stringify(key.narrowing),
    bound_certificate: key.boundCertificate,
    of_page: key.ofPage ? 1 : 0,
  };
}

function keyOfRow(row: Selectable<Tables['keys']>): StoredKey {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    kind: row.kind,
    digest: row.digest,
    status: row.status,
    scopes: JSON.parse(row.scopes) as StoredKey['scopes'],
    models: JSON.parse(row.models) as string[],
    cidr: JSON.parse(row.cidr) as string[],
    allowPath: Number(row.allow_path) === 1,
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at === null ? null : Number(row.expires_at),
    revokedAt: row.revoked_at === null ? null : Number(row.revoked_at),
    lastUsedAt: row.last_used_at === null ? null : Number(row.last_used_at),
    rotatedFrom: row.rotated_from,
    lineage: row.lineage,
    narrowing: JSON.parse(row.narrowing) as StoredKey['narrowing'],
    boundCertificate: row.bound_certificate,
    ofPage: Number(row.of_page) === 1,
  };
}
