// The suspension ladder as data: rules that watch a rolling window of what a key or an account did, and the step to
// take when a threshold is reached. Pure; gateway/limits/ladder.ts counts and applies.
import { Unreadable } from './sentences.ts';

/** From mildest to strictest. `stepMeanings` says what each does. */
export const steps = ['warn', 'slow', 'back', 'suspend', 'review', 'revoke'] as const;
export type Step = (typeof steps)[number];

export const stepMeanings: Record<Step, string> = {
  warn: 'recorded, and announced in a response header',
  slow: 'a quarter of the minute limits and of the queue weight',
  back: 'served only when no other account waits',
  suspend: 'refused with 403 until it ends',
  review: 'refused with 403 until an operator lifts it',
  revoke: 'the keys are revoked',
};

export const ruleMeasures = ['tokens', 'requests', 'refusals', 'failedAuthentications', 'suspensions'] as const;
export type RuleMeasure = (typeof ruleMeasures)[number];

export interface Rule {
  /** A short name, which is also its id. */
  readonly name: string;
  readonly measure: RuleMeasure;
  /** Whose figures are added up, and to whom the step applies. */
  readonly per: 'key' | 'account';
  readonly windowSeconds: number;
  /** The step is taken when the figure reaches it. */
  readonly threshold: number;
  readonly step: Step;
  /** How long the step lasts; null if it does not end by itself (review, revoke) or ends at once (warn). */
  readonly durationSeconds: number | null;
  /** Plans that it applies to; null is every plan. Accounts without limits are exempt. */
  readonly plans: readonly string[] | null;
  /** Records what would have happened, without taking the step. */
  readonly shadow: boolean;
  readonly enabled: boolean;
}

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

const rule = (
  name: string,
  measure: RuleMeasure,
  per: Rule['per'],
  windowSeconds: number,
  threshold: number,
  step: Step,
  durationSeconds: number | null,
): Rule => ({
  name,
  measure,
  per,
  windowSeconds,
  threshold,
  step,
  durationSeconds,
  plans: null,
  shadow: false,
  enabled: true,
});

/**
 * The rules of a new installation, generous enough for ordinary work. A coding agent that sends a prompt of 50,000
 * tokens every ten seconds without a pause uses 18,000,000 tokens an hour, nearly all of them prompt.
 */
export const firstRules: readonly Rule[] = [
  rule('busy-hour', 'tokens', 'account', hour, 20_000_000, 'warn', hour),
  rule('heavy-hour', 'tokens', 'account', hour, 30_000_000, 'slow', hour),
  rule('heavy-day', 'tokens', 'account', day, 60_000_000, 'back', 6 * hour),
  rule('runaway-day', 'tokens', 'account', day, 150_000_000, 'review', null),
  rule('deaf-client', 'refusals', 'key', 10 * minute, 1_000, 'suspend', 15 * minute),
  rule('call-flood', 'requests', 'account', 5 * minute, 10_000, 'slow', 30 * minute),
  rule('guessed-secret', 'failedAuthentications', 'key', hour, 50, 'warn', hour),
  rule('repeat-offender', 'suspensions', 'account', 7 * day, 5, 'review', null),
];

/** Reads the fields of a rule that may be set. @throws a sentence. */
export function readRule(pairs: Readonly<Record<string, unknown>>, base?: Rule): Rule {
  const read: Record<string, unknown> = { plans: null, shadow: false, enabled: true, durationSeconds: null, ...base };
  for (const [name, value] of Object.entries(pairs)) read[name] = readField(name, value);
  for (const name of ['name', 'measure', 'per', 'windowSeconds', 'threshold', 'step'])
    if (read[name] === undefined) throw new Unreadable('rule_needs', { name });
  const done = read as unknown as Rule;
  const timed = done.step === 'slow' || done.step === 'back' || done.step === 'suspend';
  if (timed && done.durationSeconds === null) throw new Unreadable('rule_needs_duration', { step: done.step });
  return done;
}

function readField(name: string, value: unknown): unknown {
  switch (name) {
    case 'name':
      if (typeof value !== 'string' || !/^[a-z0-9][a-z0-9-]{0,39}$/.test(value)) throw new Unreadable('rule_name', {});
      return value;
    case 'measure':
      return oneOf(name, value, ruleMeasures);
    case 'per':
      return oneOf(name, value, ['key', 'account']);
    case 'step':
      return oneOf(name, value, steps);
    case 'windowSeconds':
      return whole(name, value, minute, 31 * day);
    case 'threshold':
      return whole(name, value, 1, 1e15);
    case 'durationSeconds':
      return value === null || value === 'none' ? null : whole(name, value, 1, 366 * day);
    case 'plans':
      if (value === null || value === 'none' || value === '*') return null;
      return typeof value === 'string' ? value.split(',').map((word) => word.trim()) : value;
    case 'shadow':
    case 'enabled':
      if (value === true || value === 'true' || value === 'on') return true;
      if (value === false || value === 'false' || value === 'off') return false;
      throw new Unreadable('rule_switch', { name });
    default:
      throw new Unreadable('rule_field', { name });
  }
}

function oneOf(name: string, value: unknown, words: readonly string[]): string {
  if (typeof value !== 'string' || !words.includes(value))
    throw new Unreadable('rule_choice', { name, words: words.join(', ') });
  return value;
}

function whole(name: string, value: unknown, least: number, most: number): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < least || number > most)
    throw new Unreadable('rule_whole', { name, least, most });
  return number;
}
