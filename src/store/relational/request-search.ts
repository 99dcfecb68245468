// Finds rows of the ledger by what they contain, the newest first. The ledger has no index but its ids, which begin with the
// time, because every further one would cost each call more than its record. Instead the sums of each quarter of an hour
// say where rows of an account, or of a model, server, outcome or figure, can be: only those stretches are read. All work is
// in short pieces, between which the process does other things, and ends with a cursor when it has become too much.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { type AccountId, firstRequestId, type KeyId, requestTime } from '../../domain/id.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import { quarterMs, usageOfRow } from '../ledger/usage-rows.ts';
import type { RowFigure, UsageFilter } from '../ports/usage.ts';
import type { Tables } from './tables.ts';

type Id = UsageRecord['id'];

/** Ids from `from` up to but without `to`. */
interface Range {
  readonly from: Id;
  readonly to: Id;
}

interface Found {
  readonly rows: UsageRecord[];
  readonly next: string | undefined;
}

/** 5 ms or less of reading. */
const rowsPerPiece = 5_000;
/** What a query costs besides its rows, and looking at the sums of a quarter of an hour. */
const queryCost = 50;
const quarterCost = 10;

export async function searchRequests(
  db: Kysely<Tables>,
  filter: UsageFilter,
  limit: number,
  before: string | undefined,
  look: number,
): Promise<Found> {
  const { since, until } = filter;
  const oldest = await db.selectFrom('usage').select('id').orderBy('id').limit(1).executeTakeFirst();
  if (!oldest) return { rows: [], next: undefined };
  const floor = since === undefined ? oldest.id : later(oldest.id, firstRequestId(since));
  const newest = await db.selectFrom('usage').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  let top = after(newest?.id ?? oldest.id);
  if (until !== undefined) top = earlier(top, firstRequestId(until));
  if (before !== undefined) top = earlier(top, before as Id);
  const rows: UsageRecord[] = [];
  let left = look;
  for await (const piece of piecesOf(await zonesOf(db, filter), floor, top)) {
    let { to } = piece;
    while (to > piece.from) {
      if (left <= 0) return { rows, next: to };
      const { from, count } = await cut(db, { from: piece.from, to }, Math.min(rowsPerPiece, left));
      left -= count + queryCost;
      const read = await matching(db.selectFrom('usage').selectAll(), filter)
        .where('id', '>=', from)
        .where('id', '<', to)
        .orderBy('id', 'desc')
        .limit(limit + 1 - rows.length)
        .execute();
      rows.push(...read.map(usageOfRow));
      if (rows.length > limit) return { rows: rows.slice(0, limit), next: rows[limit - 1]?.id };
      to = from;
      await nextTurn();
    }
    left -= piece.cost;
    if (left <= 0 && piece.from > floor) return { rows, next: piece.from };
  }
  return { rows, next: undefined };
}

/** The newest part of a range, with its number of rows if it is not the whole. */
async function cut(db: Kysely<Tables>, { from, to }: Range, most: number): Promise<{ from: Id; count: number }> {
  // Reads only the index.
  const edge = await db
    .selectFrom('usage')
    .select('id')
    .where('id', '>=', from)
    .where('id', '<', to)
    .orderBy('id', 'desc')
    .limit(1)
    .offset(most - 1)
    .executeTakeFirst();
  return edge ? { from: edge.id, count: most } : { from, count: 0 };
}

/** Queries for the stretches that a set of sums leaves, in quarters [from, before). */
type Zone = (from: number, before: number) => Promise<readonly Range[] | 'too many'>;

/** Undefined: nothing narrows the search down, or no row can match. */
async function zonesOf(db: Kysely<Tables>, filter: UsageFilter): Promise<readonly Zone[] | 'none'> {
  const zones: Zone[] = [];
  const keys = filter.keyId === undefined ? filter.keys : [filter.keyId];
  let accounts = filter.accountId === undefined ? filter.accounts : [filter.accountId];
  if (keys !== undefined && keys.length > 0) {
    const rows = await db.selectFrom('keys').select('account_id').where('id', 'in', keys).execute();
    // A key that is gone may have rows of any account.
    if (rows.length === keys.length) {
      const owners = new Set(rows.map((row) => row.account_id));
      accounts = accounts === undefined ? [...owners] : accounts.filter((id) => owners.has(id));
    }
  }
  if (accounts?.length === 0 || keys?.length === 0) return 'none';
  if (accounts !== undefined) zones.push(accountZone(db, accounts, keys, filter.model));
  const { model, server, outcome, status, code, figures = {} } = filter;
  const named = [model, server, outcome, status, code].some((each) => each !== undefined);
  if (named || Object.values(figures).some(({ least }) => least !== undefined)) zones.push(outcomeZone(db, filter));
  return zones;
}

/** Sums that are read at once; a few milliseconds. */
const mostSums = 5_000;

function accountZone(
  db: Kysely<Tables>,
  accounts: readonly AccountId[],
  keys: readonly KeyId[] | undefined,
  model: string | undefined,
): Zone {
  return async (from, before) => {
    let query = db
      .selectFrom('usage_quarterly')
      .select(['quarter', 'first_id', 'last_id'])
      .where('account_id', 'in', accounts)
      .where('quarter', '>=', from)
      .where('quarter', '<', before)
      .limit(mostSums);
    if (keys !== undefined) query = query.where('key_id', 'in', keys);
    if (model !== undefined) query = query.where('model', 'in', [model, '']);
    const sums = await query.execute();
    if (sums.length === mostSums) return 'too many';
    return sums.map(({ quarter, first_id: first, last_id: last }) =>
      first === null || last === null ? idsOfQuarter(Number(quarter)) : { from: first, to: after(last) },
    );
  };
}

/** The columns that know the greatest of a figure. */
const mostColumns = {
  tokens: 'most_tokens',
  queuedMs: 'longest_queued_ms',
  firstTokenMs: 'longest_first_token_ms',
  durationMs: 'longest_ms',
} as const satisfies Partial<Record<RowFigure, keyof Tables['outcome_steps']>>;

function outcomeZone(db: Kysely<Tables>, { model, server, outcome, status, code, figures = {} }: UsageFilter): Zone {
  return async (from, before) => {
    let query = db
      .selectFrom('outcome_steps')
      .select(['first_id', 'last_id'])
      .where('step', '=', quarterMs)
      .where('at', '>=', from)
      .where('at', '<', before)
      .limit(mostSums);
    // A name that no server answered to is summed without it.
    if (model !== undefined) query = query.where('model', 'in', [model, '']);
    if (server !== undefined) query = query.where('upstream', '=', server);
    if (outcome !== undefined) query = query.where('outcome', '=', outcome);
    if (status !== undefined) query = query.where('status', '=', status);
    if (code !== undefined) query = query.where('code', '=', code as Tables['outcome_steps']['code']);
    for (const [figure, column] of Object.entries(mostColumns)) {
      const least = figures[figure as RowFigure]?.least;
      if (least !== undefined) query = query.where(column, '>=', least);
    }
    const sums = await query.execute();
    return sums.length === mostSums ? 'too many' : sums.map((sum) => ({ from: sum.first_id, to: after(sum.last_id) }));
  };
}

/** A call counts at most an hour after its head. */
const lateQuarters = 4;

const idsOfQuarter = (quarter: number): Range => ({
  from: firstRequestId(Math.max(0, quarter - lateQuarters) * quarterMs),
  to: firstRequestId((quarter + 1) * quarterMs),
});

/** Sums are looked at for so many quarters at once: from one to eight days. */
const leastSpan = 1;
const firstSpan = 96;
const mostSpan = 768;

/** The stretches of [floor, top) that are to be read, the newest first, each with the cost of finding it. */
async function* piecesOf(
  zones: readonly Zone[] | 'none',
  floor: Id,
  top: Id,
): AsyncGenerator<Range & { readonly cost: number }> {
  if (zones === 'none' || floor >= top) return;
  if (zones.length === 0) {
    yield { from: floor, to: top, cost: 0 };
    return;
  }
  let [to, span] = [top, firstSpan];
  while (to > floor) {
    const last = Math.floor((requestTime(to) - 1) / quarterMs);
    const first = Math.max(0, last - span + 1);
    const from = later(floor, firstRequestId(first * quarterMs));
    const found = await Promise.all(zones.map((zone) => zone(first, last + 2 + lateQuarters)));
    if (found.includes('too many') && span > leastSpan) {
      span = Math.max(leastSpan, span >> 2);
      continue;
    }
    const whole: Range = { from, to };
    let ranges: readonly Range[] = [whole];
    for (const each of found) if (each !== 'too many') ranges = common(ranges, united(each));
    for (const range of ranges) yield { ...range, cost: 0 };
    // The stretch is over, also where it holds nothing.
    yield { from, to: from, cost: (last - first + 1) * quarterCost };
    if (ranges.length < 100) span = Math.min(mostSpan, span * 2);
    to = from;
    await nextTurn();
  }
}

/** The same ids in ranges that do not overlap, the newest first. */
function united(ranges: readonly Range[]): Range[] {
  const all: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.to < b.to ? 1 : -1))) {
    const last = all.at(-1);
    if (last && range.to >= last.from) all[all.length - 1] = { from: earlier(last.from, range.from), to: last.to };
    else all.push(range);
  }
  return all;
}

/** The ids that are in both; each is the newest first and without overlaps, and so is the result. */
function common(a: readonly Range[], b: readonly Range[]): Range[] {
  const all: Range[] = [];
  let [i, j] = [0, 0];
  for (let left = a[i], right = b[j]; left && right; left = a[i], right = b[j]) {
    const [from, to] = [later(left.from, right.from), earlier(left.to, right.to)];
    if (from < to) all.push({ from, to });
    if (left.from > right.from) i++;
    else j++;
  }
  return all;
}

const later = (a: Id, b: Id): Id => (a > b ? a : b);
const earlier = (a: Id, b: Id): Id => (a < b ? a : b);
/** The smallest text above it. */
const after = (id: Id): Id => `${id}0` as Id;

type Selected = SelectQueryBuilder<Tables, 'usage', Tables['usage']>;

const figureColumns: Readonly<Record<RowFigure, ReturnType<typeof sql<number>>>> = {
  tokens: sql<number>`(prompt_tokens + completion_tokens)`,
  queuedMs: sql<number>`queued_ms`,
  firstTokenMs: sql<number>`first_token_ms`,
  durationMs: sql<number>`duration_ms`,
  // As `tokensPerSecond` of domain/usage.
  tokensPerSecond: sql<number>`(case when completion_tokens > 0 and duration_ms > coalesce(first_token_ms, sent_ms, duration_ms)
    then completion_tokens * 1000.0 / (duration_ms - coalesce(first_token_ms, sent_ms)) end)`,
};

function matching(query: Selected, filter: UsageFilter): Selected {
  const { accountId, accounts, keyId, keys, model, askedModel, server, outcome, status, code, figures = {} } = filter;
  let found = query;
  if (accountId !== undefined) found = found.where('account_id', '=', accountId);
  if (accounts !== undefined) found = found.where('account_id', 'in', accounts);
  if (keyId !== undefined) found = found.where('key_id', '=', keyId);
  if (keys !== undefined) found = found.where('key_id', 'in', keys);
  // Reports name services beside models.
  if (model !== undefined) found = found.where(model.startsWith('route:') ? 'operation' : 'model', '=', model);
  if (askedModel !== undefined) found = found.where('asked_model', '=', askedModel);
  if (server !== undefined) found = found.where('upstream', '=', server);
  if (outcome !== undefined) found = found.where('outcome', '=', outcome);
  if (status !== undefined) found = found.where('status', '=', status);
  if (code !== undefined) found = found.where('code', '=', code as NonNullable<UsageRecord['code']>);
  for (const [figure, { least, most } = {}] of Object.entries(figures)) {
    const column = figureColumns[figure as RowFigure];
    if (least !== undefined) found = found.where(sql<SqlBool>`${column} >= ${least}`);
    if (most !== undefined) found = found.where(sql<SqlBool>`${column} <= ${most}`);
  }
  return found;
}
