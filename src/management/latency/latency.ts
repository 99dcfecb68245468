// Health over time: percentiles, errors by code, and how many calls ran and waited, by time, model and server. Everything is
// computed from sums of histogram buckets, so any period costs about the same.
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type HistogramName,
  histogramNames,
  histograms,
  noCounts,
  type Period,
  percentile,
  periods,
  stepMs,
} from '../../domain/latency.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { Outcome } from '../../domain/usage.ts';
import type { HealthBy, HealthQuery, HealthStore, LatencySum, OutcomeSum } from '../../store/ports/health.ts';

export interface AskedLatency {
  readonly period: Period;
  readonly until: WallMs;
  readonly model?: string | undefined;
  readonly server?: string | undefined;
}

export interface Spread {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export type Health = Readonly<Record<HistogramName, Spread | null>> & {
  readonly requests: number;
  readonly refused: number;
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly running: number;
  readonly waiting: number;
};

export async function readLatency(store: HealthStore, { period, until, model, server }: AskedLatency) {
  const { ms, step } = periods[period];
  const length = stepMs[step];
  // Whole steps; the last one is the current, incomplete step.
  const before = Math.ceil(until / length) * length;
  const query: HealthQuery = {
    step,
    from: before - Math.ceil(ms / length) * length,
    before,
    ...(model === undefined ? {} : { model }),
    ...(server === undefined ? {} : { server }),
  };
  const sums = await store.latency(query);
  const times = await groupsOf(store, 'at', query, sums.at);
  const models = await groupsOf(store, 'model', query, sums.model);
  const servers = await groupsOf(store, 'server', query, sums.server);
  const spanMs = Math.max(1, Math.min(before, until) - query.from);
  return {
    period,
    since: iso(query.from),
    until: iso(before),
    stepMs: length,
    total: healthOf(
      joinedOf(times.map(({ latency }) => latency)),
      times.flatMap(({ ends }) => ends),
      spanMs,
    ),
    points: pointsOf(times, query, length, until),
    models: sorted(models, spanMs).map(({ group, ...health }) => ({ model: group, ...health })),
    servers: sorted(servers, spanMs).map(({ group, ...health }) => ({ server: group, ...health })),
    codes: codesOf(times.flatMap(({ ends }) => ends)),
  };
}

interface Group {
  readonly group: string;
  readonly latency: LatencySum;
  readonly ends: readonly OutcomeSum[];
}

async function groupsOf(
  store: HealthStore,
  by: HealthBy,
  query: HealthQuery,
  latency: readonly LatencySum[],
): Promise<Group[]> {
  const sums = new Map(latency.map((sum) => [sum.group, sum]));
  const ends = Map.groupBy(await store.outcomesBy(by, query), ({ group }) => group);
  // Other requests are served in between.
  await nextTurn();
  return [...new Set([...sums.keys(), ...ends.keys()])].map((group) => ({
    group,
    latency: sums.get(group) ?? { ...nothing, group },
    ends: ends.get(group) ?? [],
  }));
}

const nothing: LatencySum = {
  group: '',
  promptTokens: 0,
  completionTokens: 0,
  runningMs: 0,
  waitingMs: 0,
  counts: noCounts(),
};

const joinedOf = (sums: readonly LatencySum[]): LatencySum =>
  sums.reduce(
    (a, b) => ({
      group: '',
      promptTokens: a.promptTokens + b.promptTokens,
      completionTokens: a.completionTokens + b.completionTokens,
      runningMs: a.runningMs + b.runningMs,
      waitingMs: a.waitingMs + b.waitingMs,
      counts: Object.fromEntries(
        histogramNames.map((name) => [name, a.counts[name].map((count, at) => count + (b.counts[name][at] ?? 0))]),
      ) as Record<HistogramName, number[]>,
    }),
    nothing,
  );

function healthOf(latency: LatencySum, ends: readonly OutcomeSum[], spanMs: number): Health {
  const sum = (wanted: (end: OutcomeSum) => boolean): number =>
    ends.reduce((all, end) => all + (wanted(end) ? end.requests : 0), 0);
  return {
    requests: sum(() => true),
    refused: sum(({ outcome }) => outcome === 'refused'),
    failed: sum(({ outcome }) => failures.has(outcome)),
    promptTokens: latency.promptTokens,
    completionTokens: latency.completionTokens,
    running: tenth(latency.runningMs / spanMs),
    waiting: tenth(latency.waitingMs / spanMs),
    firstToken: spreadOf(latency, 'firstToken', false),
    duration: spreadOf(latency, 'duration', false),
    queue: spreadOf(latency, 'queue', false),
    // For speeds, the slow end matters.
    speed: spreadOf(latency, 'speed', true),
  };
}

const failures: ReadonlySet<Outcome> = new Set(['failed', 'upstream_error', 'ended', 'interrupted']);
const tenth = (value: number): number => Math.round(value * 10) / 10;

function spreadOf({ counts }: LatencySum, name: HistogramName, isSlowEnd: boolean): Spread | null {
  const at = (share: number): number | undefined =>
    percentile(histograms[name], counts[name], isSlowEnd ? 1 - share : share);
  const [p50, p95, p99] = [at(0.5), at(0.95), at(0.99)];
  if (p50 === undefined || p95 === undefined || p99 === undefined) return null;
  return { p50: tenth(p50), p95: tenth(p95), p99: tenth(p99) };
}

/** One for every step, even without calls, so that a gap is not drawn as a line. */
function pointsOf(times: readonly Group[], { from, before }: HealthQuery, length: number, until: WallMs) {
  const byTime = new Map(times.map((each) => [Number(each.group), each]));
  const points = [];
  for (let at = from; at < before; at += length) {
    const { latency, ends } = byTime.get(at) ?? { latency: nothing, ends: [] };
    const codes: Record<string, number> = {};
    for (const { code, outcome, requests } of ends) {
      if (outcome === 'completed' || outcome === 'client_closed') continue;
      const name = code ?? outcome;
      codes[name] = (codes[name] ?? 0) + requests;
    }
    const spanMs = Math.max(1, Math.min(at + length, until) - at);
    points.push({ at: iso(at), ...healthOf(latency, ends, spanMs), codes });
  }
  return points;
}

const sorted = (groups: readonly Group[], spanMs: number): (Health & { readonly group: string })[] =>
  groups
    .map(({ group, latency, ends }) => ({ group, ...healthOf(latency, ends, spanMs) }))
    .toSorted((a, b) => b.requests - a.requests || (a.group < b.group ? -1 : 1));

function codesOf(ends: readonly OutcomeSum[]) {
  const sums = new Map<string, { outcome: Outcome; code: string | null; requests: number }>();
  for (const { outcome, code, requests } of ends) {
    const name = `${outcome} ${code}`;
    const sum = sums.get(name);
    if (sum) sum.requests += requests;
    else sums.set(name, { outcome, code, requests });
  }
  return [...sums.values()].toSorted((a, b) => b.requests - a.requests);
}
