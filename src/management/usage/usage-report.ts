// Usage by key, account, model, hour, day or month, from the quarter-hour roll-ups. Limits are restored from the same figures,
// which are kept longer than single records.
import { Calendar } from '../../domain/calendar.ts';
import type { WallMs } from '../../domain/time.ts';
import { addSums } from '../../domain/usage.ts';
import type { Store } from '../../store/ports/store.ts';
import type { ReportFilter, ReportRow } from '../../store/ports/usage.ts';

export type ReportGroup = 'key' | 'account' | 'model' | 'hour' | 'day' | 'month';

/** The part of a date that identifies the group. */
const lengths = { day: 10, month: 7 } as const;

/**
 * Sums of the quarters of an hour that [from, before) overlaps; hours, days and months are those of the time zone. Sorted by
 * tokens, largest first, or by time. `filter`: one account, key or model.
 */
export async function reportUsage(
  store: Store,
  group: ReportGroup,
  from: WallMs,
  before: WallMs,
  timeZone: string,
  filter: ReportFilter = {},
): Promise<ReportRow[]> {
  if (group === 'key' || group === 'account' || group === 'model')
    return store.reportUsage(group, from, before, filter);
  const calendar = new Calendar(timeZone);
  const nameOf = (at: WallMs): string =>
    group === 'hour' ? calendar.clockHourAt(at) : calendar.dateAt(at).slice(0, lengths[group]);
  return (
    named(await store.reportUsage('hour', from, before, filter), 4 * quarterMs, nameOf) ??
    // In a zone half an hour off UTC, an hour of UTC can belong to two days.
    named(await store.reportUsage('quarter', from, before, filter), quarterMs, nameOf) ??
    []
  );
}

const quarterMs = 900_000;

/** Sums by the names of their times; undefined if a time of this length does not lie within one name. */
function named(rows: readonly ReportRow[], ms: number, nameOf: (at: WallMs) => string): ReportRow[] | undefined {
  const sums = new Map<string, ReportRow>();
  for (const row of rows) {
    const at = Number(row.group) * ms;
    const group = nameOf(at);
    if (ms > quarterMs && nameOf(at + ms - quarterMs) !== group) return undefined;
    const sum = sums.get(group);
    sums.set(group, { ...row, ...(sum && addSums(sum, row)), group });
  }
  return [...sums.values()];
}

type NamedSum = ReportRow & { readonly accountName: string | null };

/**
 * The sums, with the names of accounts for keys, because keys can share names. Keys that pages create for themselves are one sum.
 */
export async function nameOwners(
  store: Pick<Store, 'displayNames'>,
  by: ReportGroup,
  sums: readonly ReportRow[],
): Promise<NamedSum[]> {
  if (by !== 'key') return sums.map((sum) => ({ ...sum, accountName: null }));
  const keys = await store.displayNames(sums.map(({ group }) => group));
  const accounts = await store.displayNames([...keys.values()].flatMap(({ account }) => account ?? []));
  const merged = new Map<string, NamedSum>();
  for (const sum of sums) {
    const { name = '', account = '', ofPage } = keys.get(sum.group) ?? {};
    const one = ofPage ? `${account} ${name}` : sum.group;
    const earlier = merged.get(one);
    const accountName = accounts.get(account)?.name ?? null;
    merged.set(one, { ...sum, ...(earlier && addSums(earlier, sum)), group: earlier?.group ?? sum.group, accountName });
  }
  return [...merged.values()];
}
