// Sums of the ledger's single records, for filters that the roll-ups do not keep apart: outcomes, and requested names. Records are kept
// for RETENTION_DAYS, and every one of the period is read, so this suits a command, not a page.
import { Calendar } from '../../domain/calendar.ts';
import type { AccountId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import {
  addSums,
  isFailed,
  longestHeadMs,
  nameWithoutModel,
  neverLeft,
  type UsageRecord,
  type UsageSum,
} from '../../domain/usage.ts';
import type { Store } from '../../store/ports/store.ts';
import type { ReportRow, UsageFilter } from '../../store/ports/usage.ts';
import type { ReportGroup } from './usage-report.ts';

const pageRows = 1_000;

/** Groups and order are those of `reportUsage`; hours, days and months are those of the time zone. */
export async function sumRecords(
  store: Pick<Store, 'searchUsage' | 'displayNames' | 'reportUsage'>,
  by: ReportGroup,
  timeZone: string,
  filter: UsageFilter & { readonly since: WallMs; readonly until: WallMs },
): Promise<ReportRow[]> {
  const nameOf = groupNames(by, new Calendar(timeZone));
  // A refused caller chooses the name of a model: like the roll-ups, these sums name only models that have answered the account.
  const answered = new Map<AccountId, Promise<Set<string>>>();
  const isAnswered = async ({ accountId, model }: UsageRecord): Promise<boolean> => {
    let names = answered.get(accountId);
    if (!names) {
      names = store
        .reportUsage('model', filter.since, filter.until + longestHeadMs, { accountId })
        .then((sums) => new Set(sums.map(({ group }) => group)));
      answered.set(accountId, names);
    }
    return (await names).has(model ?? '');
  };
  const sums = new Map<string, UsageSum>();
  let before: string | undefined;
  do {
    const { rows, next } = await store.searchUsage(filter, pageRows, before);
    for (const row of rows) {
      const isNamed = by !== 'model' || row.model === null || (await isAnswered(row));
      const group = isNamed ? nameOf(row) : '';
      const sum = sums.get(group);
      sums.set(group, sum ? addSums(sum, sumOf(row)) : sumOf(row));
    }
    before = next;
  } while (before !== undefined);
  const names = by === 'account' || by === 'key' ? await store.displayNames(sums.keys()) : undefined;
  const found = [...sums].map(([group, sum]) => ({ group, name: names?.get(group)?.name ?? null, ...sum }));
  return found.toSorted(names || by === 'model' ? (a, b) => tokens(b) - tokens(a) : byTime);
}

const tokens = ({ promptTokens, completionTokens }: UsageSum): number => promptTokens + completionTokens;
const byTime = (a: ReportRow, b: ReportRow): number => (a.group < b.group ? -1 : 1);

function groupNames(by: ReportGroup, calendar: Calendar): (row: UsageRecord) => string {
  switch (by) {
    case 'account':
      return ({ accountId }) => accountId;
    case 'key':
      return ({ keyId }) => keyId;
    case 'model':
      return ({ model, operation }) => model ?? nameWithoutModel(operation);
    case 'hour':
      return ({ at }) => calendar.clockHourAt(at);
    case 'day':
      return ({ at }) => calendar.dateAt(at).slice(0, 10);
    case 'month':
      return ({ at }) => calendar.dateAt(at).slice(0, 7);
  }
}

function sumOf(row: UsageRecord): UsageSum {
  return {
    requests: row.repeats,
    refused: neverLeft(row.outcome, row.upstream) ? row.repeats : 0,
    failed: isFailed(row.outcome, row.upstream) ? row.repeats : 0,
    promptTokens: row.promptTokens,
    completionTokens: row.completionTokens,
    estimated: row.source === 'estimated' ? row.repeats : 0,
    cacheReadTokens: row.cacheReadTokens,
    cacheWriteTokens: row.cacheWriteTokens,
    reasoningTokens: row.reasoningTokens,
    ...(row.cost ? { units: { [row.cost.unit]: row.cost.units } } : {}),
  };
}
