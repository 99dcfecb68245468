// The public status page: the state of each model, and how its calls ended over the last thirty days, from the sums of latency.
// Only failures of model servers count as down; refusals by limits, keys and maintenance do not.
import type { z } from 'zod';
import { type ErrorCode, registry } from '../../domain/error.ts';
import { periods, stepMs } from '../../domain/latency.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { OutcomeSum } from '../../store/ports/health.ts';
import type { Store } from '../../store/ports/store.ts';
import type { RequestContext } from '../http/endpoint.ts';
import { readMaintenance, tellMaintenance } from '../maintenance/maintenance.ts';
import type { statusPageSchema, stepStates } from './schemas.ts';

type Shown = z.output<typeof statusPageSchema>;
type StepState = (typeof stepStates)[number];
type Sources = Pick<RequestContext, 'store' | 'introspection' | 'now'>;

/** One lookup serves all requests during this time. */
const keptMs = 30_000;
const mostModels = 50;
const recent = new WeakMap<RequestContext['introspection'], { readonly at: WallMs; readonly shown: Promise<Shown> }>();

export function recentStatus(sources: Sources): Promise<Shown> {
  const now = sources.now();
  const last = recent.get(sources.introspection);
  if (last && now >= last.at && now - last.at < keptMs) return last.shown;
  const shown = readStatus(sources, now);
  recent.set(sources.introspection, { at: now, shown });
  shown.catch(() => recent.delete(sources.introspection));
  return shown;
}

async function readStatus({ store, introspection }: Sources, now: WallMs): Promise<Shown> {
  const { ms, step } = periods.month;
  const length = stepMs[step];
  const before = Math.ceil(now / length) * length;
  const from = before - ms;
  const models: Shown['models'] = [];
  for (const { name, canonical, up } of introspection.publicModels().slice(0, mostModels))
    models.push({ name, up, steps: await stepsOf(store, canonical, { step, from, before, length }) });
  const maintenance = tellMaintenance(await readMaintenance(store, now));
  return { at: iso(now), maintenance, since: iso(from), stepMs: length, models };
}

interface Span {
  readonly step: typeof periods.month.step;
  readonly from: WallMs;
  readonly before: WallMs;
  readonly length: number;
}

async function stepsOf(store: Store, model: string, { length, ...span }: Span): Promise<StepState[]> {
  const ends = Map.groupBy(await store.outcomesBy('at', { ...span, model }), ({ group }) => Number(group));
  return Array.from({ length: (span.before - span.from) / length }, (_, index) =>
    stateOf(ends.get(span.from + index * length) ?? []),
  );
}

/** `partial` from one failure in fifty, `down` from one in two. */
function stateOf(ends: readonly OutcomeSum[]): StepState {
  let [good, bad] = [0, 0];
  for (const { outcome, code, requests } of ends) {
    if (outcome === 'completed') good += requests;
    else if (code !== null && isOutage(code)) bad += requests;
  }
  const all = good + bad;
  if (all === 0) return 'none';
  if (bad * 2 >= all) return 'down';
  return bad * 50 >= all ? 'partial' : 'up';
}

const isOutage = (code: ErrorCode): boolean => registry[code].owner === 'upstream' && code !== 'upstream_lacks_route';
