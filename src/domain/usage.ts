// The ledger's row: one per exchange of an identified caller, written exactly once, however the exchange ended; only of
// refusals without end many stand in one row, with their number.
// It holds figures and names, never a word of a prompt or an answer.
import { type ErrorCode, registry } from './error.ts';
import type { AccountId, KeyId, RequestId } from './id.ts';

/** Where the token figures come from: the model server's own count, our estimate, or nothing was generated. */
export type UsageSource = 'exact' | 'estimated' | 'none';

/**
 * How it ended. `completed`: the whole answer went out. `refused`: we said no. `upstream_error`: the model server
 * answered with an error of its own. `failed`: it broke. `client_closed`: the reader left. `interrupted`: this process
 * was killed and the row was recovered from the journal at the next start.
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

export interface UsageRecord {
  readonly id: RequestId;
  /**
   * Unix milliseconds at which limits counted it, after its body came and its account had room; without that, at which the
   * request head was complete. The id has the time of the head, which may be earlier.
   */
  readonly at: number;
  readonly keyId: KeyId;
  readonly accountId: AccountId;
  readonly operation: string;
  /** Canonical name, or null where the operation names no model or the name could not be read. */
  readonly model: string | null;
  readonly upstream: string | null;
  readonly outcome: Outcome;
  readonly status: number;
  readonly code: ErrorCode | null;
  readonly streamed: boolean;
  /** The whole prompt, what the model server's prompt cache served or took included. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** The parts of the prompt that were read from that cache and written into it; 0 where the server does not say. */
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly source: UsageSource;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Milliseconds from the request head to the first byte of the upstream's answer; null if none came. */
  readonly firstByteMs: number | null;
  readonly durationMs: number;
  /** Milliseconds that it waited for its turn; 0 where it did not. */
  readonly queuedMs: number;
  readonly address: string;
  /** Exchanges that the row stands for: 1, or how many refusals stand together in it. */
  readonly repeats: number;
}

/** Refused, or given up by its caller before it left for a model server: no limit counts it. */
export function neverLeft(outcome: Outcome, upstream: string | null): boolean {
  return outcome === 'refused' || (outcome === 'client_closed' && upstream === null);
}

/** Refusals by these codes are for want of room, or for a fault of the gateway's or of the model server's. */
export const blamelessCodes = (Object.keys(registry) as ErrorCode[]).filter((code) => {
  const { owner } = registry[code];
  return owner !== 'client' && owner !== 'policy';
});

/** Refused for what the caller did or may not do: the refusals that rules count. Without a code it is one of several. */
export function isOwnRefusal(outcome: Outcome, code: ErrorCode | null): boolean {
  return outcome === 'refused' && (code === null || !blamelessCodes.includes(code));
}

/** What a group of exchanges adds up to. `requests` counts all of them, the refused ones included. */
export interface UsageSum {
  readonly requests: number;
  /** Refused, or given up by its caller, before it left for a model server. */
  readonly refused: number;
  /** Begun, and neither completed nor given up by the caller. */
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Requests whose figures are an estimate. */
  readonly estimated: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
}

/** What one key did in one stretch of time that begins at `at` (Unix milliseconds). */
export interface UsageBucket {
  readonly at: number;
  readonly accountId: AccountId;
  readonly keyId: KeyId;
  /** Let through and begun. */
  readonly requests: number;
  /** Refused for what the caller did or may not do. */
  readonly refusals: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
}
