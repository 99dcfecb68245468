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
    ready_ms: number | null;
    load_ms: number | null;
    sent_ms: number | null;
    first_token_ms: number | null;
    changes: string | null;
    refused_by: string | null;
    detail: string | null;
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
    /** The ids of the first and last row of it, which find them without an index on the account; null for older sums. */
    first_id: RequestId | null;
    last_id: RequestId | null;
  };
  /**
   * How calls ended, in steps of several lengths (domain/latency). Those of a quarter of an hour are kept as long as the rows, and
   * tell where rows of a kind can be: between which ids, and up to which figures.
   */
  outcome_steps: {
    /** Milliseconds. */
    step: number;
    /** Number of steps since 1970. */
    at: number;
    model: string;
    /** Empty for calls that reached no server. */
    upstream: string;
    outcome: Outcome;
    status: number;
    code: ErrorCode | '';
    requests: number;
    first_id: RequestId;
    last_id: RequestId;
    most_tokens: number;
    longest_ms: number;
    longest_queued_ms: number;
    longest_first_token_ms: number;
  };
  /** Times and speeds as histograms, in the same steps. */
  latency_steps: {
    step: number;
    at: number;
    model: string;
    upstream: string;
    prompt_tokens: number;
    completion_tokens: number;
    /** Milliseconds of this step during which calls ran or waited, all together. */
    running_ms: number;
    waiting_ms: number;
    /** Counts by bucket, as domain/latency writes them. */
    first_token: string;
    duration: string;
    queue: string;
    speed: string;
  };
  /** What reports show, over longer blocks and for fewer things apart (ledger/coarse-sums). */
  time_sums: CoarseKeys & CoarseFigures;
  model_sums: CoarseKeys & CoarseFigures & { model: string };
  key_sums: CoarseKeys & CoarseFigures & { account_id: AccountId; key_id: KeyId };
  /** Refusals of callers without an account in the last hour; `minute` counts from 1970. */
  stranger_refusals: { minute: number; code: string; count: number };
  /** Which quarters the sums of each table and step hold: all before this one. */
  coarse_sums_until: { name: string; quarter: number };
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

interface CoarseKeys {
  /** The length of a block, in quarters of an hour. */
  step: number;
  /** Number of blocks since 1970. */
  at: number;
  /** Empty for the sum of everything but costs; those have a row for each unit. */
  unit: string;
}

export interface CoarseFigures {
  requests: number;
  refused: number;
  failed: number;
  prompt_tokens: number;
  completion_tokens: number;
  estimated: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  units: number;
}
