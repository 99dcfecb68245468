// Adds quarters of an hour to the sums over longer blocks, a bounded number at a time, and says which they hold.
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
import {
  type CoarseSet,
  type CoarseTable,
  coarse,
  coarseFigures,
  coarseJoining,
  coarseKeys,
  coarseSets,
  sharedFigures,
} from '../ledger/coarse-sums.ts';
import { joined } from '../ledger/step-sums.ts';
import type { Tables } from './tables.ts';

type Db = Kysely<Tables>;

/** The first quarter that each set does not hold, by its name. */
export async function coarseSumsUntil(db: Db): Promise<ReadonlyMap<string, number>> {
  const rows = await db.selectFrom('coarse_sums_until').selectAll().execute();
  return new Map(rows.map(({ name, quarter }) => [name, Number(quarter)]));
}

/**
 * Adds the next quarters before `end` to the set that is the furthest behind: as many as have about `limit` sums, and at least one.
 * Returns whether more are left. No rows may be added at the same time (`lockSums`).
 */
export async function sumQuarters(db: Transaction<Tables>, end: number, limit: number): Promise<boolean> {
  const untils = await coarseSumsUntil(db);
  const [set] = coarseSets.toSorted((a, b) => (untils.get(a.name) ?? 0) - (untils.get(b.name) ?? 0));
  const from = set && (untils.get(set.name) ?? 0);
  if (set === undefined || from === undefined || from >= end) return false;
  const before = Math.min(end, await quarterAfter(db, from, limit));
  await addTo(db, set, from, before);
  await db
    .insertInto('coarse_sums_until')
    .values({ name: set.name, quarter: before })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ quarter: before }))
    .execute();
  return true;
}

async function quarterAfter(db: Db, from: number, limit: number): Promise<number> {
  const row = await db
    .selectFrom('usage_quarterly')
    .select('quarter')
    .where('quarter', '>=', from)
    .orderBy('quarter')
    .offset(limit)
    .limit(1)
    .executeTakeFirst();
  return row ? Math.max(from + 1, Number(row.quarter)) : Number.MAX_SAFE_INTEGER;
}

async function addTo(db: Db, { table, step }: CoarseSet, from: number, before: number): Promise<void> {
  const at = sql`quarter / ${sql.lit(step)}`;
  const of = coarse[table].of.map((name) => sql.ref(name));
  const kept = [sql.lit(step), ...of, at];
  const names = refs([...coarseKeys(table), ...coarseFigures]);
  const conflict = sql`on conflict (${refs(coarseKeys(table))}) do update set ${joining(table)}`;
  const counts = sharedFigures.map((name) => sql`sum(${sql.ref(name)})`);
  await sql`
    insert into ${sql.table(table)} (${names})
    select ${sql.join([...kept, sql.lit(''), ...counts, sql.lit(0)])} from usage_quarterly
    where quarter >= ${from} and quarter < ${before} group by ${sql.join([at, ...of])} ${conflict}`.execute(db);
  const none = sharedFigures.map(() => sql.lit(0));
  await sql`
    insert into ${sql.table(table)} (${names})
    select ${sql.join([...kept, sql.ref('unit'), ...none, sql`sum(units)`])} from unit_quarterly
    where quarter >= ${from} and quarter < ${before} group by ${sql.join([at, ...of, sql.ref('unit')])} ${conflict}`.execute(
    db,
  );
}

const refs = (names: readonly string[]): RawBuilder<unknown> => sql.join(names.map((name) => sql.ref(name)));

const joining = (table: CoarseTable): RawBuilder<unknown> =>
  sql.raw(
    Object.entries(coarseJoining)
      .map(([name, how]) => `${name} = ${joined(table, name, how)}`)
      .join(', '),
  );
