// Sums of the ledger for reports: by key, account, model or time, with display names. Each is put together from sums over the
// longest blocks that fit its stretch of time, and of quarters of an hour at its edges; what no longer blocks are kept of comes
// from quarters alone. It is read in parts of some milliseconds, between which the process does other things.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { addSums, addUnits, type UsageSum } from '../../domain/usage.ts';
import { type Blocks, blocksOf, type CoarseTable, coarse, type Stretch, sharedFigures } from '../ledger/coarse-sums.ts';
import type { ReportBy, ReportFilter, ReportRow } from '../ports/usage.ts';
import { coarseSumsUntil } from './coarse-sums.ts';
import type { Tables } from './tables.ts';
import type { CoarseFigures } from './usage-tables.ts';

/** Ids per query. */
const idsPerQuery = 500;

type Sql = RawBuilder<unknown>;

/** What is asked for, in quarters of an hour. */
interface Asked extends Stretch {
  readonly by: ReportBy;
  readonly filter: ReportFilter;
}

interface Row extends CoarseFigures {
  readonly group: string | number;
  /** Empty for everything but costs. */
  readonly unit: string;
}

export async function report(
  db: Kysely<Tables>,
  by: ReportBy,
  from: number,
  before: number,
  filter: ReportFilter,
): Promise<ReportRow[]> {
  const sums = new Map<string, UsageSum>();
  for await (const rows of partsOf(db, { by, from, before, filter })) {
    for (const row of rows) add(sums, row);
    await nextTurn();
  }
  const names = await namesOf(db, by, [...sums.keys()]);
  const rows = [...sums].map(([group, sum]) => ({ group, name: names.get(group) ?? null, ...sum }));
  const weight = (row: ReportRow): number => row.promptTokens + row.completionTokens;
  return rows.toSorted((a, b) =>
    isTime(by) ? Number(a.group) - Number(b.group) : weight(b) - weight(a) || (a.group < b.group ? -1 : 1),
  );
}

const isTime = (by: ReportBy): boolean => by === 'hour' || by === 'quarter';

async function* partsOf(db: Kysely<Tables>, asked: Asked): AsyncGenerator<readonly Row[]> {
  const { by } = asked;
  const { keyId } = asked.filter;
  const accountId = asked.filter.accountId ?? (keyId && (await accountOf(db, keyId)));
  const filter = { ...asked.filter, ...(accountId && { accountId }) };
  const table = tableFor(by, filter);
  const wanted = wantedOf(filter);
  if (table === undefined) {
    // An account's quarters stand together.
    if (accountId === undefined)
      for (const ids of accountRanges) yield await sumsOf(db, quartersIn(by, asked, [...wanted, ids]));
    else for (const part of await monthsOf(db, accountId, asked)) yield await sumsOf(db, quartersIn(by, part, wanted));
    return;
  }
  const untils = await coarseSumsUntil(db);
  const steps = coarse[table].steps
    .filter((step) => !isTime(by) || step === 1)
    .map((step) => [step, untils.get(`${table} ${step}`) ?? 0] as const);
  const { blocks, quarters } = blocksOf(asked, steps);
  const ranges = table === 'key_sums' && accountId === undefined ? accountRanges : [everything];
  for (const ids of ranges)
    yield await sumsOf(
      db,
      blocks.map((each) => blocksIn(by, table, each, [...wanted, ids])),
    );
  // Until the ledger of an older version is summed, there is more than the edges.
  const isLong = quarters.some((each) => each.before - each.from > mostListed);
  for (const ids of isLong ? accountRanges : ranges)
    yield await sumsOf(
      db,
      quarters.flatMap((each) => quartersIn(by, each, [...wanted, ids])),
    );
}

/** The sums that know the group and the filter apart, if any but those of quarters do. */
function tableFor(by: ReportBy, { accountId, keyId, model }: ReportFilter): CoarseTable | undefined {
  if (by === 'account' || by === 'key') return model === undefined ? 'key_sums' : undefined;
  if (accountId !== undefined || keyId !== undefined) return undefined;
  return by === 'model' || model !== undefined ? 'model_sums' : 'time_sums';
}

const wantedOf = ({ accountId, keyId, model }: ReportFilter): Sql[] => [
  ...(accountId === undefined ? [] : [sql`account_id = ${accountId}`]),
  ...(keyId === undefined ? [] : [sql`key_id = ${keyId}`]),
  ...(model === undefined ? [] : [sql`model = ${model}`]),
];

const everything: Sql = sql`true`;

/** Eight parts of about as many accounts each, since their ids are random. */
const bounds = ['8', 'G', 'O', 'W', 'd', 'l', 't'].map((sign) => `acc_${sign}`);
const accountRanges: readonly Sql[] = [undefined, ...bounds].map((from, at) => {
  const before = bounds[at];
  if (from === undefined) return sql`account_id < ${before}`;
  return before === undefined ? sql`account_id >= ${from}` : sql`account_id >= ${from} and account_id < ${before}`;
});

async function accountOf(db: Kysely<Tables>, keyId: KeyId): Promise<AccountId | undefined> {
  return (await db.selectFrom('keys').select('account_id').where('id', '=', keyId).executeTakeFirst())?.account_id;
}

/** A few milliseconds for a busy account. */
const quartersPerRead = 30 * 96;

/** The parts of the stretch in which the account has sums. */
async function monthsOf(db: Kysely<Tables>, accountId: AccountId, { from, before }: Stretch): Promise<Stretch[]> {
  const quarters = db.selectFrom('usage_quarterly').select('quarter').where('account_id', '=', accountId).limit(1);
  const first = await quarters.where('quarter', '>=', from).orderBy('quarter').executeTakeFirst();
  const last = await quarters.where('quarter', '<', before).orderBy('quarter', 'desc').executeTakeFirst();
  const parts: Stretch[] = [];
  if (!first || !last) return parts;
  const end = Number(last.quarter) + 1;
  for (let at = Number(first.quarter); at < end; at += quartersPerRead)
    parts.push({ from: at, before: Math.min(end, at + quartersPerRead) });
  return parts;
}

const groups = {
  key: () => sql`key_id`,
  account: () => sql`account_id`,
  model: () => sql`model`,
  hour: (quarter) => sql`${sql.ref(quarter)} / 4`,
  quarter: (quarter) => sql.ref(quarter),
} as const satisfies Record<ReportBy, (quarter: 'at' | 'quarter') => Sql>;

/** So many blocks or quarters are named one by one, which lets an index on them and the account find both. */
const mostListed = 200;

function between(column: 'at' | 'quarter', from: number, before: number): Sql {
  const name = sql.ref(column);
  if (before - from <= mostListed)
    return sql`${name} in (${sql.join(Array.from({ length: before - from }, (_, at) => sql.lit(from + at)))})`;
  // An index on the time alone would find one row after the other, all over the table; a sum is not looked up in it.
  return sql`${name} + 0 >= ${from} and ${name} + 0 < ${before}`;
}

function blocksIn(by: ReportBy, table: CoarseTable, { step, first, last }: Blocks, wanted: readonly Sql[]): Sql {
  const figures = [...sharedFigures, 'units', 'unit'].map((name) => sql.ref(name));
  const where = [sql`step = ${sql.lit(step)}`, between('at', first, last), ...wanted];
  return select(table, [sql`${groups[by]('at')} as "group"`, ...figures], where);
}

/** Everything, and the costs. */
function quartersIn(by: ReportBy, { from, before }: Stretch, wanted: readonly Sql[]): readonly Sql[] {
  const group = sql`${groups[by]('quarter')} as "group"`;
  const where = [between('quarter', from, before), ...wanted];
  const nothing = (name: string): Sql => sql`0 as ${sql.ref(name)}`;
  return [
    select(
      'usage_quarterly',
      [group, ...sharedFigures.map((name) => sql.ref(name)), nothing('units'), sql`'' as unit`],
      where,
    ),
    select('unit_quarterly', [group, ...sharedFigures.map(nothing), sql.ref('units'), sql.ref('unit')], where),
  ];
}

const select = (table: string, columns: readonly Sql[], where: readonly Sql[]): Sql =>
  sql`select ${sql.join(columns)} from ${sql.table(table)} where ${sql.join(where, sql` and `)}`;

async function sumsOf(db: Kysely<Tables>, selects: readonly Sql[]): Promise<readonly Row[]> {
  if (selects.length === 0) return [];
  const sums = [...sharedFigures, 'units'].map((name) => sql`sum(${sql.ref(name)}) as ${sql.ref(name)}`);
  const { rows } = await sql<Row>`
    select "group", unit, ${sql.join(sums)} from (${sql.join(selects, sql` union all `)}) as parts group by "group", unit`.execute(
    db,
  );
  return rows;
}

const nothingUsed: UsageSum = {
  requests: 0,
  refused: 0,
  failed: 0,
  promptTokens: 0,
  completionTokens: 0,
  estimated: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};

function add(sums: Map<string, UsageSum>, row: Row): void {
  const group = String(row.group);
  const sum = sums.get(group);
  if (row.unit === '') sums.set(group, sum ? addSums(sum, sumOf(row)) : sumOf(row));
  else
    sums.set(group, { ...(sum ?? nothingUsed), units: addUnits(sum?.units ?? {}, { [row.unit]: Number(row.units) }) });
}

const sumOf = (row: Row): UsageSum => ({
  requests: Number(row.requests),
  refused: Number(row.refused),
  failed: Number(row.failed),
  promptTokens: Number(row.prompt_tokens),
  completionTokens: Number(row.completion_tokens),
  estimated: Number(row.estimated),
  cacheReadTokens: Number(row.cache_read_tokens),
  cacheWriteTokens: Number(row.cache_write_tokens),
  reasoningTokens: Number(row.reasoning_tokens),
});

async function namesOf(db: Kysely<Tables>, by: ReportBy, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  if (by !== 'key' && by !== 'account') return names;
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
