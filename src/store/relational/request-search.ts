// Finds rows of the ledger by what they contain, the newest first. The ledger has no index but its ids, which begin with the
// time, because every further one would cost each call more than its record. Instead the sums of each quarter of an hour
// say where rows of an account, or of a model, server, outcome or figure, can be: only those stretches are read. All work is
// in short pieces, between which the process does other things, and ends with a cursor when it has become too much.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Expression, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
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
const roomForNew = 1_000;
/** Ranges whose rows are counted, and then read, in one query. */
const rangesPerQuery = 32;
/** What a range costs besides its rows, and looking at the sums of a quarter of an hour, in rows. */
const rangeCost = 20;
const quarterCost = 10;

/** Reads about `look` rows at most; a page that ends before it is full says where the next begins. */
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
  for await (const stretch of stretchesOf(await zonesOf(db, filter), floor, top)) {
    for await (const piece of piecesOf(db, stretch.ranges, () => Math.min(rowsPerPiece, left))) {
      const { ranges, count } = piece;
      const read = await readRanges(db, filter, piece, limit + 1 - rows.length);
      rows.push(...read.map(usageOfRow));
      if (rows.length > limit) return { rows: rows.slice(0, limit), next: rows[limit - 1]?.id };
      left -= count + ranges.length * rangeCost;
      const end = ranges.at(-1)?.from ?? stretch.from;
      if (left <= 0) return { rows, next: end > floor ? end : undefined };
      await nextTurn();
    }
    left -= stretch.cost;
    if (left <= 0 && stretch.from > floor) return { rows, next: stretch.from };
  }
  return { rows, next: undefined };
}

/** What is read at once: ranges, the newest first, and how many rows they have together. */
interface Piece {
  readonly ranges: readonly Range[];
  readonly count: number;
}

/** The rows of the piece that match, the newest first. */
async function readRanges(
  db: Kysely<Tables>,
  filter: UsageFilter,
  { ranges, count }: Piece,
  limit: number,
): Promise<Tables['usage'][]> {
  const [only, ...others] = ranges;
  if (!only) return [];
  const newest = db.selectFrom('usage').orderBy('id', 'desc').limit(limit);
  if (others.length === 0)
    return matching(newest.selectAll(), filter).where('id', '>=', only.from).where('id', '<', only.to).execute();
  // A query of its own for each range would make an engine plan each of them. The inner limit takes nothing away, also
  // when rows arrive in between; without it PostgreSQL expects so many that it compiles the query first.
  const all = db
    .selectFrom('usage')
    .selectAll()
    .where(sql<SqlBool>`id >= column2 and id < column3`)
    .limit(count + roomForNew);
  const ids = await ofRanges<string | null>(
    db,
    ranges,
    matching(db.selectFrom(all.as('usage')).select(sql`string_agg(id, ' ')`.as('ids')), filter),
  );
  const matched = ids.flatMap((each) => each?.split(' ') ?? []) as Id[];
  if (matched.length === 0) return [];
  return newest.selectAll().where('id', 'in', matched.toSorted().slice(-limit)).execute();
}

/** Ranges, the newest first, as many as have `most` rows together; one with more is cut. */
async function* piecesOf(db: Kysely<Tables>, ranges: readonly Range[], most: () => number): AsyncGenerator<Piece> {
  for (let at = 0; at < ranges.length; at += rangesPerQuery) {
    const group = ranges.slice(at, at + rangesPerQuery);
    const counts = await countRanges(db, group);
    let [piece, count]: [Range[], number] = [[], 0];
    for (const [place, range] of group.entries()) {
      const own = counts[place] ?? 0;
      if (piece.length > 0 && count + own > most()) {
        yield { ranges: piece, count };
        [piece, count] = [[], 0];
      }
      if (own < most()) {
        piece.push(range);
        count += own;
      } else yield* cut(db, range, most);
    }
    if (piece.length > 0) yield { ranges: piece, count };
  }
}

/** How many rows each of the ranges has; `rowsPerPiece` stands for that many and more. Reads only the index. */
async function countRanges(db: Kysely<Tables>, ranges: readonly Range[]): Promise<number[]> {
  const counted = sql`select 1 from usage where id >= column2 and id < column3 limit ${sql.lit(rowsPerPiece)}`;
  const counts = await ofRanges<number | string>(db, ranges, sql`select count(*) from (${counted}) as counted`);
  return counts.map(Number);
}

/** The value of a query for each of the ranges, which are its `column2` and `column3`. */
async function ofRanges<T>(db: Kysely<Tables>, ranges: readonly Range[], query: Expression<unknown>): Promise<T[]> {
  const listed = sql.join(ranges.map(({ from, to }, place) => sql`(${sql.lit(place)}, ${from}, ${to})`));
  const { rows } = await sql<{ place: number; value: T }>`
    select column1 as place, (${query}) as value from (values ${listed}) as ranges`.execute(db);
  return rows.toSorted((a, b) => Number(a.place) - Number(b.place)).map(({ value }) => value);
}

/** A range in parts of `most` rows, the newest first. */
async function* cut(db: Kysely<Tables>, { from, to }: Range, most: () => number): AsyncGenerator<Piece> {
  for (let end = to; end > from; ) {
    const count = most();
    // Reads only the index.
    const edge = await db
      .selectFrom('usage')
      .select('id')
      .where('id', '>=', from)
      .where('id', '<', end)
      .orderBy('id', 'desc')
      .limit(1)
      .offset(count - 1)
      .executeTakeFirst();
    yield { ranges: [{ from: edge?.id ?? from, to: end }], count };
    end = edge?.id ?? from;
  }
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

/** What is to be read of the ids from `from` up to the stretch before, the newest first, and the cost of finding it. */
interface Stretch {
  readonly ranges: readonly Range[];
  readonly from: Id;
  readonly cost: number;
}

/** The stretches of [floor, top), the newest first; some hold nothing. */
async function* stretchesOf(zones: readonly Zone[] | 'none', floor: Id, top: Id): AsyncGenerator<Stretch> {
  if (zones === 'none' || floor >= top) return;
  if (zones.length === 0) {
    yield { ranges: [{ from: floor, to: top }], from: floor, cost: 0 };
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
    let ranges: readonly Range[] = [{ from, to }];
    for (const each of found) if (each !== 'too many') ranges = common(ranges, united(each));
    yield { ranges, from, cost: (last - first + 1) * quarterCost };
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

const figureColumns: Readonly<Record<RowFigure, ReturnType<typeof sql<number>>>> = {
  tokens: sql<number>`(prompt_tokens + completion_tokens)`,
  queuedMs: sql<number>`queued_ms`,
  firstTokenMs: sql<number>`first_token_ms`,
  durationMs: sql<number>`duration_ms`,
  // As `tokensPerSecond` of domain/usage.
  tokensPerSecond: sql<number>`(case when completion_tokens > 0 and duration_ms > coalesce(first_token_ms, sent_ms, duration_ms)
    then completion_tokens * 1000.0 / (duration_ms - coalesce(first_token_ms, sent_ms)) end)`,
};

function matching<O>(
  query: SelectQueryBuilder<Tables, 'usage', O>,
  filter: UsageFilter,
): SelectQueryBuilder<Tables, 'usage', O> {
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
