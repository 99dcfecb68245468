// The groups of a usage chart: every hour, day or month of the period, with or without usage.
import type { UsageSum } from '../api-types.ts';
import { startOf, wallAt } from './zone.ts';

export const periods = ['1', '7', '30', '365'] as const;
export type Period = (typeof periods)[number];
export type Unit = 'hour' | 'day' | 'month';

export interface Span {
  readonly unit: Unit;
  readonly since: string;
  /** As the gateway names them: `2026-11-26T14`, `2026-11-26` or `2026-11`, the earliest first. */
  readonly groups: readonly string[];
}

const hourMs = 3_600_000;

/** The last 24 hours, the last days with today, or the last twelve months with this one. */
export function spanOf(period: Period, zone: string, now: number): Span {
  if (period === '1') {
    const minutes = Number(wallAt(now, zone).slice(14, 16));
    const since = now - 23 * hourMs - minutes * 60_000 - (now % 60_000);
    const hours = Array.from({ length: 24 }, (_, hour) => wallAt(since + hour * hourMs, zone).slice(0, 13));
    return { unit: 'hour', since: iso(since), groups: [...new Set(hours)] };
  }
  const today = wallAt(now, zone).slice(0, 10);
  if (period === '365') {
    const [year = 0, month = 0] = today.split('-').map(Number);
    const groups = Array.from({ length: 12 }, (_, i) =>
      new Date(Date.UTC(year, month - 12 + i)).toISOString().slice(0, 7),
    );
    return { unit: 'month', since: iso(startOf(`${groups[0] ?? ''}-01`, zone)), groups };
  }
  const groups = Array.from({ length: Number(period) }, (_, i) =>
    new Date(Date.parse(`${today}T12:00Z`) - (Number(period) - 1 - i) * 24 * hourMs).toISOString().slice(0, 10),
  );
  return { unit: 'day', since: iso(startOf(groups[0] ?? today, zone)), groups };
}

const iso = (at: number): string => new Date(at).toISOString();

export interface Bar {
  readonly group: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** A bar for each group; 0 without a sum. */
export function filled(groups: readonly string[], sums: readonly UsageSum[]): readonly Bar[] {
  const found = new Map(sums.map((sum) => [sum.group, sum]));
  return groups.map((group) => found.get(group) ?? { group, promptTokens: 0, completionTokens: 0 });
}
