// Plans: named sets of limits that accounts have, and how two sets combine: a key may carry terms of its own, which
// narrow its account's plan and never widen it. Pure; holds no counters. A house test holds docs/plans.md against
// `terms`.

import { measures, type WindowedName, windowed, windowedNames } from './limit.ts';
import { readPatterns } from './model-name.ts';
import { defaultScopes, isManagement, parseScopes, type Scope, scopes } from './scope.ts';
import { Unreadable } from './sentences.ts';

/** null is "no limit". */
type Count = number | null;

/** Numeric terms, which a key may lower. */
export interface Figures extends Record<WindowedName, Count> {
  readonly concurrentRequests: Count;
  readonly queueWeight: number;
  readonly maxContextTokens: Count;
  readonly maxOutputTokens: Count;
  readonly minKeepAliveSeconds: Count;
  readonly maxKeepAliveSeconds: Count;
  readonly maxImages: Count;
  readonly maxEmbeddingInputs: Count;
}

export interface Terms extends Figures {
  readonly waitingRequests: Count;
  readonly reloadOptions: 'allow' | 'strip';
  readonly templates: 'allow' | 'strip';
  readonly debugFields: 'allow' | 'strip';
  readonly models: readonly string[];
  readonly scopes: readonly Scope[];
  readonly maxKeys: Count;
  readonly maxKeyDays: Count;
}

export interface Plan extends Terms {
  readonly name: string;
  /** Increases with every change; the audit log holds the earlier values. */
  readonly version: number;
}

/** Stands for "no limits and no rules". A missing plan never means that. */
export const unlimited: unique symbol = Symbol('unlimited');
export type Unlimited = typeof unlimited;

type Kind = 'count' | 'weight' | 'choice' | 'models' | 'scopes';

interface Term {
  readonly kind: Kind;
  readonly unit: string;
  readonly meaning: string;
  /** Whether a key may carry it to narrow its account's plan. */
  readonly narrows: boolean;
}

const term = (kind: Kind, unit: string, meaning: string, narrows = true): Term => ({ kind, unit, meaning, narrows });

const windowedTerms = Object.fromEntries(
  windowedNames.map((name) => [name, term('count', measures[windowed[name].measure].unit, windowed[name].meaning)]),
) as Record<WindowedName, Term>;

/** Every term once. */
export const terms: Record<keyof Terms, Term> = {
  ...windowedTerms,
  concurrentRequests: term(
    'count',
    'requests',
    'Calls at the same time, including those that wait for their turn at a model.',
  ),
  waitingRequests: term(
    'count',
    'requests',
    'Calls beyond `concurrentRequests` that may wait in the account’s own line; more are refused.',
    false,
  ),
  queueWeight: term('weight', 'share', 'Share of a busy model: 2 gets twice as many tokens as 1.'),
  maxContextTokens: term(
    'count',
    'tokens',
    'Largest `num_ctx`; larger values are lowered, and 0 removes the option. See [below](#the-context-of-a-model).',
  ),
  maxOutputTokens: term(
    'count',
    'tokens',
    'Longest answer, all choices together: `num_predict`, `max_tokens` and similar are lowered to it, or added if missing.',
  ),
  minKeepAliveSeconds: term(
    'count',
    's',
    'Shortest `keep_alive`: above 0, a caller cannot evict a model that others use.',
  ),
  maxKeepAliveSeconds: term('count', 's', 'Longest `keep_alive`: a caller cannot pin a model forever.'),
  maxImages: term('count', 'images', 'Images in one call; more are refused.'),
  maxEmbeddingInputs: term('count', 'inputs', 'Inputs in one embedding call; more are refused.'),
  reloadOptions: term(
    'choice',
    '',
    '`strip` removes options that make the server reload the model (`num_gpu`, `num_batch`, `num_thread`, `main_gpu`, `use_mmap`, `draft_num_predict`) or reach what its callers share (such as `id_slot`, `lora`), and sets `num_ctx` to the value that the model is loaded with.',
    false,
  ),
  templates: term(
    'choice',
    '',
    '`strip` removes `raw`, `template`, `chat_template` and others that bypass the model’s own, and bounds `chat_template_kwargs`.',
    false,
  ),
  debugFields: term(
    'choice',
    '',
    '`strip` removes fields that show internals, such as `_debug_render_only` and `prompt_logprobs`.',
    false,
  ),
  models: term('models', '', 'Model patterns; those of the key must match too.', false),
  scopes: term('scopes', '', 'Scopes that keys may have.', false),
  maxKeys: term('count', 'keys', 'Working keys that an account may have.', false),
  maxKeyDays: term('count', 'days', 'Longest lifetime of a new key.', false),
};

export const termNames = Object.keys(terms) as (keyof Terms)[];

/** What a key carries to narrow its plan; an absent term follows the plan. */
export type Narrowing = { readonly [name in keyof Figures]?: number };

const none = Object.fromEntries(windowedNames.map((name) => [name, null])) as Record<WindowedName, null>;

/** The terms of a plan that sets none: no limits, every scope except management. */
export const openTerms: Terms = {
  ...none,
  concurrentRequests: null,
  waitingRequests: 16,
  queueWeight: 1,
  maxContextTokens: null,
  maxOutputTokens: null,
  minKeepAliveSeconds: null,
  maxKeepAliveSeconds: null,
  maxImages: null,
  maxEmbeddingInputs: null,
  reloadOptions: 'allow',
  templates: 'allow',
  debugFields: 'allow',
  models: ['*'],
  scopes: scopes.filter((scope) => !isManagement(scope)),
  maxKeys: null,
  maxKeyDays: null,
};

/**
 * The plans of a new installation, with room for coding agents; docs/plans.md explains the figures. An account that is
 * created without naming a plan gets `default`.
 */
export const firstPlans: readonly Plan[] = [
  {
    ...openTerms,
    name: 'default',
    version: 1,
    requestsPerMinute: 120,
    tokensPerMinute: 600_000,
    tokensPerDay: 20_000_000,
    tokensPerMonth: 300_000_000,
    concurrentRequests: 4,
    maxContextTokens: 65_536,
    maxOutputTokens: 16_384,
    minKeepAliveSeconds: 60,
    maxKeepAliveSeconds: 3_600,
    maxImages: 16,
    maxEmbeddingInputs: 512,
    reloadOptions: 'strip',
    templates: 'strip',
    debugFields: 'strip',
    scopes: defaultScopes,
    maxKeys: 10,
    maxKeyDays: 365,
  },
  {
    ...openTerms,
    name: 'trusted',
    version: 1,
    requestsPerMinute: 300,
    tokensPerMinute: 2_000_000,
    tokensPerDay: 100_000_000,
    concurrentRequests: 16,
    queueWeight: 4,
    maxContextTokens: 131_072,
    maxOutputTokens: 32_768,
    minKeepAliveSeconds: 0,
    maxKeepAliveSeconds: 86_400,
    maxImages: 64,
    maxEmbeddingInputs: 2_048,
    reloadOptions: 'strip',
    debugFields: 'strip',
    scopes: defaultScopes,
    maxKeys: 50,
  },
  {
    ...openTerms,
    name: 'trial',
    version: 1,
    requestsPerMinute: 20,
    tokensPerMinute: 200_000,
    tokensPerDay: 1_000_000,
    tokensPerMonth: 5_000_000,
    concurrentRequests: 1,
    queueWeight: 0.5,
    maxContextTokens: 32_768,
    maxOutputTokens: 4_096,
    minKeepAliveSeconds: 60,
    maxKeepAliveSeconds: 600,
    maxImages: 2,
    maxEmbeddingInputs: 32,
    reloadOptions: 'strip',
    templates: 'strip',
    debugFields: 'strip',
    scopes: defaultScopes,
    maxKeys: 1,
    maxKeyDays: 14,
  },
];

/**
 * The terms in force for a key: the stricter of plan and key, term by term. The windowed limits and the concurrency of
 * the key are counted on the key, next to the account's, so they are not included.
 */
export function boundsOf(plan: Terms, own: Narrowing): Terms {
  const lower = (name: keyof Figures): Count => least(plan[name], own[name]);
  return {
    ...plan,
    queueWeight: Math.min(plan.queueWeight, own.queueWeight ?? Infinity),
    maxContextTokens: lower('maxContextTokens'),
    maxOutputTokens: lower('maxOutputTokens'),
    maxKeepAliveSeconds: lower('maxKeepAliveSeconds'),
    maxImages: lower('maxImages'),
    maxEmbeddingInputs: lower('maxEmbeddingInputs'),
    // For a minimum, the larger value is the stricter one.
    minKeepAliveSeconds:
      own.minKeepAliveSeconds === undefined
        ? plan.minKeepAliveSeconds
        : Math.max(plan.minKeepAliveSeconds ?? 0, own.minKeepAliveSeconds),
  };
}

function least(a: Count, b: number | undefined): Count {
  if (b === undefined) return a;
  return a === null ? b : Math.min(a, b);
}

const maxCount = 1e15;

/**
 * Reads one term as a person wrote it: `none` or null removes a limit. @throws a sentence for an unknown term or an
 * invalid value: a limit that was not understood must never be stored as no limit (bifrost#5673).
 */
export function readTerm(name: string, value: unknown): Partial<Terms> {
  if (!Object.hasOwn(terms, name)) throw new Unreadable('term_missing', { name, terms: termNames.join(', ') });
  const { kind } = terms[name as keyof Terms];
  switch (kind) {
    case 'count':
      return { [name]: readCount(name, value) };
    case 'weight':
      return { [name]: readWeight(name, value) };
    case 'choice':
      if (value !== 'allow' && value !== 'strip') throw new Unreadable('term_choice', { name });
      return { [name]: value };
    case 'models': {
      // Parsed here, so that an invalid pattern is never stored.
      return { models: readPatterns(readList(name, value)) };
    }
    case 'scopes': {
      const read = parseScopes(readList(name, value));
      if (read.some(isManagement)) throw new Unreadable('plan_management_scope', {});
      return { scopes: read };
    }
  }
}

function readCount(name: string, value: unknown): Count {
  if (value === null || value === 'none') return null;
  const count = typeof value === 'string' && /^\d[\d_]*$/.test(value) ? Number(value.replaceAll('_', '')) : value;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > maxCount)
    throw new Unreadable('term_count', { name });
  return count;
}

function readWeight(name: string, value: unknown): number {
  const weight = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof weight !== 'number' || !(weight >= 0.01 && weight <= 1000)) throw new Unreadable('term_weight', { name });
  return weight;
}

function readList(name: string, value: unknown): string[] {
  const words =
    typeof value === 'string'
      ? value
          .split(',')
          .map((word) => word.trim())
          .filter((word) => word !== '')
      : value;
  if (!Array.isArray(words) || words.length === 0 || !words.every((word) => typeof word === 'string'))
    throw new Unreadable('term_list', { name });
  return words;
}

/** Reads what a key may carry. @throws a sentence for terms of plans alone, and for "no limit", which is useless. */
export function readNarrowing(pairs: Readonly<Record<string, unknown>>): Narrowing {
  const own: Record<string, number> = {};
  for (const [name, value] of Object.entries(pairs)) {
    const read = readTerm(name, value) as Record<string, unknown>;
    if (!terms[name as keyof Terms].narrows) throw new Unreadable('term_of_plan', { name });
    if (typeof read[name] !== 'number') throw new Unreadable('term_needs_number', { name });
    own[name] = read[name];
  }
  return own;
}
