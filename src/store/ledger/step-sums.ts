// Sums rows of the ledger for health over time: how calls ended, and histograms of their times and speeds, in steps of every
// length. They are written with the rows, so a row that is replayed from the journal counts once.
import {
  addCounts,
  bucketOf,
  type Counts,
  type HistogramName,
  histogramNames,
  histograms,
  noCounts,
  stepMs,
  steps,
  writeCounts,
} from '../../domain/latency.ts';
import { generatingMs } from '../../domain/usage.ts';
import type { Tables } from '../relational/tables.ts';
import type { AnsweredModels } from './usage-rows.ts';

type Row = Tables['usage'];
export type OutcomeSum = Tables['outcome_steps'];
export type LatencyRow = Tables['latency_steps'];
export type LatencySum = Omit<LatencyRow, 'first_token' | 'duration' | 'queue' | 'speed'> & { readonly counts: Counts };

export const outcomeKeys = ['step', 'at', 'model', 'upstream', 'outcome', 'status', 'code'] as const;
export const latencyKeys = ['step', 'at', 'model', 'upstream'] as const;

/** How a column of a sum that exists takes a new one in. */
export type Joining = 'add' | 'least' | 'most';

export const outcomeFigures = {
  requests: 'add',
  first_id: 'least',
  last_id: 'most',
  most_tokens: 'most',
  longest_ms: 'most',
  longest_queued_ms: 'most',
  longest_first_token_ms: 'most',
} as const satisfies Partial<Record<keyof OutcomeSum, Joining>>;

export const latencyColumns = [
  ...latencyKeys,
  'prompt_tokens',
  'completion_tokens',
  'running_ms',
  'waiting_ms',
  'first_token',
  'duration',
  'queue',
  'speed',
] as const satisfies readonly (keyof LatencyRow)[];

/** The column of each histogram. */
export const countColumns = {
  firstToken: 'first_token',
  duration: 'duration',
  queue: 'queue',
  speed: 'speed',
} as const satisfies Record<HistogramName, keyof LatencyRow>;

/** The sum as its row, with what the row of the same keys holds already. */
export function rowOfLatency({ counts, ...sum }: LatencySum, old: LatencyRow | undefined): LatencyRow {
  if (old) for (const name of histogramNames) addCounts(old[countColumns[name]], counts[name]);
  return {
    ...sum,
    prompt_tokens: sum.prompt_tokens + Number(old?.prompt_tokens ?? 0),
    completion_tokens: sum.completion_tokens + Number(old?.completion_tokens ?? 0),
    running_ms: sum.running_ms + Number(old?.running_ms ?? 0),
    waiting_ms: sum.waiting_ms + Number(old?.waiting_ms ?? 0),
    first_token: writeCounts(counts.firstToken),
    duration: writeCounts(counts.duration),
    queue: writeCounts(counts.queue),
    speed: writeCounts(counts.speed),
  };
}

/** SQL of what the column becomes where the sum exists; `excluded` is the new one. */
export function joined(table: string, column: string, how: Joining): string {
  const old = `${table}.${column}`;
  if (how === 'add') return `${old} + excluded.${column}`;
  return `case when excluded.${column} ${how === 'least' ? '<' : '>'} ${old} then excluded.${column} else ${old} end`;
}

/** Each step is a multiple of the one before, so only the shortest is summed row by row, and the others from its sums. */
const [shortest, ...longer] = steps.map((step) => stepMs[step]) as [number, ...number[]];

export function sumOutcomes(rows: readonly Row[], answered: AnsweredModels): OutcomeSum[] {
  let sums = new Map<string, OutcomeSum>();
  for (const row of rows) {
    const model = answered.nameFor(row);
    const { upstream, code, outcome, status, repeats } = row;
    const keys = { model, upstream: upstream ?? '', outcome, status, code: code ?? ('' as const) };
    addOutcome(sums, shortest, Math.floor(row.at / shortest), keys, {
      requests: repeats,
      first_id: row.id,
      last_id: row.id,
      most_tokens: row.prompt_tokens + row.completion_tokens,
      longest_ms: row.duration_ms,
      longest_queued_ms: row.queued_ms,
      longest_first_token_ms: row.first_token_ms ?? 0,
    });
  }
  const found = [...sums.values()];
  for (const step of longer) {
    const shorter = sums;
    sums = new Map();
    for (const sum of shorter.values()) addOutcome(sums, step, Math.floor((sum.at * sum.step) / step), sum, sum);
    found.push(...sums.values());
  }
  return found;
}

type OutcomeFigures = Pick<OutcomeSum, keyof typeof outcomeFigures>;

function addOutcome(
  sums: Map<string, OutcomeSum>,
  step: number,
  at: number,
  { model, upstream, outcome, status, code }: Pick<OutcomeSum, 'model' | 'upstream' | 'outcome' | 'status' | 'code'>,
  figures: OutcomeFigures,
): void {
  const name = `${at} ${outcome} ${status} ${code} ${upstream}\n${model}`;
  const sum = sums.get(name);
  if (!sum) {
    sums.set(name, { step, at, model, upstream, outcome, status, code, ...figuresOf(figures) });
    return;
  }
  sum.requests += figures.requests;
  if (figures.first_id < sum.first_id) sum.first_id = figures.first_id;
  if (figures.last_id > sum.last_id) sum.last_id = figures.last_id;
  sum.most_tokens = Math.max(sum.most_tokens, figures.most_tokens);
  sum.longest_ms = Math.max(sum.longest_ms, figures.longest_ms);
  sum.longest_queued_ms = Math.max(sum.longest_queued_ms, figures.longest_queued_ms);
  sum.longest_first_token_ms = Math.max(sum.longest_first_token_ms, figures.longest_first_token_ms);
}

const figuresOf = (of: OutcomeFigures): OutcomeFigures => ({
  requests: of.requests,
  first_id: of.first_id,
  last_id: of.last_id,
  most_tokens: of.most_tokens,
  longest_ms: of.longest_ms,
  longest_queued_ms: of.longest_queued_ms,
  longest_first_token_ms: of.longest_first_token_ms,
});

export function sumLatency(rows: readonly Row[], answered: AnsweredModels): LatencySum[] {
  const sums = new Map<string, LatencySum>();
  const addTo = (step: number, row: Row): void => {
    const model = answered.nameFor(row);
    addRow(row, (at) => sumAt(sums, step, at, model, row.upstream ?? ''), step);
  };
  for (const row of rows) if (isWhole(row)) addTo(shortest, row);
  let shorter = [...sums.values()];
  for (const step of longer) {
    const joint = new Set<LatencySum>();
    for (const sum of shorter) {
      const to = sumAt(sums, step, Math.floor((sum.at * sum.step) / step), sum.model, sum.upstream);
      addSum(to, sum);
      joint.add(to);
    }
    shorter = [...joint];
  }
  for (const row of rows) if (!isWhole(row)) for (const step of [shortest, ...longer]) addTo(step, row);
  return [...sums.values()];
}

/** All of its steps are counted, also the shortest ones. */
const isWhole = (row: Row): boolean => Math.max(row.duration_ms, row.queued_ms) < (mostSteps - 1) * shortest;

function addSum(to: LatencySum, sum: LatencySum): void {
  to.prompt_tokens += sum.prompt_tokens;
  to.completion_tokens += sum.completion_tokens;
  to.running_ms += sum.running_ms;
  to.waiting_ms += sum.waiting_ms;
  for (const name of histogramNames) {
    const counts = to.counts[name];
    for (const [at, more] of sum.counts[name].entries()) if (more > 0) counts[at] = (counts[at] ?? 0) + more;
  }
}

function addRow(row: Row, at: (step: number) => LatencySum, length: number): void {
  const queuedFrom = row.at;
  spread(queuedFrom, queuedFrom + row.queued_ms, length, at, 'waiting_ms');
  if (row.upstream === null) return;
  const sum = at(Math.floor(row.at / length));
  sum.prompt_tokens += row.prompt_tokens;
  sum.completion_tokens += row.completion_tokens;
  count(sum, 'queue', row.queued_ms);
  const sentMs = row.sent_ms ?? row.queued_ms;
  if (row.outcome === 'completed') count(sum, 'duration', row.duration_ms - sentMs);
  if (row.first_token_ms !== null) count(sum, 'firstToken', row.first_token_ms - sentMs);
  const ms = generatingMs({
    durationMs: row.duration_ms,
    firstTokenMs: row.first_token_ms ?? undefined,
    sentMs: row.sent_ms ?? undefined,
  });
  if (row.source === 'exact' && row.completion_tokens > 0 && ms > 0)
    count(sum, 'speed', (row.completion_tokens * 1000) / ms);
  spread(row.at + row.queued_ms, row.at + row.duration_ms, length, at, 'running_ms');
}

/** A connection that was open for months is counted in its last steps only. */
const mostSteps = 400;

/** Adds the milliseconds of each step that [from, until) covers. */
function spread(
  from: number,
  until: number,
  length: number,
  at: (step: number) => LatencySum,
  column: 'running_ms' | 'waiting_ms',
): void {
  if (until <= from) return;
  const last = Math.floor((until - 1) / length);
  for (let step = Math.max(Math.floor(from / length), last - mostSteps + 1); step <= last; step++)
    at(step)[column] += Math.min(until, (step + 1) * length) - Math.max(from, step * length);
}

function count({ counts }: LatencySum, name: HistogramName, value: number): void {
  const at = bucketOf(histograms[name], value);
  counts[name][at] = (counts[name][at] ?? 0) + 1;
}

const noFigures = { prompt_tokens: 0, completion_tokens: 0, running_ms: 0, waiting_ms: 0 };

function sumAt(sums: Map<string, LatencySum>, step: number, at: number, model: string, upstream: string): LatencySum {
  const name = `${step} ${at} ${upstream}\n${model}`;
  let sum = sums.get(name);
  if (!sum) {
    sum = { step, at, model, upstream, ...noFigures, counts: noCounts() };
    sums.set(name, sum);
  }
  return sum;
}
