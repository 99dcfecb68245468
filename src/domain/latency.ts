// Health over time: the steps in which it is kept, and histograms whose buckets can be added up, so that a percentile of a year
// comes from the same figures as that of a minute. Averages cannot be added like this. Pure.

/** Milliseconds of each step. A period is read in the step that gives it 60 to 180 points, however long it is. */
export const stepMs = {
  minute: 60_000,
  quarterHour: 900_000,
  twoHours: 7_200_000,
  halfDay: 43_200_000,
  fourDays: 345_600_000,
} as const;
export type Step = keyof typeof stepMs;
export const steps = Object.keys(stepMs) as Step[];

const dayMs = 86_400_000;

/** How long steps are kept that no period needs for longer; the longest is kept for good. */
export const keptMs = {
  minute: dayMs / 4,
  quarterHour: 14 * dayMs,
  twoHours: 60 * dayMs,
  halfDay: 400 * dayMs,
} as const satisfies Partial<Record<Step, number>>;

/** What can be looked back on. */
export const periods = {
  hour: { ms: 3_600_000, step: 'minute' },
  day: { ms: dayMs, step: 'quarterHour' },
  week: { ms: 7 * dayMs, step: 'twoHours' },
  month: { ms: 30 * dayMs, step: 'halfDay' },
  quarter: { ms: 90 * dayMs, step: 'halfDay' },
  year: { ms: 365 * dayMs, step: 'fourDays' },
} as const satisfies Record<string, { readonly ms: number; readonly step: Step }>;
export type Period = keyof typeof periods;
export const periodNames = Object.keys(periods) as Period[];

/** Upper bounds, each 1.41 times the one before it; one bucket more holds what is above them. */
const growing = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => first * 2 ** (at / 2));

/** 10 ms to 44 minutes, as long as a local model may take to load and answer. */
const times = growing(10, 37);
/** Tokens a second: 0.5 to 2,048. */
const speeds = growing(0.5, 25);

export const histograms = { firstToken: times, duration: times, queue: times, speed: speeds } as const;
export type HistogramName = keyof typeof histograms;
export const histogramNames = Object.keys(histograms) as HistogramName[];

/** The index of the bucket that counts the value. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= (bounds[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * The value below which this share lies, interpolated between the bounds of its bucket; undefined without any. Above the last
 * bound it is that bound.
 */
export function percentile(bounds: readonly number[], counts: readonly number[], share: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let left = share * all;
  for (const [at, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const low = at === 0 ? 0 : (bounds[at - 1] as number);
      const high = bounds[at] ?? low;
      return low + ((high - low) * left) / count;
    }
    left -= count;
  }
  return bounds.at(-1);
}

export type Counts = Record<HistogramName, number[]>;

export const noCounts = (): Counts => ({
  firstToken: zeros('firstToken'),
  duration: zeros('duration'),
  queue: zeros('queue'),
  speed: zeros('speed'),
});

const zeros = (name: HistogramName): number[] => Array.from({ length: histograms[name].length + 1 }, () => 0);

/** The counts of the buckets that are not empty, as `bucket:count` with spaces between. */
export function writeCounts(counts: readonly number[]): string {
  let text = '';
  for (const [at, count] of counts.entries()) if (count > 0) text += `${text === '' ? '' : ' '}${at}:${count}`;
  return text;
}

/** Adds counts that were written to each of the sums; by code units, since a page of a quarter of a year reads a million of them. */
export function addCounts(text: string, ...sums: readonly number[][]): void {
  let at = 0;
  let value = 0;
  for (let index = 0; index <= text.length; index++) {
    const sign = text.charCodeAt(index);
    if (sign >= 48 && sign <= 57) value = value * 10 + sign - 48;
    else if (sign === 58) {
      at = value;
      value = 0;
    } else {
      for (const counts of sums) if (at < counts.length) counts[at] = (counts[at] ?? 0) + value;
      value = 0;
    }
  }
}
