// The ledger's raw rows, one per exchange or one for `repeats` refused ones, and the quarter-hourly roll-ups that are
// written with them.
import { sql, type Transaction } from 'kysely';
import { type AccountId, firstRequestId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import { blamelessCodes, type UsageBucket, type UsageRecord } from '../../domain/usage.ts';
import { coarseJoining, coarseKeys, coarseSets, lateSums } from '../ledger/coarse-sums.ts';
import { recordsOf } from '../ledger/journal-lines.ts';
import {
  type Joining,
  joined,
  type LatencySum,
  outcomeFigures,
  outcomeKeys,
  rowOfLatency,
  sumLatency,
  sumOutcomes,
} from '../ledger/step-sums.ts';
import {
  AnsweredModels,
  quarterFigures,
  quarterKeys,
  quarterMs,
  rollUp,
  rollUpUnits,
  rowOfUsage,
  usageOfRow,
} from '../ledger/usage-rows.ts';
import type { LedgerWriter } from '../ports/ledger-writer.ts';
import type { UsageStore } from '../ports/usage.ts';
import { coarseSumsUntil, sumQuarters } from './coarse-sums.ts';
import type { Connection } from './connection.ts';
import { searchRequests } from './request-search.ts';
import type { Tables } from './tables.ts';
import { report } from './usage-reports.ts';
import type { UsageTables } from './usage-tables.ts';

// SQLite before 3.32 accepts 999 parameters, current versions 32,766, and PostgreSQL 65,535. 35 columns × 500 rows fit
// both of the latter.
const rowsPerInsert = 500;
/** Rows that a search may examine if its caller does not say. */
const rowsPerLook = 20_000;
const minuteMs = 60_000;
/** Much longer than a call waits between its head and the time at which it counts. */
const longestHeadMs = 3_600_000;

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of queries that share one connection
export function usageQueries({
  db,
  engine,
  transact,
}: Connection): UsageStore & Pick<LedgerWriter, 'appendLines' | 'flushLines'> {
  const answered = new AnsweredModels();
  const appendUsage = async (records: readonly UsageRecord[]): Promise<void> => {
    if (records.length === 0) return;
    const rows = records.map(rowOfUsage);
    const { appendUsage: quickly } = engine;
    if (quickly) await quickly(db, rows);
    else await appendSlowly(transact, rows, answered);
  };
  return {
    appendUsage,
    appendLines: async (lines) => appendUsage(recordsOf(lines)),
    // A commit waits for the disk.
    flushLines: () => Promise.resolve(),
    knownUsage: async (ids) => {
      const known = new Set<string>();
      for (let from = 0; from < ids.length; from += rowsPerInsert) {
        const part = ids.slice(from, from + rowsPerInsert) as UsageRecord['id'][];
        for (const row of await db.selectFrom('usage').select('id').where('id', 'in', part).execute())
          known.add(row.id);
      }
      return known;
    },
    noteRecovered: async (accounts) => {
      const all = [...accounts].map((account_id) => ({ account_id, n: engine.now }));
      const next = sql<number>`case when recoveries.n < ${engine.now} then ${engine.now} else recoveries.n + 1 end`;
      await transact(async (transaction) => {
        for (let from = 0; from < all.length; from += rowsPerInsert)
          await transaction
            .insertInto('recoveries')
            .values(all.slice(from, from + rowsPerInsert))
            .onConflict((conflict) => conflict.column('account_id').doUpdateSet({ n: next }))
            .execute();
      });
    },
    recoveries: async (accounts) => {
      if (accounts?.size === 0) return new Map();
      let query = db.selectFrom('recoveries').selectAll();
      if (accounts && accounts.size <= rowsPerInsert) query = query.where('account_id', 'in', [...accounts]);
      return new Map((await query.execute()).map(({ account_id, n }) => [account_id, Number(n)]));
    },
    listUsage: async (limit, before) => {
      const all = db.selectFrom('usage').selectAll().orderBy('id', 'desc').limit(limit);
      const rows = await (before === undefined ? all : all.where('id', '<', before as UsageRecord['id'])).execute();
      return rows.map(usageOfRow);
    },
    searchUsage: (filter, limit, before, look = rowsPerLook) => searchRequests(db, filter, limit, before, look),
    findUsage: async (id) => {
      const row = await db
        .selectFrom('usage')
        .selectAll()
        .where('id', '=', id as UsageRecord['id'])
        .executeTakeFirst();
      return row && usageOfRow(row);
    },
    usageByMinute: async (since, before, accountId) => {
      const minute = sql<number>`at / ${sql.lit(minuteMs)}`;
      let query = db
        .selectFrom('usage')
        .select(({ fn }) => [
          minute.as('minute'),
          'account_id',
          'key_id',
          sql<number>`sum(case when ${rowNeverLeft} then 0 else repeats end)`.as('requests'),
          sql<number>`sum(case when ${rowOwnRefusal} then repeats else 0 end)`.as('refusals'),
          fn.sum('prompt_tokens').as('prompt'),
          fn.sum('completion_tokens').as('completion'),
          fn.sum('units').as('units'),
        ])
        // Ids begin with the time of the head, so this reads only the end of the table.
        .where('id', '>=', firstRequestId(since - longestHeadMs))
        .where('at', '>=', since)
        .groupBy([minute, 'account_id', 'key_id']);
      if (before !== undefined) query = query.where('id', '<', firstRequestId(before)).where('at', '<', before);
      if (accountId !== undefined) query = query.where('account_id', '=', accountId);
      return (await query.execute()).map((row) => ({
        at: Number(row.minute) * minuteMs,
        accountId: row.account_id,
        keyId: row.key_id,
        requests: Number(row.requests),
        refusals: Number(row.refusals),
        promptTokens: Number(row.prompt),
        completionTokens: Number(row.completion),
        units: Number(row.units),
      }));
    },
    refusalsByMinute: async (since) => {
      const minute = sql<number>`at / ${sql.lit(minuteMs)}`;
      const rows = await db
        .selectFrom('usage')
        .select(({ fn }) => [minute.as('minute'), 'code', fn.sum('repeats').as('count')])
        .where('id', '>=', firstRequestId(since - longestHeadMs))
        .where('at', '>=', since)
        .where('outcome', '=', 'refused')
        .where('code', 'is not', null)
        .groupBy([minute, 'code'])
        .execute();
      const first = Math.floor(since / minuteMs);
      const strangers = await db.selectFrom('stranger_refusals').selectAll().where('minute', '>=', first).execute();
      return [...rows, ...strangers].map(({ minute: at, code, count }) => ({
        at: Number(at) * minuteMs,
        code: code ?? '',
        count: Number(count),
      }));
    },
    addStrangers: (at, counts) =>
      transact(async (transaction) => {
        const now = Math.floor(at / minuteMs);
        const rows = [...counts].map(([code, count]) => ({ minute: now, code, count }));
        await addSums(transaction, 'stranger_refusals', ['minute', 'code'], { count: 'add' }, rows);
        await transaction
          .deleteFrom('stranger_refusals')
          .where('minute', '<', now - 60)
          .execute();
      }),
    usageByQuarter: async (accountId, from, before) => {
      const costs = await costsByQuarter(db, accountId, from, before);
      const rows = await db
        .selectFrom('usage_quarterly')
        .select(({ fn }) => [
          'quarter',
          'key_id',
          fn.sum('requests').as('requests'),
          fn.sum('refused').as('refused'),
          fn.sum('own_refusals').as('own'),
          fn.sum('prompt_tokens').as('prompt'),
          fn.sum('completion_tokens').as('completion'),
        ])
        .where('account_id', '=', accountId)
        .where('quarter', '>=', Math.floor(from / quarterMs))
        .where('quarter', '<', Math.ceil(before / quarterMs))
        .groupBy(['quarter', 'key_id'])
        .execute();
      return rows.map(
        (row): UsageBucket => ({
          at: Number(row.quarter) * quarterMs,
          accountId,
          keyId: row.key_id,
          requests: Number(row.requests) - Number(row.refused),
          refusals: Number(row.own),
          promptTokens: Number(row.prompt),
          completionTokens: Number(row.completion),
          units: costs.get(`${row.quarter} ${row.key_id}`) ?? 0,
        }),
      );
    },
    reportUsage: (by, from, before, filter = {}) =>
      report(db, by, Math.floor(from / quarterMs), Math.ceil(before / quarterMs), filter),
    sumUsage: (before, limit) =>
      transact(async (transaction) => {
        await engine.lockSums?.(transaction);
        return sumQuarters(transaction, Math.floor(before / quarterMs), limit);
      }),
    pruneUsage: async (before, limit) => {
      const { dropUsage } = engine;
      if (dropUsage && (await transact((transaction) => dropUsage(transaction, before)))) return limit;
      const old = db
        .selectFrom('usage')
        .select('id')
        .where('id', '<', firstRequestId(before))
        .orderBy('id')
        .limit(limit);
      const result = await db.deleteFrom('usage').where('id', 'in', old).executeTakeFirst();
      return Number(result.numDeletedRows);
    },
  };
}

/** What calls of services cost, all units together, by quarter and key. */
async function costsByQuarter(
  db: Connection['db'],
  accountId: AccountId,
  from: WallMs,
  before: WallMs,
): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom('unit_quarterly')
    .select(({ fn }) => ['quarter', 'key_id', fn.sum('units').as('units')])
    .where('account_id', '=', accountId)
    .where('quarter', '>=', Math.floor(from / quarterMs))
    .where('quarter', '<', Math.ceil(before / quarterMs))
    .groupBy(['quarter', 'key_id'])
    .execute();
  return new Map(rows.map((row) => [`${row.quarter} ${row.key_id}`, Number(row.units)]));
}

/** `neverLeft` of domain/usage, in SQL. */
const rowNeverLeft = sql`(outcome = 'refused' or (outcome = 'client_closed' and upstream is null))`;

/** `isOwnRefusal` of domain/usage, in SQL. */
const rowOwnRefusal = sql`(outcome = 'refused' and (code is null or code not in (${sql.join(blamelessCodes.map((code) => sql.lit(code)))})))`;

/** For engines without a faster way. */
async function appendSlowly(
  transact: Connection['transact'],
  rows: readonly Tables['usage'][],
  answered: AnsweredModels,
): Promise<void> {
  await transact(async (transaction) => {
    const added: Tables['usage'][] = [];
    for (let from = 0; from < rows.length; from += rowsPerInsert) {
      const part = rows.slice(from, from + rowsPerInsert);
      const ids = await transaction
        .insertInto('usage')
        .values(part)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .returning('id')
        .execute();
      const fresh = new Set(ids.map(({ id }) => id));
      added.push(...part.filter((row) => fresh.delete(row.id)));
    }
    const add = <Table extends keyof UsageTables>(
      table: Table,
      keys: readonly string[],
      figures: Readonly<Record<string, Joining>>,
      sums: readonly UsageTables[Table][],
    ): Promise<void> => addSums(transaction, table, keys, figures, sums);
    const [quarters, units] = [rollUp(added, answered), rollUpUnits(added)];
    await add('usage_quarterly', quarterKeys, quarterFigures, quarters);
    await add('unit_quarterly', [...quarterKeys, 'unit'], { units: 'add' }, units);
    const untils = await coarseSumsUntil(transaction);
    for (const set of coarseSets) {
      const late = lateSums(set, untils.get(set.name) ?? 0, quarters, units);
      await add(set.table, coarseKeys(set.table), coarseJoining, late);
    }
    await add('outcome_steps', outcomeKeys, outcomeFigures, sumOutcomes(added, answered));
    for (const sum of sumLatency(added, answered)) await addLatency(transaction, sum);
  });
}

/** Adds sums, each joined with the one of the same keys if there is one. */
async function addSums<Table extends keyof UsageTables>(
  transaction: Transaction<Tables>,
  table: Table,
  keys: readonly string[],
  figures: Readonly<Record<string, Joining>>,
  sums: readonly UsageTables[Table][],
): Promise<void> {
  const columns = [...keys, ...Object.keys(figures)];
  const names = sql.join(columns.map((column) => sql.ref(column)));
  const changes = sql.raw(
    Object.entries(figures)
      .map(([column, how]) => `"${column}" = ${joined(table, column, how)}`)
      .join(', '),
  );
  for (const sum of sums) {
    const values = sql.join(columns.map((column) => sum[column as keyof UsageTables[Table]]));
    await sql`
      insert into ${sql.table(table)} (${names}) values (${values})
      on conflict (${sql.join(keys.map((key) => sql.ref(key)))}) do update set ${changes}`.execute(transaction);
  }
}

/** Histograms are joined here: SQL cannot. */
async function addLatency(transaction: Transaction<Tables>, sum: LatencySum): Promise<void> {
  const old = await transaction
    .selectFrom('latency_steps')
    .selectAll()
    .where('step', '=', sum.step)
    .where('at', '=', sum.at)
    .where('model', '=', sum.model)
    .where('upstream', '=', sum.upstream)
    .executeTakeFirst();
  const row = rowOfLatency(sum, old);
  await transaction
    .insertInto('latency_steps')
    .values(row)
    .onConflict((conflict) => conflict.columns(['step', 'at', 'model', 'upstream']).doUpdateSet(row))
    .execute();
}
