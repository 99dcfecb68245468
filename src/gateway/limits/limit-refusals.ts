// Words refusals of calls for which a limit has no room: which limit, how much of it is used, and when the next window begins.
// Reads the standing of the limits; reserves nothing.
import { windows } from '../../domain/calendar.ts';
import { GatewayError } from '../../domain/error.ts';
import {
  type Ask,
  firstFull,
  type Limit,
  limitName,
  measures,
  mostOf,
  needOf,
  type Standing,
  type SubjectName,
  subjectNames,
  subjects,
  type Use,
} from '../../domain/limit.ts';
import { formOf } from '../../domain/plural.ts';
import type { Principal } from '../../domain/principal.ts';
import { detail } from '../../domain/refusal-details.ts';
import type { SteadyMs } from '../../domain/time.ts';

/** `beyond_plan` if the plan or the key allows no call to run at all. Waiting would not help then. */
export function idleError({ atOnce }: Principal): GatewayError | undefined {
  const idle = subjectNames[atOnce.indexOf(0)];
  return idle === undefined
    ? undefined
    : new GatewayError('beyond_plan', {
        message: detail('no_call', { source: subjects[idle].source }),
        by: `${idle} concurrentRequests`,
        figures: { needed: 1, most: 0 },
      });
}

/** The smallest ask of each kind of call. */
const leastAsks = {
  nothing: { requests: 1, promptTokens: 0, completionTokens: 0, units: 0, spends: false },
  embedding: { requests: 1, promptTokens: 1, completionTokens: 0, units: 0, spends: true },
  generation: { requests: 1, promptTokens: 1, completionTokens: 1, units: 0, spends: true },
} as const satisfies Record<string, Ask>;

/** Refuses a call before its body is read if not even the smallest one of its kind has room. @throws as `refuseFull`. */
export function refuseExhausted(
  principal: Principal,
  standing: Standing,
  kind: keyof typeof leastAsks,
  now: SteadyMs,
): void {
  refuseFull(principal, standing, leastAsks[kind], now);
}

/** @throws GatewayError `rate_limited`, `quota_exceeded` if a window has no room for the call. */
export function refuseFull({ limits }: Principal, standing: Standing, use: Use, now: SteadyMs): void {
  const limit = firstFull(limits, use, standing);
  if (limit) throw fullError(limit, standing, use, now);
}

export function fullError(limit: Limit, standing: Standing, use: Use, now: SteadyMs): GatewayError {
  const { on, measure, window } = limit;
  const [used, most] = [figure(standing.used(limit)), figure(mostOf(limit, standing))];
  const waitSeconds = Math.max(1, Math.ceil((standing.endsAt(limit) - now) / 1000));
  const values = {
    who: subjects[on].this,
    most,
    what: formOf(mostOf(limit, standing), measures[measure].word, measures[measure].words),
    each: windows[window].each,
    used,
    window,
    wait: durationWords(waitSeconds),
  };
  return new GatewayError(window === 'minute' ? 'rate_limited' : 'quota_exceeded', {
    message:
      measure === 'requests'
        ? detail('window_full', values)
        : detail('window_short', { ...values, need: figure(needOf(limit, use)) }),
    // All windows end at the same moment; the random part keeps callers from coming back all at once.
    retryAfterSeconds: waitSeconds + Math.floor(Math.random() * Math.min(30, 1 + waitSeconds / 10)),
    by: `${on} ${limitName(limit)}`,
  });
}

/** Too many calls run, and the line is full. */
export function crowdedError(on: SubjectName, { atOnce }: Principal, standing: Standing): GatewayError {
  const [running, most] = [standing.running(on), atOnce[subjectNames.indexOf(on)] ?? 0];
  return new GatewayError('too_many_concurrent', {
    message: detail('crowded', { running: figure(running), whose: subjects[on].whose, most: figure(most) }),
    by: `${on} concurrentRequests`,
  });
}

const figure = (value: number): string => value.toLocaleString('en-US');

function durationWords(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
