// Sums of the ledger for reports: by key, account, model or quarter of an hour, from the roll-ups, with display names.
import type { Kysely } from 'kysely';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { addSums, addUnits, type UnitSums, type UsageSum } from '../../domain/usage.ts';
import type { ReportBy, ReportFilter, ReportRow } from '../ports/usage.ts';
import type { Tables } from './tables.ts';

/** Ids per query. */
const idsPerQuery = 500;

const groupColumn = {
  key: 'usage_quarterly.key_id',
  account: 'usage_quarterly.account_id',
  model: 'usage_quarterly.model',
  quarter: 'usage_quarterly.quarter',
} as const satisfies Record<ReportBy, string>;

export async function report(
  db: Kysely<Tables>,
  by: ReportBy,
  fromQuarter: number,
  beforeQuarter: number,
  filter: ReportFilter,
): Promise<ReportRow[]> {
  const { accountId } = filter;
  const sums = new Map<string, UsageSum>();
  // A few accounts at a time: an account's quarters are adjacent, so each part is a few short reads, and the process
  // serves requests between them. In one piece, a year of a busy gateway blocked it for more than a second.
  let ids = accountId === undefined ? await accountsAfter(db, '') : [accountId];
  while (ids.length > 0) {
    for (const row of await sumsOf(db, by, fromQuarter, beforeQuarter, ids, filter)) add(sums, row);
    for (const { group, units } of await unitsOf(db, by, fromQuarter, beforeQuarter, ids, filter)) {
      // What has a cost has been counted, too.
      const sum = sums.get(group) as UsageSum;
      sums.set(group, { ...sum, units: addUnits(sum.units ?? {}, units) });
    }
    await new Promise((resolve) => setImmediate(resolve));
    ids = accountId === undefined ? await accountsAfter(db, ids.at(-1) as AccountId) : [];
  }
  const names = await namesOf(db, by, [...sums.keys()]);
  const rows = [...sums].map(([group, sum]) => ({ group, name: names.get(group) ?? null, ...sum }));
  const weight = (row: ReportRow): number => row.promptTokens + row.completionTokens;
  return rows.toSorted((a, b) =>
    by === 'quarter' ? Number(a.group) - Number(b.group) : weight(b) - weight(a) || (a.group < b.group ? -1 : 1),
  );
}

const accountsPerRead = 4;

type Sum = UsageSum & { readonly group: string };

/** The next accounts in the ledger, in the order of their ids: each found by one index step. */
async function accountsAfter(db: Kysely<Tables>, last: string): Promise<AccountId[]> {
  const ids: AccountId[] = [];
  while (ids.length < accountsPerRead) {
    const row = await db
      .selectFrom('usage_quarterly')
      .select('account_id')
      .where('account_id', '>', (ids.at(-1) ?? last) as AccountId)
      .orderBy('account_id')
      .limit(1)
      .executeTakeFirst();
    if (!row) break;
    ids.push(row.account_id);
  }
  return ids;
}

async function sumsOf(
  db: Kysely<Tables>,
  by: ReportBy,
  fromQuarter: number,
  beforeQuarter: number,
  accounts: readonly AccountId[],
  { keyId, model }: ReportFilter,
): Promise<Sum[]> {
  const column = groupColumn[by];
  let all = db.selectFrom('usage_quarterly');
  if (keyId !== undefined) all = all.where('key_id', '=', keyId);
  if (model !== undefined) all = all.where('model', '=', model);
  const rows = await all
    .where('account_id', 'in', accounts)
    .where('quarter', '>=', fromQuarter)
    .where('quarter', '<', beforeQuarter)
    .select((select) => [
      select.ref(column).as('group'),
      select.fn.sum('requests').as('requests'),
      select.fn.sum('refused').as('refused'),
      select.fn.sum('failed').as('failed'),
      select.fn.sum('prompt_tokens').as('prompt'),
      select.fn.sum('completion_tokens').as('completion'),
      select.fn.sum('estimated').as('estimated'),
      select.fn.sum('cache_read_tokens').as('cacheRead'),
      select.fn.sum('cache_write_tokens').as('cacheWrite'),
      select.fn.sum('reasoning_tokens').as('reasoning'),
    ])
    .groupBy(column)
    .execute();
  return rows.map((row) => ({
    group: String(row.group),
    requests: Number(row.requests),
    refused: Number(row.refused),
    failed: Number(row.failed),
    promptTokens: Number(row.prompt),
    completionTokens: Number(row.completion),
    estimated: Number(row.estimated),
    cacheReadTokens: Number(row.cacheRead),
    cacheWriteTokens: Number(row.cacheWrite),
    reasoningTokens: Number(row.reasoning),
  }));
}

const unitColumn = {
  key: 'key_id',
  account: 'account_id',
  model: 'model',
  quarter: 'quarter',
} as const satisfies Record<ReportBy, string>;

async function unitsOf(
  db: Kysely<Tables>,
  by: ReportBy,
  fromQuarter: number,
  beforeQuarter: number,
  accounts: readonly AccountId[],
  { keyId, model }: ReportFilter,
): Promise<{ readonly group: string; readonly units: UnitSums }[]> {
  const column = unitColumn[by];
  let all = db.selectFrom('unit_quarterly');
  if (keyId !== undefined) all = all.where('key_id', '=', keyId);
  if (model !== undefined) all = all.where('model', '=', model);
  const rows = await all
    .where('account_id', 'in', accounts)
    .where('quarter', '>=', fromQuarter)
    .where('quarter', '<', beforeQuarter)
    .select((select) => [select.ref(column).as('group'), 'unit', select.fn.sum('units').as('units')])
    .groupBy([column, 'unit'])
    .execute();
  return rows.map((row) => ({ group: String(row.group), units: { [row.unit]: Number(row.units) } }));
}

function add(sums: Map<string, UsageSum>, { group, ...row }: Sum): void {
  const sum = sums.get(group);
  sums.set(group, sum ? addSums(sum, row) : row);
}

async function namesOf(db: Kysely<Tables>, by: ReportBy, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  if (by === 'model' || by === 'quarter') return names;
  for (let from = 0; from < ids.length; from += idsPerQuery) {
    const part = ids.slice(from, from + idsPerQuery);
    const rows =
      by === 'key'
        ? await db
            .selectFrom('keys')
            .select(['id', 'name'])
            .where('id', 'in', part as KeyId[])
            .execute()
        : await db
            .selectFrom('accounts')
            .select(['id', 'name'])
            .where('id', 'in', part as AccountId[])
            .execute();
    for (const { id, name } of rows) names.set(id, name);
  }
  return names;
}
