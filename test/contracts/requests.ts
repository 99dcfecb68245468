// The contract of the store about the request log and health over time: a search finds exactly the rows that match, however
// few of many they are, and the sums in steps equal the rows. One suite for every database; called from the same tests.
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/error.ts';
import { type AccountId, type KeyId, newRequestId } from '../../src/domain/id.ts';
import { histograms, percentile, type Step, stepMs, steps } from '../../src/domain/latency.ts';
import { tokensPerSecond, type UsageRecord } from '../../src/domain/usage.ts';
import type { HealthBy } from '../../src/store/ports/health.ts';
import type { Store } from '../../src/store/ports/store.ts';
import type { UsageFilter } from '../../src/store/ports/usage.ts';
import { type Database, storesOf } from './store.ts';

const startsAt = 1_700_000_000_000;
const quarterMs = 900_000;

export const record = (at: number, extra: Partial<UsageRecord> = {}): UsageRecord => ({
  id: newRequestId(at),
  at,
  keyId: 'key_x' as KeyId,
  accountId: 'acc_x' as AccountId,
  operation: 'chat',
  model: 'gemma3:270m',
  askedModel: null,
  fallbackFor: null,
  upstream: 'one',
  outcome: 'completed',
  status: 200,
  code: null,
  streamed: true,
  promptTokens: 3,
  completionTokens: 50,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  source: 'exact',
  bytesIn: 1,
  bytesOut: 2,
  firstByteMs: 90,
  durationMs: 1_100,
  queuedMs: 0,
  sentMs: 10,
  firstTokenMs: 100,
  address: '::1',
  repeats: 1,
  ...extra,
});
const refused = { outcome: 'refused', upstream: null, completionTokens: 0, source: 'none', sentMs: undefined } as const;

/** Rows of many kinds over three days; heads up to an hour before they count. */
function manyRows(count: number): UsageRecord[] {
  let seed = 7;
  const pick = (below: number): number => (seed = (seed * 16_807) % 2_147_483_647) % below;
  return Array.from({ length: count }, (_, index): UsageRecord => {
    const at = startsAt + Math.floor((index * 3 * 86_400_000) / count) + pick(5_000);
    const isLate = pick(50) === 0;
    const account = pick(40) === 0 ? 'rare' : 'busy';
    const code = pick(30) === 0 ? (['rate_limited', 'queue_full'] as const)[pick(2)] : undefined;
    return record(at, {
      id: newRequestId(isLate ? at - 3_500_000 : at),
      accountId: `acc_${account}` as AccountId,
      keyId: `key_${account}${pick(2)}` as KeyId,
      model: ['gemma3:270m', 'llama3', null][pick(3)] as string | null,
      upstream: ['one', 'two'][pick(2)] as string,
      queuedMs: pick(20) === 0 ? pick(60_000) : 0,
      firstTokenMs: pick(3) === 0 ? undefined : 50 + pick(2_000),
      durationMs: 3_000 + (pick(100) === 0 ? 900_000 : pick(2_000)),
      promptTokens: pick(100) === 0 ? 9_000 : pick(50),
      ...(code ? { ...refused, code, status: 429 } : {}),
    });
  });
}

const figureOf = (row: UsageRecord, name: string): number | undefined => {
  if (name === 'tokens') return row.promptTokens + row.completionTokens;
  if (name === 'tokensPerSecond') return tokensPerSecond(row);
  return row[name as 'durationMs'];
};

function matches(row: UsageRecord, filter: UsageFilter): boolean {
  const { accountId, keyId, model, outcome, server, status, code, since = 0, until = Infinity, figures = {} } = filter;
  const at = startOf(row);
  const wanted: [unknown, unknown][] = [
    [accountId, row.accountId],
    [keyId, row.keyId],
    [model, row.model],
    [outcome, row.outcome],
    [server, row.upstream],
    [status, row.status],
    [code, row.code],
  ];
  const within = Object.entries(figures).every(([name, { least = -Infinity, most = Infinity }]) => {
    const figure = figureOf(row, name);
    return figure !== undefined && figure >= least && figure <= most;
  });
  const { accounts = [row.accountId], keys = [row.keyId] } = filter;
  const owned = accounts.includes(row.accountId) && keys.includes(row.keyId);
  return (
    wanted.every(([want, is]) => want === undefined || want === is) && owned && at >= since && at < until && within
  );
}
const heads = new Map<string, number>();
const startOf = ({ id, at }: UsageRecord): number => heads.get(id) ?? at;

async function allOf(store: Store, filter: UsageFilter, limit: number, look?: number): Promise<string[]> {
  const ids: string[] = [];
  let before: string | undefined;
  let pages = 0;
  do {
    const page = await store.searchUsage(filter, limit, before, look);
    expect(page.rows.length).toBeLessThanOrEqual(limit);
    ids.push(...page.rows.map(({ id }) => id));
    before = page.next;
    expect(++pages, JSON.stringify(filter)).toBeLessThan(3_000);
  } while (before !== undefined);
  return ids;
}

export function requestsContract(name: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);

  describe(`the request log on ${name}`, () => {
    test(
      'finds exactly the rows that match, the newest first, in pages of any size and any bound of work',
      withStores(async (mine, other) => {
        const rows = manyRows(1_000);
        for (const row of rows) heads.set(row.id, row.at);
        const late = rows.filter(({ id, at }) => id < newRequestId(at - 1_000_000));
        for (const row of late) heads.set(row.id, row.at - 3_500_000);
        await mine.appendUsage(rows);
        const day = startsAt + 86_400_000;
        const filters: UsageFilter[] = [
          {},
          { since: day, until: day + 7_200_000 },
          { accountId: 'acc_rare' as AccountId },
          { accountId: 'acc_rare' as AccountId, since: day },
          { accountId: 'acc_rare' as AccountId, model: 'llama3' },
          { accountId: 'acc_rare' as AccountId, outcome: 'refused' },
          { accountId: 'acc_busy' as AccountId, code: 'queue_full', until: day },
          { accountId: 'acc_nobody' as AccountId },
          { keyId: 'key_rare1' as KeyId },
          { accounts: ['acc_rare', 'acc_nobody'] as AccountId[] },
          { accounts: ['acc_rare', 'acc_busy'] as AccountId[], code: 'queue_full' },
          { keys: ['key_rare1', 'key_gone'] as KeyId[], accounts: ['acc_rare'] as AccountId[] },
          { accountId: 'acc_busy' as AccountId, keys: ['key_rare1'] as KeyId[] },
          { accounts: [] },
          { model: 'llama3', server: 'two' },
          { code: 'rate_limited' },
          { status: 429, model: 'gemma3:270m' },
          { server: 'three' },
          { figures: { durationMs: { least: 100_000 } } },
          { figures: { tokens: { least: 9_000 }, durationMs: { most: 3_500 } } },
          { figures: { queuedMs: { least: 30_000, most: 50_000 } } },
          { figures: { firstTokenMs: { least: 1_900 } } },
          { figures: { tokensPerSecond: { least: 20 } }, accountId: 'acc_rare' as AccountId },
        ];
        for (const filter of filters) {
          const wanted = rows.filter((row) => matches(row, filter)).map(({ id }) => id);
          const expected = wanted.toSorted((a, b) => (a < b ? 1 : -1));
          expect(await allOf(other, filter, 7), JSON.stringify(filter)).toEqual(expected);
          expect(await allOf(other, filter, 500, 300), JSON.stringify(filter)).toEqual(expected);
        }
      }),
    );
    test(
      'reads few rows where few match: a rare account of a large ledger is found in one look',
      withStores(async (mine) => {
        const rows = Array.from({ length: 1_000 }, (_, index) => record(startsAt + index * 80_000));
        const rare = record(startsAt + 500_000, {
          accountId: 'acc_rare' as AccountId,
          keyId: 'key_rare' as KeyId,
        });
        const slow = record(startsAt + 900_000, { durationMs: 77_000, firstTokenMs: 70_000 });
        await mine.appendUsage([...rows, rare, slow]);
        const look = 900;
        const found = await mine.searchUsage({ accountId: rare.accountId }, 50, undefined, look);
        expect(found.rows.map(({ id }) => id)).toEqual([rare.id]);
        const slowest = await mine.searchUsage({ figures: { durationMs: { least: 70_000 } } }, 50, undefined, look);
        expect(slowest.rows.map(({ id }) => id)).toEqual([slow.id]);
      }),
    );
    test(
      'ends a page after the rows that it was to read, also where they lie in many short stretches',
      withStores(async (mine) => {
        const perQuarter = 300;
        const rows = Array.from({ length: 20 * perQuarter }, (_, index) =>
          record(startsAt + Math.floor((index * quarterMs) / perQuarter)),
        );
        await mine.appendUsage(rows);
        const wanted = { accountId: rows[0]?.accountId as AccountId, figures: { durationMs: { most: 1 } } };
        const found = await mine.searchUsage(wanted, 50, undefined, 900);
        const read = rows.filter(({ id }) => id >= (found.next ?? '')).length;
        expect(read).toBeGreaterThanOrEqual(600);
        expect(read).toBeLessThanOrEqual(900);
        expect(await allOf(mine, wanted, 50, 900)).toEqual([]);
      }),
    );
    test(
      'reads a quarter of an hour with more rows than are read at once, beside many with few',
      withStores(async (mine) => {
        const crowd = Array.from({ length: 12_000 }, (_, index) =>
          record(startsAt + 5 * quarterMs + index * 50, { durationMs: index }),
        );
        const few = Array.from({ length: 80 }, (_, index) =>
          record(startsAt + index * quarterMs, { durationMs: index }),
        );
        await mine.appendUsage([...crowd, ...few]);
        for (const durationMs of [0, 79, 80, 4_999, 5_000, 7_001, 11_999]) {
          const figures = { durationMs: { least: durationMs, most: durationMs } };
          const found = await allOf(mine, { accountId: 'acc_x' as AccountId, figures }, 50);
          const wanted = [...few, ...crowd].filter((row) => row.durationMs === durationMs).map(({ id }) => id);
          expect(found.toSorted()).toEqual(wanted.toSorted());
        }
      }),
    );
    test(
      'keeps the stages of a call, what was changed in it and what refused it',
      withStores(async (mine, other) => {
        const stages = { readyMs: 4, queuedMs: 6, loadMs: 8, sentMs: 20, firstTokenMs: 100 };
        const row = record(startsAt, { ...stages, changes: 'options.num_ctx: lowered', refusedBy: 'x', detail: 'y' });
        await mine.appendUsage([row, record(startsAt, { id: 'req_0' as UsageRecord['id'] })]);
        expect(await other.findUsage(row.id)).toEqual(row);
        expect(await other.findUsage('req_1')).toBeUndefined();
      }),
    );
  });

  describe(`health over time on ${name}`, () => {
    const read = async (store: Store, by: HealthBy, step: Step, extra: { model?: string; server?: string } = {}) => {
      // Steps of every length that may begin before it.
      const [from, before] = [startsAt - 4 * 86_400_000, startsAt + 5 * 86_400_000];
      return (await store.latency({ step, from, before, ...extra }))[by];
    };
    test(
      'counts a row once in every step, whichever process writes it and however often',
      withStores(async (mine, other) => {
        const rows = manyRows(300);
        await mine.appendUsage(rows.slice(0, 200));
        await other.appendUsage(rows.slice(150));
        await mine.appendUsage(rows);
        const sent = rows.filter(({ upstream }) => upstream !== null);
        const query = { from: startsAt - 86_400_000, before: startsAt + 9 * 86_400_000 };
        for (const step of steps) {
          const ends = await other.outcomesBy('model', { step, ...query });
          expect(ends.reduce((sum, { requests }) => sum + requests, 0)).toBe(rows.length);
          // From wherever in a longer step it begins.
          const later = { ...query, from: query.from + 2 * stepMs.halfDay, step } as const;
          const [byTime, byServer] = [await other.outcomesBy('at', later), await other.outcomesBy('server', later)];
          const requestsIn = (found: readonly { readonly requests: number }[]) =>
            found.reduce((sum, { requests }) => sum + requests, 0);
          expect(requestsIn(byServer)).toBe(requestsIn(byTime));
          const limited = ends.filter(({ code }) => code === 'rate_limited');
          expect(limited.reduce((sum, { requests }) => sum + requests, 0)).toBe(
            rows.filter(({ code }) => code === ('rate_limited' satisfies ErrorCode)).length,
          );
          const sums = await read(other, 'server', step);
          expect(sums.map(({ group }) => group)).toEqual(expect.arrayContaining(['one', 'two']));
          const total = (figure: (sum: (typeof sums)[number]) => number): number =>
            sums.reduce((all, sum) => all + figure(sum), 0);
          expect(total(({ counts }) => counts.queue.reduce((a, b) => a + b, 0))).toBe(sent.length);
          expect(total(({ counts }) => counts.firstToken.reduce((a, b) => a + b, 0))).toBe(
            sent.filter(({ firstTokenMs }) => firstTokenMs !== undefined).length,
          );
          expect(total(({ waitingMs }) => waitingMs)).toBe(rows.reduce((all, { queuedMs }) => all + queuedMs, 0));
        }
      }),
    );
    test(
      'spreads the time of a call over the steps in which it ran',
      withStores(async (mine) => {
        const at = Math.ceil(startsAt / quarterMs) * quarterMs;
        await mine.appendUsage([record(at - 30_000, { queuedMs: 10_000, durationMs: 40_000 + quarterMs })]);
        const sums = await read(mine, 'at', 'quarterHour');
        const byStep = Object.fromEntries(sums.map(({ group, runningMs }) => [Number(group) - at, runningMs]));
        expect(byStep).toEqual({ [-quarterMs]: 20_000, 0: quarterMs, [quarterMs]: 10_000 });
        expect(sums.map(({ waitingMs }) => waitingMs).toSorted((a, b) => a - b)).toEqual([0, 0, 10_000]);
      }),
    );
    test(
      'gives percentiles as near as its buckets, of one model or server alone',
      withStores(async (mine) => {
        const durations = Array.from({ length: 1_000 }, (_, index) => 10 + index * 10);
        await mine.appendUsage(
          durations.map((durationMs, index) =>
            record(startsAt + index, {
              durationMs,
              sentMs: 0,
              firstTokenMs: undefined,
              upstream: index % 2 ? 'one' : 'two',
            }),
          ),
        );
        const [sum] = await read(mine, 'model', 'fourDays');
        for (const share of [0.5, 0.95, 0.99]) {
          const found = percentile(histograms.duration, sum!.counts.duration, share)!;
          expect(Math.abs(found / (share * 10_000) - 1)).toBeLessThan(0.1);
        }
        const [one] = await read(mine, 'model', 'minute', { server: 'one' });
        expect(one!.counts.queue.reduce((a, b) => a + b, 0)).toBe(500);
        expect(await read(mine, 'model', 'minute', { model: 'other' })).toEqual([]);
      }),
    );
    test(
      'forgets old sums of a step, the oldest first, and leaves the others',
      withStores(async (mine, other) => {
        await mine.appendUsage(Array.from({ length: 30 }, (_, index) => record(startsAt + index * stepMs.minute)));
        expect(await mine.pruneSteps('minute', startsAt + 20 * stepMs.minute, 8)).toBe(16);
        expect(await read(other, 'at', 'minute')).toHaveLength(22);
        expect(await mine.pruneSteps('minute', startsAt + 20 * stepMs.minute, 500)).toBeGreaterThan(0);
        expect(await mine.pruneSteps('minute', startsAt + 20 * stepMs.minute, 500)).toBe(0);
        expect(await read(other, 'at', 'minute')).toHaveLength(10);
        expect((await read(other, 'at', 'quarterHour')).length).toBeGreaterThan(0);
      }),
    );
  });
}
