// Where rows of the ledger can be that a filter wants: the sums of each quarter of an hour say between which ids rows of an account, or
// of a model, server, outcome or figure, lie.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { type AccountId, firstRequestId, type KeyId, requestTime } from '../../domain/id.ts';
import { longestHeadMs, type UsageRecord } from '../../domain/usage.ts';
import { quarterMs } from '../ledger/usage-rows.ts';
import type { RowFigure, UsageFilter } from '../ports/usage.ts';
import type { Tables } from './tables.ts';

export type Id = UsageRecord['id'];

/** Ids from `from` up to but without `to`. */
export interface Range {
  readonly from: Id;
  readonly to: Id;
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

const lateQuarters = longestHeadMs / quarterMs;

const idsOfQuarter = (quarter: number): Range => ({
  from: firstRequestId(Math.max(0, quarter - lateQuarters) * quarterMs),
  to: firstRequestId((quarter + 1) * quarterMs),
});

/** Sums are looked at for so many quarters at once: from one to eight days. */
const leastSpan = 1;
const firstSpan = 96;
const mostSpan = 768;

/** Looking at the sums of a quarter of an hour costs as much as reading so many rows. */
const quarterCost = 10;

/** What is to be read of the ids from `from` up to the stretch before, the newest first, and the cost of finding it, in rows. */
export interface Stretch {
  readonly ranges: readonly Range[];
  readonly from: Id;
  readonly cost: number;
}

/** The stretches of [floor, top), the newest first; some hold nothing. */
export async function* stretchesOf(
  db: Kysely<Tables>,
  filter: UsageFilter,
  floor: Id,
  top: Id,
): AsyncGenerator<Stretch> {
  const zones = await zonesOf(db, filter);
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

export const later = (a: Id, b: Id): Id => (a > b ? a : b);
export const earlier = (a: Id, b: Id): Id => (a < b ? a : b);
/** The smallest text above it. */
export const after = (id: Id): Id => `${id}0` as Id;
