// The ledger's tables: raw rows, and the sums by hour that are written with them.
import type { Kysely } from 'kysely';
import type { ErrorCode } from '../domain/error.ts';
import type { AccountId, KeyId, RequestId } from '../domain/id.ts';
import type { Outcome, UsageSource } from '../domain/usage.ts';

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
  };
  usage_hourly: {
    account_id: AccountId;
    /** Hours since 1970, UTC. */
    hour: number;
    key_id: KeyId;
    /** Empty where no model was named. */
    model: string;
    requests: number;
    refused: number;
    failed: number;
    prompt_tokens: number;
    completion_tokens: number;
    estimated: number;
    cache_read_tokens: number;
    cache_write_tokens: number;
  };
}

export async function addRepeats({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('usage')
    .addColumn('repeats', 'integer', (column) => column.notNull().defaultTo(1))
    .execute();
}

/** The parts of the prompt that a model server's cache served and took: of older rows nothing is known of them. */
export async function addCacheTokens({ schema }: Kysely<unknown>): Promise<void> {
  for (const table of ['usage', 'usage_hourly'])
    for (const name of ['cache_read_tokens', 'cache_write_tokens'])
      await schema
        .alterTable(table)
        .addColumn(name, 'bigint', (column) => column.notNull().defaultTo(0))
        .execute();
}
