// Rows of the ledger, and the quarter-hourly sums that are written with them.
import type { ErrorCode } from '../../domain/error.ts';
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import type { Outcome, UsageSource } from '../../domain/usage.ts';

export interface UsageTables {
  usage: {
    id: RequestId;
    at: number;
    key_id: KeyId;
    account_id: AccountId;
    operation: string;
    model: string | null;
    upstream: string | null;
    outcome: Outcome;
    status: number;
    code: ErrorCode | null;
    streamed: number;
    prompt_tokens: number;
    completion_tokens: number;
    source: UsageSource;
    bytes_in: number;
    bytes_out: number;
    first_byte_ms: number | null;
    duration_ms: number;
    address: string;
    queued_ms: number;
    repeats: number;
    cache_read_tokens: number;
    cache_write_tokens: number;
    reasoning_tokens: number;
    asked_model: string | null;
    fallback_for: string | null;
    /** Null without a cost. */
    unit: string | null;
    units: number;
  };
  usage_quarterly: {
    account_id: AccountId;
    /** Quarters of an hour since 1970, UTC: days begin on one in every time zone, including India and Nepal. */
    quarter: number;
    key_id: KeyId;
    /** `route:<name>` for a service; empty if neither was named. */
    model: string;
    requests: number;
    refused: number;
    failed: number;
    prompt_tokens: number;
    completion_tokens: number;
    estimated: number;
    cache_read_tokens: number;
    cache_write_tokens: number;
    reasoning_tokens: number;
    /** The part of `refused` for what the caller did or may not do. */
    own_refusals: number;
  };
  /** Costs of services beside the other sums, since each has its unit. */
  unit_quarterly: {
    account_id: AccountId;
    quarter: number;
    key_id: KeyId;
    model: string;
    unit: string;
    units: number;
  };
}
