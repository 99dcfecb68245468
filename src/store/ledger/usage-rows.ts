// Converts the ledger's records to rows of its tables and back, and sums rows for the quarter-hourly roll-ups.
import type { Selectable } from 'kysely';
import { isFailed, isOwnRefusal, nameWithoutModel, neverLeft, type UsageRecord } from '../../domain/usage.ts';
import type { Tables } from '../relational/tables.ts';

export const quarterMs = 900_000;

const noSums = {
  requests: 0,
  refused: 0,
  failed: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  estimated: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  own_refusals: 0,
};

export const quarterKeys = ['account_id', 'quarter', 'key_id', 'model'] as const;

/** How a sum of a quarter takes a new one in. */
export const quarterFigures = {
  ...(Object.fromEntries(Object.keys(noSums).map((name) => [name, 'add'])) as Record<keyof typeof noSums, 'add'>),
  first_id: 'least',
  last_id: 'most',
} as const;

/** The most pairs of account and model to remember; they take some megabytes. */
const mostAnswered = 50_000;

/**
 * The models that have answered an account during this process. A refused caller chooses the model name, and roll-ups
 * are kept forever: a name appears in them only if that account has had an answer of the model. Other accounts' usage
 * has no influence.
 */
export class AnsweredModels {
  readonly #known = new Set<string>();

  /** Call for every row of a batch before asking about any of them. */
  note({ account_id, model, upstream, status }: Tables['usage']): void {
    if (model === null || upstream === null || status < 200 || status >= 400) return;
    if (this.#known.size < mostAnswered) this.#known.add(`${account_id} ${model}`);
  }

  /** The name under which a row is summed; empty for no model. */
  nameFor({ account_id, operation, model, upstream, status }: Tables['usage']): string {
    if (model === null) return nameWithoutModel(operation);
    const answered = upstream !== null && status >= 200 && status < 400;
    return answered || this.#known.has(`${account_id} ${model}`) ? model : '';
  }
}

/** The costs in a set of rows, one for each account, quarter of an hour, key, service and unit. */
export function rollUpUnits(rows: readonly Tables['usage'][]): Tables['unit_quarterly'][] {
  const sums = new Map<string, Tables['unit_quarterly']>();
  for (const { account_id, at, key_id, operation: model, unit, units } of rows) {
    if (unit === null || units === 0) continue;
    const quarter = Math.floor(at / quarterMs);
    const name = `${quarter} ${key_id} ${model} ${unit}`;
    const sum = sums.get(name);
    if (sum) sum.units += units;
    else sums.set(name, { account_id, quarter, key_id, model, unit, units });
  }
  return [...sums.values()];
}

/** The roll-ups of a set of rows, one for each account, quarter of an hour, key and model. */
export function rollUp(rows: readonly Tables['usage'][], answered: AnsweredModels): Tables['usage_quarterly'][] {
  const sums = new Map<string, Tables['usage_quarterly']>();
  for (const row of rows) answered.note(row);
  for (const row of rows) {
    const quarter = Math.floor(row.at / quarterMs);
    const model = answered.nameFor(row);
    const name = `${quarter} ${row.key_id} ${model}`;
    let sum = sums.get(name);
    if (!sum) {
      const { account_id, key_id } = row;
      sum = { account_id, quarter, key_id, model, ...noSums, first_id: row.id, last_id: row.id };
      sums.set(name, sum);
    }
    sum.requests += row.repeats;
    if (neverLeft(row.outcome, row.upstream)) sum.refused += row.repeats;
    if (isFailed(row.outcome, row.upstream)) sum.failed += row.repeats;
    if (isOwnRefusal(row.outcome, row.code)) sum.own_refusals += row.repeats;
    sum.prompt_tokens += row.prompt_tokens;
    sum.completion_tokens += row.completion_tokens;
    if (row.source === 'estimated') sum.estimated += row.repeats;
    sum.cache_read_tokens += row.cache_read_tokens;
    sum.cache_write_tokens += row.cache_write_tokens;
    sum.reasoning_tokens += row.reasoning_tokens;
    if (sum.first_id === null || row.id < sum.first_id) sum.first_id = row.id;
    if (sum.last_id === null || row.id > sum.last_id) sum.last_id = row.id;
  }
  return [...sums.values()];
}

export const usageColumns = [
  'id',
  'at',
  'key_id',
  'account_id',
  'operation',
  'model',
  'upstream',
  'outcome',
  'status',
  'code',
  'streamed',
  'prompt_tokens',
  'completion_tokens',
  'source',
  'bytes_in',
  'bytes_out',
  'first_byte_ms',
  'duration_ms',
  'address',
  'queued_ms',
  'repeats',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'asked_model',
  'fallback_for',
  'unit',
  'units',
  'ready_ms',
  'load_ms',
  'sent_ms',
  'first_token_ms',
  'changes',
  'refused_by',
  'detail',
] as const satisfies readonly (keyof Tables['usage'])[];

export function rowOfUsage(record: UsageRecord): Tables['usage'] {
  return {
    id: record.id,
    at: record.at,
    key_id: record.keyId,
    account_id: record.accountId,
    operation: record.operation,
    model: record.model,
    upstream: record.upstream,
    outcome: record.outcome,
    status: record.status,
    code: record.code,
    streamed: record.streamed ? 1 : 0,
    prompt_tokens: record.promptTokens,
    completion_tokens: record.completionTokens,
    source: record.source,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    first_byte_ms: record.firstByteMs,
    duration_ms: record.durationMs,
    address: record.address,
    // A journal of an older version lacks these figures.
    queued_ms: record.queuedMs ?? 0,
    repeats: record.repeats ?? 1,
    cache_read_tokens: record.cacheReadTokens ?? 0,
    cache_write_tokens: record.cacheWriteTokens ?? 0,
    reasoning_tokens: record.reasoningTokens ?? 0,
    asked_model: record.askedModel ?? null,
    fallback_for: record.fallbackFor ?? null,
    unit: record.cost?.unit ?? null,
    units: record.cost?.units ?? 0,
    ready_ms: record.readyMs ?? null,
    load_ms: record.loadMs ?? null,
    sent_ms: record.sentMs ?? null,
    first_token_ms: record.firstTokenMs ?? null,
    changes: record.changes ?? null,
    refused_by: record.refusedBy ?? null,
    detail: record.detail ?? null,
  };
}

export function usageOfRow(row: Selectable<Tables['usage']>): UsageRecord {
  return {
    id: row.id,
    at: Number(row.at),
    keyId: row.key_id,
    accountId: row.account_id,
    operation: row.operation,
    model: row.model,
    upstream: row.upstream,
    outcome: row.outcome,
    status: row.status,
    code: row.code,
    streamed: Number(row.streamed) === 1,
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    source: row.source,
    bytesIn: Number(row.bytes_in),
    bytesOut: Number(row.bytes_out),
    firstByteMs: row.first_byte_ms,
    durationMs: Number(row.duration_ms),
    queuedMs: Number(row.queued_ms),
    address: row.address,
    repeats: Number(row.repeats),
    cacheReadTokens: Number(row.cache_read_tokens),
    cacheWriteTokens: Number(row.cache_write_tokens),
    reasoningTokens: Number(row.reasoning_tokens),
    askedModel: row.asked_model,
    fallbackFor: row.fallback_for,
    readyMs: row.ready_ms ?? undefined,
    loadMs: row.load_ms ?? undefined,
    sentMs: row.sent_ms ?? undefined,
    firstTokenMs: row.first_token_ms ?? undefined,
    changes: row.changes ?? undefined,
    refusedBy: row.refused_by ?? undefined,
    detail: row.detail ?? undefined,
    ...(row.unit === null ? {} : { cost: { unit: row.unit, units: Number(row.units) } }),
  };
}
