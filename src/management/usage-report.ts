// What was used, by key, account, model, day or month, from the hourly roll-ups: the same figures that limits are read
// back from, long after the raw rows are gone.
import { Calendar } from '../domain/calendar.ts';
import type { AccountId } from '../domain/id.ts';
import type { ReportRow, Store } from '../store/ports.ts';

export type ReportGroup = 'key' | 'account' | 'model' | 'day' | 'month';

const hourMs = 3_600_000;

/**
 * Sums of the whole hours in [from, before) (Unix milliseconds); days and months are those of the time zone. The most
 * tokens first, or the earliest day. Of one account, where it is named.
 */
export async function reportUsage(
  store: Store,
  group: ReportGroup,
  from: number,
  before: number,
  timeZone: string,
  accountId?: AccountId,
): Promise<ReportRow[]> {
  const [fromHour, beforeHour] = [Math.floor(from / hourMs), Math.ceil(before / hourMs)];
  if (group !== 'day' && group !== 'month') return store.reportUsage(group, fromHour, beforeHour, accountId);
  const calendar = new Calendar(timeZone);
  const sums = new Map<string, ReportRow>();
  for (const row of await store.reportUsage('hour', fromHour, beforeHour, accountId)) {
    const day = calendar.dateAt(Number(row.group) * hourMs);
    const name = group === 'day' ? day : day.slice(0, 7);
    sums.set(name, add(sums.get(name), { ...row, group: name }));
  }
  return [...sums.values()];
}

function add(sum: ReportRow | undefined, row: ReportRow): ReportRow {
  if (!sum) return row;
  return {
    ...sum,
    requests: sum.requests + row.requests,
    refused: sum.refused + row.refused,
    failed: sum.failed + row.failed,
    promptTokens: sum.promptTokens + row.promptTokens,
    completionTokens: sum.completionTokens + row.completionTokens,
    estimated: sum.estimated + row.estimated,
    cacheReadTokens: sum.cacheReadTokens + row.cacheReadTokens,
    cacheWriteTokens: sum.cacheWriteTokens + row.cacheWriteTokens,
  };
}
