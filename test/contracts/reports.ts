// The contract of the store about reports: whatever is written when, and whatever is added to the sums over longer blocks in
// between, every report equals the sums of the rows. One suite for every database; called from the same tests.
import { describe, expect, test } from 'vitest';
import { Calendar } from '../../src/domain/calendar.ts';
import { type AccountId, type KeyId, newRequestId } from '../../src/domain/id.ts';
import { addSums, addUnits, type UsageRecord, type UsageSum } from '../../src/domain/usage.ts';
import { type ReportGroup, reportUsage } from '../../src/management/usage/usage-report.ts';
import type { Store } from '../../src/store/ports/store.ts';
import type { ReportBy, ReportFilter } from '../../src/store/ports/usage.ts';
import { type Database, storesOf } from './store.ts';

const quarterMs = 900_000;
const dayMs = 86_400_000;
const startsAt = 19_000 * dayMs;
const spanDays = 100;

/** The same in every run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 16_807) % 2_147_483_647) % below;
}

const keys = Array.from({ length: 12 }, (_, at) => ({
  keyId: `key_${at}` as KeyId,
  accountId: `acc_${'1BQWZehpx'[at % 9]}${at % 9}` as AccountId,
}));
const ways = [
  { outcome: 'completed', upstream: 'one', status: 200, source: 'exact' },
  { outcome: 'completed', upstream: 'one', status: 200, source: 'estimated' },
  { outcome: 'failed', upstream: 'one', status: 502, source: 'none' },
  { outcome: 'refused', upstream: null, status: 429, source: 'none', repeats: 3 },
] as const;

function recordAt(at: number, roll: (below: number) => number): UsageRecord {
  const isService = roll(10) === 0;
  const way = ways[isService ? 0 : roll(ways.length)];
  const answered = way?.status === 200;
  return {
    id: newRequestId(at),
    at,
    ...(keys[roll(keys.length)] as (typeof keys)[number]),
    operation: isService ? 'route:pictures' : 'chat',
    // A refused caller chooses the name, which is not summed then.
    model: isService || !answered ? null : `model-${roll(5)}`,
    askedModel: null,
    fallbackFor: null,
    code: null,
    streamed: true,
    promptTokens: answered ? roll(900) : 0,
    completionTokens: answered ? roll(500) : 0,
    cacheReadTokens: roll(5),
    cacheWriteTokens: roll(5),
    reasoningTokens: roll(5),
    bytesIn: 1,
    bytesOut: 2,
    firstByteMs: null,
    durationMs: 1_100,
    queuedMs: 0,
    address: '::1',
    repeats: 1,
    ...(way as (typeof ways)[number]),
    ...(isService ? { cost: { unit: roll(2) === 0 ? 'images' : 'seconds', units: 1 + roll(9) } } : {}),
  };
}

/** What a report has to say of these rows. */
function summed(
  rows: readonly UsageRecord[],
  from: number,
  before: number,
  { accountId, keyId, model }: ReportFilter,
  groupOf: (row: UsageRecord) => string,
): Record<string, UsageSum> {
  const [first, last] = [Math.floor(from / quarterMs), Math.ceil(before / quarterMs)];
  const sums = new Map<string, UsageSum>();
  for (const row of rows) {
    const quarter = Math.floor(row.at / quarterMs);
    if (quarter < first || quarter >= last) continue;
    if (accountId !== undefined && row.accountId !== accountId) continue;
    if (keyId !== undefined && row.keyId !== keyId) continue;
    if (model !== undefined && modelOf(row) !== model) continue;
    const sum = sums.get(groupOf(row));
    sums.set(groupOf(row), sum ? addSums(sum, sumOf(row)) : sumOf(row));
  }
  return Object.fromEntries(sums);
}

const modelOf = ({ model, operation }: UsageRecord): string => model ?? (operation === 'chat' ? '' : operation);

const sumOf = (row: UsageRecord): UsageSum => ({
  requests: row.repeats,
  refused: row.outcome === 'refused' ? row.repeats : 0,
  failed: row.outcome === 'failed' ? row.repeats : 0,
  promptTokens: row.promptTokens,
  completionTokens: row.completionTokens,
  estimated: row.source === 'estimated' ? row.repeats : 0,
  cacheReadTokens: row.cacheReadTokens,
  cacheWriteTokens: row.cacheWriteTokens,
  reasoningTokens: row.reasoningTokens,
  ...(row.cost ? { units: addUnits({}, { [row.cost.unit]: row.cost.units }) } : {}),
});

const groupings: Record<ReportBy, (row: UsageRecord) => string> = {
  key: ({ keyId }) => keyId,
  account: ({ accountId }) => accountId,
  model: modelOf,
  hour: ({ at }) => String(Math.floor(at / (4 * quarterMs))),
  quarter: ({ at }) => String(Math.floor(at / quarterMs)),
};

const plain = (found: readonly (UsageSum & { readonly group: string; readonly name: string | null })[]) =>
  Object.fromEntries(found.map(({ group, name: _name, ...sum }) => [group, sum]));

const filters: readonly ReportFilter[] = [
  { accountId: keys[3]?.accountId as AccountId },
  { keyId: keys[5]?.keyId as KeyId },
  { accountId: keys[0]?.accountId as AccountId, keyId: keys[9]?.keyId as KeyId },
  { model: 'model-2' },
  { model: 'route:pictures' },
  { accountId: keys[3]?.accountId as AccountId, model: 'model-1' },
];

type Check = (store: Store, rows: readonly UsageRecord[], from: number, before: number) => Promise<void>;

/** Of each grouping the whole, and one part of it. */
const checking =
  (roll: (below: number) => number): Check =>
  async (store, rows, from, before) => {
    for (const by of Object.keys(groupings) as ReportBy[])
      for (const filter of [{}, filters[roll(filters.length)] as ReportFilter])
        expect(
          plain(await store.reportUsage(by, from, before, filter)),
          `by ${by} of ${JSON.stringify(filter)}`,
        ).toEqual(summed(rows, from, before, filter, groupings[by]));
  };

export function reportsContract(name: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);

  describe(`reports on ${name}`, () => {
    test(
      'equal the rows after any writes, late ones too, whatever is summed over longer blocks in between',
      withStores(async (mine, other) => {
        const roll = dice(20_261_126);
        const checkReports = checking(roll);
        const rows: UsageRecord[] = [];
        for (let day = 0; day < spanDays; day += 10) {
          const [from, before] = [startsAt + day * dayMs, startsAt + (day + 10) * dayMs];
          const batch = Array.from({ length: 60 }, () => recordAt(from + roll(before - from), roll));
          // Read from a journal, or of a call that took long: also of quarters that were summed long ago.
          const late = Array.from({ length: day > 0 ? 15 : 0 }, () => recordAt(startsAt + roll(from - startsAt), roll));
          const writer = roll(2) === 0 ? mine : other;
          await writer.appendUsage([...batch, ...late]);
          await writer.appendUsage(batch.slice(0, 20));
          rows.push(...batch, ...late);
          // Far from done, done, or beyond what there is.
          const goes = [3, 1_000, 25][roll(3)] as number;
          for (let go = 0; go < goes; go++) if (!(await mine.sumUsage(before + roll(dayMs), 20 + roll(200)))) break;
          if (day % 20 === 0) await checkReports(other, rows, startsAt + roll(before - startsAt), before - roll(dayMs));
        }
        while (await other.sumUsage(startsAt + spanDays * dayMs, 500)) continue;
        await checkReports(mine, rows, 0, Number.MAX_SAFE_INTEGER);
        for (let time = 0; time < 3; time++) {
          const from = startsAt + roll(spanDays * dayMs);
          await checkReports(mine, rows, from, from + roll(startsAt + spanDays * dayMs - from));
        }
        // The sums stay when the rows go.
        while ((await mine.pruneUsage(startsAt + 60 * dayMs, 500)) > 0) continue;
        await checkReports(other, rows, startsAt, startsAt + spanDays * dayMs);
      }),
    );
    test(
      'by hour, day and month equal the rows in zones that are hours, or parts of one, off UTC, over a change of the clocks',
      withStores(async (mine) => {
        const roll = dice(7);
        const rows = Array.from({ length: 300 }, () => recordAt(startsAt + roll(60 * dayMs), roll));
        await mine.appendUsage(rows);
        while (await mine.sumUsage(startsAt + 50 * dayMs, 300)) continue;
        const zones = [
          'UTC',
          'Asia/Tokyo',
          'America/New_York',
          'Asia/Kolkata',
          'Asia/Kathmandu',
          'Australia/Lord_Howe',
        ];
        for (const zone of zones) {
          const calendar = new Calendar(zone);
          const nameOf: Record<Exclude<ReportGroup, 'key' | 'account' | 'model'>, (row: UsageRecord) => string> = {
            hour: ({ at }) => calendar.clockHourAt(Math.floor(at / quarterMs) * quarterMs),
            day: ({ at }) => calendar.dateAt(at),
            month: ({ at }) => calendar.dateAt(at).slice(0, 7),
          };
          for (const by of ['hour', 'day', 'month'] as const)
            for (const filter of [{}, { accountId: keys[3]?.accountId as AccountId }])
              expect(plain(await reportUsage(mine, by, startsAt, startsAt + 60 * dayMs, zone, filter)), zone).toEqual(
                summed(rows, startsAt, startsAt + 60 * dayMs, filter, nameOf[by]),
              );
        }
      }),
    );
  });
}
