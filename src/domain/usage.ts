// The ledger's row: one per exchange of an identified caller, written exactly once however the exchange ended; in a
// flood of refusals, several share one row with their count. It holds figures and names, never text of a prompt or an
// answer.
import { type ErrorCode, registry } from './error.ts';
import type { AccountId, KeyId, RequestId } from './id.ts';

/** A call counts at most so long after its head, by which rows are found. */
export const longestHeadMs = 3_600_000;

/** Where the token figures come from: the model server's own count, an estimate, or nothing was generated. */
export type UsageSource = 'exact' | 'estimated' | 'none';

/**
 * How the exchange ended. `completed`: the whole answer was sent. `refused`: by the gateway. `upstream_error`: the
 * model server answered with an error of its own. `failed`: it broke. `client_closed`: the caller disconnected.
 * `interrupted`: this process was killed, and the row was recovered from the journal at the next start.
 */
export const outcomes = [
  'completed',
  'refused',
  'upstream_error',
  'failed',
  'client_closed',
  'ended',
  'interrupted',
] as const;
export type Outcome = (typeof outcomes)[number];

/** What a call of a published service cost, in the unit of its route. */
export interface UsageCost {
  readonly unit: string;
  readonly units: number;
}

export interface UsageRecord {
  readonly id: RequestId;
  /**
   * Unix milliseconds at which limits counted it, after its body arrived and its account had room; otherwise when the
   * request head was complete. The id has the time of the head, which may be earlier.
   */
  readonly at: number;
  readonly keyId: KeyId;
  readonly accountId: AccountId;
  readonly operation: string;
  /** Canonical name, or null if the operation names no model or the name could not be read. */
  readonly model: string | null;
  /** The canonical name that was asked for, where it is another one: an alias, or a model that has a fallback. */
  readonly askedModel: string | null;
  /** The model that no server could serve, where `model` took its place. */
  readonly fallbackFor: string | null;
  readonly upstream: string | null;
  readonly outcome: Outcome;
  readonly status: number;
  readonly code: ErrorCode | null;
  readonly streamed: boolean;
  /** The whole prompt, including what the model server read from or wrote to its prompt cache. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** The parts of the prompt read from and written to that cache; 0 if the server does not report them. */
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** The part of the completion that the model used to think; 0 if the server does not report it. */
  readonly reasoningTokens: number;
  readonly source: UsageSource;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Milliseconds from the request head to the first byte of the upstream's answer; null if none arrived. */
  readonly firstByteMs: number | null;
  readonly durationMs: number;
  /** Milliseconds spent waiting in queues. */
  readonly queuedMs: number;
  /** Milliseconds from the request head until the call was read and checked, and asked for its turn; absent if it did not. */
  readonly readyMs?: number | undefined;
  /** Milliseconds spent waiting for the model to be loaded. */
  readonly loadMs?: number | undefined;
  /** Milliseconds from the request head until the call was first sent to a server; absent if it was not. */
  readonly sentMs?: number | undefined;
  /** Milliseconds from the request head to the first piece of a stream; absent for whole answers. */
  readonly firstTokenMs?: number | undefined;
  /** What the gateway changed in the body, as the header `X-Sekisho-Changed` says it. */
  readonly changes?: string | undefined;
  /** What refused it: a limit such as `account tokensPerDay`, or the id of a suspension. */
  readonly refusedBy?: string | undefined;
  /** The sentence of a refusal, if it says more than its code; names and figures only. */
  readonly detail?: string | undefined;
  readonly address: string;
  /** Exchanges in this row: 1, or the number of refusals that share it. */
  readonly repeats: number;
  /** Only calls of a service whose route has a cost. */
  readonly cost?: UsageCost;
}

/** Refused, or cancelled by its caller before it was sent to a model server: no limit counts it. */
export function neverLeft(outcome: Outcome, upstream: string | null): boolean {
  return outcome === 'refused' || (outcome === 'client_closed' && upstream === null);
}

/** Started, and neither completed nor cancelled by the caller. */
export function isFailed(outcome: Outcome, upstream: string | null): boolean {
  return !neverLeft(outcome, upstream) && outcome !== 'completed' && outcome !== 'client_closed';
}

/** The name under which sums have the calls without a model: that of a service, which is the operator's, or none. */
export const nameWithoutModel = (operation: string): string => (operation.startsWith('route:') ? operation : '');

/** The time during which the tokens of an answer came: from the first piece of a stream, or from sending the call. */
export const generatingMs = ({
  durationMs,
  firstTokenMs,
  sentMs,
}: Pick<UsageRecord, 'durationMs' | 'firstTokenMs' | 'sentMs'>): number =>
  durationMs - (firstTokenMs ?? sentMs ?? durationMs);

/** Completion tokens a second; undefined if none came, or all at once. */
export function tokensPerSecond(
  row: Pick<UsageRecord, 'completionTokens' | 'durationMs' | 'firstTokenMs' | 'sentMs'>,
): number | undefined {
  const ms = generatingMs(row);
  if (ms <= 0 || row.completionTokens === 0) return undefined;
  return Math.round((row.completionTokens * 10_000) / ms) / 10;
}

/** Codes of refusals caused by capacity, the gateway or the model server, not by the caller. */
export const blamelessCodes = (Object.keys(registry) as ErrorCode[]).filter((code) => {
  const { owner } = registry[code];
  return owner !== 'client' && owner !== 'policy';
});

/** Refused for what the caller did or may not do: what rules count. A row without a code combines several. */
export function isOwnRefusal(outcome: Outcome, code: ErrorCode | null): boolean {
  return outcome === 'refused' && (code === null || !blamelessCodes.includes(code));
}

/** The sum of a group of exchanges. `requests` counts all of them, including refused ones. */
export interface UsageSum {
  readonly requests: number;
  /** Refused, or cancelled by the caller before it was sent to a model server. */
  readonly refused: number;
  /** Started, and neither completed nor cancelled by the caller. */
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Requests whose figures are estimates. */
  readonly estimated: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly reasoningTokens: number;
  /** What calls of services cost, by unit; absent without any. */
  readonly units?: UnitSums;
}

/** Amounts by unit. */
export type UnitSums = Readonly<Record<string, number>>;

export const addSums = (a: UsageSum, b: UsageSum): UsageSum => ({
  requests: a.requests + b.requests,
  refused: a.refused + b.refused,
  failed: a.failed + b.failed,
  promptTokens: a.promptTokens + b.promptTokens,
  completionTokens: a.completionTokens + b.completionTokens,
  estimated: a.estimated + b.estimated,
  cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
  cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
  reasoningTokens: a.reasoningTokens + b.reasoningTokens,
  ...(a.units || b.units ? { units: addUnits(a.units ?? {}, b.units ?? {}) } : {}),
});

export function addUnits(a: UnitSums, b: UnitSums): UnitSums {
  const sums: Record<string, number> = { ...a };
  for (const [unit, units] of Object.entries(b)) sums[unit] = (sums[unit] ?? 0) + units;
  return sums;
}

/** What one key did in the period that begins at `at` (Unix milliseconds). */
export interface UsageBucket {
  readonly at: number;
  readonly accountId: AccountId;
  readonly keyId: KeyId;
  /** Admitted and started. */
  readonly requests: number;
  /** Refused for what the caller did or may not do. */
  readonly refusals: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** What calls of services cost, all units together. */
  readonly units: number;
}
