// Turns rounds into the printed table and the result file. Every figure is the median over the rounds; every ratio is taken
// within the run, because figures of two runs or two machines cannot be compared.
import type { Figures } from './measure.ts';

/** Printed for an unknown figure. */
const none = '–';

/** One line of figures for each subject, in the order in which they first appear. */
export function medians(rounds: readonly Figures[]): Figures[] {
  const names = [...new Set(rounds.map((round) => round.subject))];
  return names.map((subject) => {
    const own = rounds.filter((round) => round.subject === subject);
    const first = own[0] as Figures;
    const merged = Object.entries(first).map(([name, value]) => {
      const values = own.map((round) => round[name as keyof Figures]).filter((each) => typeof each === 'number');
      return [name, values.length > 0 ? median(values) : value];
    });
    return Object.fromEntries(merged) as Figures;
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

type Column = readonly [title: string, cell: (row: Figures) => string];

/** One markdown table. `×nginx` and `×article` follow the figure that they compare. */
export function table(rows: readonly Figures[]): string {
  const named = (name: string): Figures | undefined => rows.find((row) => row.subject === name);
  const [direct, nginx, article] = ['direct', 'nginx', 'article'].map(named);
  const beside = (figure: 'requestsPerS' | 'cpuUsPerRequest' | 'cpuUsPerChunk'): Column[] => [
    ['× nginx', (row) => ratio(row[figure], nginx?.[figure])],
    ['× article', (row) => ratio(row[figure], article?.[figure])],
  ];
  const columns: readonly Column[] = [
    ['subject', (row) => row.subject],
    ['requests/s', (row) => decimals(row.requestsPerS, 0)],
    ...beside('requestsPerS'),
    ['p50 ms', (row) => decimals(row.p50Ms, 2)],
    ['p99 ms', (row) => decimals(row.p99Ms, 2)],
    ['CPU µs/request', (row) => decimals(row.cpuUsPerRequest, 1)],
    ...beside('cpuUsPerRequest'),
    ['CPU µs/chunk', (row) => decimals(row.cpuUsPerChunk, 1)],
    ...beside('cpuUsPerChunk'),
    ['first token + ms', (row) => decimals(added(row.firstChunkMsP50, direct?.firstChunkMsP50), 2)],
    ['RSS idle MB', (row) => decimals(megabytes(row.idleBytes), 1)],
    ['RSS loaded MB', (row) => decimals(megabytes(row.loadedBytes), 1)],
  ];
  const lines = [columns.map(([title]) => title), columns.map((_, i) => (i === 0 ? ':--' : '--:'))];
  for (const row of rows) lines.push(columns.map(([, cell]) => cell(row)));
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  return lines
    .map((line) => `| ${line.map((cell, i) => padded(cell, widths[i] as number, i === 0)).join(' | ')} |`)
    .join('\n');
}

/**
 * This gate ÷ the other one, round by round: two consecutive launches saw the same machine. Reports each figure's
 * smallest, median and largest ratio and in how many rounds it was above 1.
 */
export function ratios(rounds: readonly Figures[]): string {
  const of = (name: string): Figures[] => rounds.filter(({ subject }) => subject === name);
  const [own, other] = [of('sekisho'), of('other')];
  const figures = ['requestsPerS', 'p99Ms', 'cpuUsPerRequest', 'cpuUsPerChunk', 'idleBytes', 'loadedBytes'] as const;
  const rows = figures.map((figure) => {
    const found = own
      .flatMap((row, at) => {
        const [value, base] = [row[figure], other[at]?.[figure]];
        return typeof value === 'number' && typeof base === 'number' ? [value / base] : [];
      })
      .toSorted((a, b) => a - b);
    if (found.length === 0) return [figure, none, none, none, none];
    const above = found.filter((each) => each > 1).length;
    const said = [found[0], median(found), found.at(-1)].map((each) => decimals(each ?? null, 3));
    return [figure, ...said, `${above} of ${found.length}`];
  });
  return [['this ÷ other', 'least', 'median', 'most', 'above 1'], [':--', '--:', '--:', '--:', '--:'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function padded(cell: string, width: number, left: boolean): string {
  return left ? cell.padEnd(width) : cell.padStart(width);
}

function decimals(value: number | null, digits: number): string {
  return value === null ? none : value.toFixed(digits);
}

function ratio(value: number | null, base: number | null | undefined): string {
  return value === null || base === null || base === undefined ? none : (value / base).toFixed(2);
}

function added(value: number | null, base: number | null | undefined): number | null {
  return value === null || base === null || base === undefined ? null : value - base;
}

function megabytes(bytes: number | null): number | null {
  return bytes === null ? null : bytes / 1e6;
}
