// Finds rows of the ledger by what they contain, the newest first. The ledger has no index but its ids, which begin with the
// time, because every further one would cost each call more than its record. Instead only the stretches are read in which such rows
// can be. All work is in short pieces, between which the process does other things, and ends with a cursor when it has become too much.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Expression, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { firstRequestId } from '../../domain/id.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import { usageOfRow } from '../ledger/usage-rows.ts';
import type { RowFigure, UsageFilter } from '../ports/usage.ts';
import { after, earlier, type Id, later, type Range, stretchesOf } from './request-stretches.ts';
import type { Tables } from './tables.ts';

interface Found {
  readonly rows: UsageRecord[];
  readonly next: string | undefined;
}

/** 5 ms or less of reading. */
const rowsPerPiece = 5_000;
const roomForNew = 1_000;
/** Ranges whose rows are counted, and then read, in one query. */
const rangesPerQuery = 32;
/** What a range costs besides its rows, in rows. */
const rangeCost = 20;

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
  for await (const stretch of stretchesOf(db, filter, floor, top)) {
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
