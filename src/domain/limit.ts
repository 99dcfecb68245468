// What limits count, and on which subject: the tables that counters, refusals, headers and schemas are derived from,
// and the arithmetic that every limit store shares, so that all of them admit the same calls. Pure; holds no counters.
import { type Window, windowNames } from './calendar.ts';
import { slowFactor } from './suspension.ts';
import type { SteadyMs } from './time.ts';

/** What calls have used or are expected to use. */
export interface Use {
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Cost of services, in whole units of their routes. */
  readonly units: number;
}

interface MeasureRow {
  readonly unit: string;
  /** The measure as it appears in a sentence, for one and for several. */
  readonly word: string;
  readonly words: string;
  readonly of: (use: Use) => number;
}

/** Everything that a limit can count. */
export const measures = {
  requests: { unit: 'requests', word: 'call', words: 'calls', of: (use) => use.requests },
  tokens: { unit: 'tokens', word: 'token', words: 'tokens', of: (use) => use.promptTokens + use.completionTokens },
  promptTokens: { unit: 'tokens', word: 'prompt token', words: 'prompt tokens', of: (use) => use.promptTokens },
  completionTokens: {
    unit: 'tokens',
    word: 'completion token',
    words: 'completion tokens',
    of: (use) => use.completionTokens,
  },
  units: { unit: 'units', word: 'unit', words: 'units', of: (use) => use.units },
} as const satisfies Record<string, MeasureRow>;

export type Measure = keyof typeof measures;
export const measureNames = Object.keys(measures) as Measure[];

interface CountedRow {
  /** The subject at the start of a sentence. */
  readonly this: string;
  readonly whose: string;
  /** Where its limits are configured. */
  readonly source: string;
  readonly label: string;
}

/** The subjects of limits. A call counts on its account, and on its key with the keys that this one replaced. */
export const subjects = {
  account: { this: 'This account', whose: 'this account', source: 'plan of this account', label: '' },
  key: { this: 'This API key', whose: 'this key', source: 'limit of this API key', label: 'key-' },
} as const satisfies Record<string, CountedRow>;

export type SubjectName = keyof typeof subjects;
export const subjectNames = Object.keys(subjects) as SubjectName[];

interface WindowedRow {
  readonly measure: Measure;
  readonly window: Window;
  readonly meaning: string;
}

/** Every limit that counts in a recurring window. Terms, counters, headers and columns are derived from it. */
export const windowed = {
  requestsPerMinute: { measure: 'requests', window: 'minute', meaning: 'Calls in one minute of the clock.' },
  requestsPerHour: { measure: 'requests', window: 'hour', meaning: 'Calls in one hour of the clock.' },
  requestsPerDay: { measure: 'requests', window: 'day', meaning: 'Calls in one day.' },
  tokensPerMinute: {
    measure: 'tokens',
    window: 'minute',
    meaning: 'Prompt and completion together, in one minute of the clock.',
  },
  tokensPerHour: {
    measure: 'tokens',
    window: 'hour',
    meaning: 'Prompt and completion together, in one hour of the clock.',
  },
  tokensPerDay: { measure: 'tokens', window: 'day', meaning: 'Prompt and completion together, in one day.' },
  tokensPerWeek: {
    measure: 'tokens',
    window: 'week',
    meaning: 'Prompt and completion together, in one week from Monday to Sunday.',
  },
  tokensPerMonth: {
    measure: 'tokens',
    window: 'month',
    meaning: 'Prompt and completion together, in one calendar month.',
  },
  promptTokensPerMinute: { measure: 'promptTokens', window: 'minute', meaning: 'Prompt tokens in one minute.' },
  promptTokensPerDay: { measure: 'promptTokens', window: 'day', meaning: 'Prompt tokens in one day.' },
  promptTokensPerMonth: { measure: 'promptTokens', window: 'month', meaning: 'Prompt tokens in one month.' },
  completionTokensPerMinute: {
    measure: 'completionTokens',
    window: 'minute',
    meaning: 'Completion tokens in one minute.',
  },
  completionTokensPerDay: { measure: 'completionTokens', window: 'day', meaning: 'Completion tokens in one day.' },
  completionTokensPerMonth: {
    measure: 'completionTokens',
    window: 'month',
    meaning: 'Completion tokens in one month.',
  },
  unitsPerMinute: { measure: 'units', window: 'minute', meaning: 'Cost of services in one minute of the clock.' },
  unitsPerDay: { measure: 'units', window: 'day', meaning: 'Cost of services in one day.' },
  unitsPerMonth: { measure: 'units', window: 'month', meaning: 'Cost of services in one calendar month.' },
} as const satisfies Record<string, WindowedRow>;

export type WindowedName = keyof typeof windowed;
export const windowedNames = Object.keys(windowed) as WindowedName[];

/** The limit as plans and keys name it: `tokensPerDay`. */
export const limitName = ({ measure, window }: Pick<Limit, 'measure' | 'window'>): string =>
  `${measure}Per${window[0]?.toUpperCase() ?? ''}${window.slice(1)}`;

/** One windowed limit of a key, and the subject that it counts. */
export interface Limit {
  readonly on: SubjectName;
  readonly measure: Measure;
  readonly window: Window;
  readonly most: number;
  /** The name in response headers: `tokens-day`, `key-tokens-day`. */
  readonly label: string;
  /** Indexes of the three in their tables, where counters find the figure. */
  readonly subjectAt: number;
  readonly measureAt: number;
  readonly windowAt: number;
}

/** The limits of a subject; null or absent is "no limit". */
export type Limiting = { readonly [name in WindowedName | 'concurrentRequests']?: number | null };

/** Every windowed limit of the subjects that a call counts on. */
export function limitsOf(limiting: Readonly<Record<SubjectName, Limiting>>): Limit[] {
  const limits: Limit[] = [];
  for (const name of windowedNames) {
    const { measure, window } = windowed[name];
    const words = measure.replace(/T/, '-t');
    for (const [subjectAt, on] of subjectNames.entries()) {
      const most = limiting[on][name] ?? null;
      if (most === null) continue;
      const places = { subjectAt, measureAt: measureNames.indexOf(measure), windowAt: windowNames.indexOf(window) };
      limits.push({ on, measure, window, most, label: `${subjects[on].label}${words}-${window}`, ...places });
    }
  }
  return limits;
}

/** The limits of a caller, in the form that a limit store needs. */
export interface CallerBounds {
  readonly limits: readonly Limit[];
  /** Concurrent calls, by subject in the order of `subjects`; null is "no limit". */
  readonly atOnce: readonly (number | null)[];
}

export const atOnceOf = (limiting: Readonly<Record<SubjectName, Limiting>>): (number | null)[] =>
  subjectNames.map((on) => limiting[on].concurrentRequests ?? null);

/** What a call needs from its limits. */
export interface Ask extends Use {
  /** Whether it occupies a model server (unlike a list). If so, it counts towards the concurrency limit. */
  readonly spends: boolean;
}

/** The current state of a caller's limits. In the memory store the figures keep changing after the call. */
export interface Standing {
  /** Slowed down by a step of the ladder. */
  readonly slowed: boolean;
  /** Used plus reserved, in the limit's window. */
  used(limit: Limit): number;
  /** When that window ends. */
  endsAt(limit: Limit): SteadyMs;
  /** Calls that are running now. */
  running(on: SubjectName): number;
}

/** The figure in force: a slowed caller gets a fraction of each minute limit. */
export function mostOf({ most, window }: Limit, { slowed }: Pick<Standing, 'slowed'>): number {
  // At least one, so that a slowed caller can still call.
  return slowed && window === 'minute' ? Math.min(most, Math.max(1, Math.floor(most * slowFactor))) : most;
}

/** What a call takes from a limit. */
export const needOf = ({ measure }: Limit, use: Use): number => measures[measure].of(use);

/** The first limit whose window has no room for the call. */
export function firstFull(limits: readonly Limit[], use: Use, standing: Standing): Limit | undefined {
  for (const limit of limits) {
    const need = needOf(limit, use);
    if (need === 0) continue;
    const most = mostOf(limit, standing);
    const used = standing.used(limit);
    // A call larger than the whole limit is admitted once its window is empty; otherwise it could never run.
    if (used >= most || used + Math.min(need, most) > most) return limit;
  }
  return undefined;
}

/** The first subject that is at its concurrency limit. */
export function firstCrowded(atOnce: CallerBounds['atOnce'], standing: Standing): SubjectName | undefined {
  for (let at = 0; at < atOnce.length; at++) {
    const most = atOnce[at] ?? null;
    const on = subjectNames[at] as SubjectName;
    if (most !== null && standing.running(on) >= most) return on;
  }
  return undefined;
}
