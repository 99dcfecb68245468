// Sums over longer blocks than a quarter of an hour, from which reports over months are made. Each set of them holds every quarter
// before one that is written down beside it, and nothing else. Quarters are added when they have been over for a while, so a
// call pays nothing for these sums; a row that comes later than that is added to them as it is written.
import type { CoarseFigures, UsageTables } from '../relational/usage-tables.ts';

export type CoarseTable = 'time_sums' | 'model_sums' | 'key_sums';

/** Lengths of blocks, in quarters of an hour. */
const [quarter, threeHours, day] = [1, 12, 96] as const;

/** What each table keeps apart, and in blocks of which lengths, the shortest first. */
export const coarse = {
  time_sums: { of: [], steps: [quarter] },
  model_sums: { of: ['model'], steps: [quarter, day] },
  key_sums: { of: ['account_id', 'key_id'], steps: [threeHours, day, 8 * day, 64 * day] },
} as const satisfies Record<CoarseTable, { readonly of: readonly string[]; readonly steps: readonly number[] }>;

/** One table's blocks of one length. */
export interface CoarseSet {
  readonly table: CoarseTable;
  readonly step: number;
  readonly name: string;
}

export const coarseSets: readonly CoarseSet[] = Object.entries(coarse).flatMap(([table, { steps }]) =>
  steps.map((step) => ({ table: table as CoarseTable, step, name: `${table} ${step}` })),
);

/** What the sums of a quarter hold, too. */
export const sharedFigures = [
  'requests',
  'refused',
  'failed',
  'prompt_tokens',
  'completion_tokens',
  'estimated',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
] as const satisfies readonly (keyof CoarseFigures)[];

export const coarseFigures = [...sharedFigures, 'units'] as const;

export const coarseJoining = Object.fromEntries(coarseFigures.map((name) => [name, 'add'])) as Record<
  keyof CoarseFigures,
  'add'
>;

export const coarseKeys = (table: CoarseTable): readonly string[] => ['step', ...coarse[table].of, 'at', 'unit'];

type Quarter = UsageTables['usage_quarterly'];
type Units = UsageTables['unit_quarterly'];
export type CoarseRow = UsageTables[CoarseTable];

/** What sums of quarters add to a set that holds them already; `until` is the first quarter that it does not hold. */
export function lateSums(
  { table, step }: CoarseSet,
  until: number,
  quarters: readonly Quarter[],
  units: readonly Units[],
): CoarseRow[] {
  const names: readonly ('model' | 'account_id' | 'key_id')[] = coarse[table].of;
  const keysOf = (sum: Quarter | Units) => ({
    step,
    at: Math.floor(sum.quarter / step),
    ...Object.fromEntries(names.map((name) => [name, sum[name]])),
  });
  const late = (sum: Quarter | Units): boolean => sum.quarter < until;
  return [
    ...quarters.filter(late).map((sum) => ({ ...keysOf(sum), unit: '', ...figuresOf(sum), units: 0 })),
    ...units.filter(late).map((sum) => ({ ...keysOf(sum), unit: sum.unit, ...figuresOf({}), units: sum.units })),
  ];
}

const figuresOf = (sum: Partial<Quarter>) =>
  Object.fromEntries(sharedFigures.map((name) => [name, sum[name] ?? 0])) as Pick<
    Quarter,
    (typeof sharedFigures)[number]
  >;

/** Quarters [from, before). */
export interface Stretch {
  readonly from: number;
  readonly before: number;
}

/** Blocks [first, last) of a length. */
export interface Blocks {
  readonly step: number;
  readonly first: number;
  readonly last: number;
}

/**
 * The blocks that together are a stretch, the longest where they fit, and the quarters at its edges that no block covers. Only
 * blocks of which every quarter is summed are taken: those stay as they are while a report is read in parts.
 * @param steps the shortest first, each with the first quarter that its set does not hold
 */
export function blocksOf(
  { from, before }: Stretch,
  steps: readonly (readonly [step: number, until: number])[],
): { readonly blocks: Blocks[]; readonly quarters: Stretch[] } {
  if (from >= before) return { blocks: [], quarters: [] };
  const longest = steps.at(-1);
  if (longest === undefined) return { blocks: [], quarters: [{ from, before }] };
  const [step, until] = longest;
  const shorter = steps.slice(0, -1);
  const first = Math.ceil(from / step);
  const last = Math.floor(Math.min(before, until) / step);
  if (first >= last) return blocksOf({ from, before }, shorter);
  const head = blocksOf({ from, before: first * step }, shorter);
  const tail = blocksOf({ from: last * step, before }, shorter);
  return {
    blocks: [...head.blocks, { step, first, last }, ...tail.blocks],
    quarters: [...head.quarters, ...tail.quarters],
  };
}
