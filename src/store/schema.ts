// The tables, as both databases hold them: text, 64-bit integers and nothing dialect-specific. Lists are JSON text.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';
import type { KeyKind, KeyStatus } from '../domain/api-key.ts';
import type { ErrorCode } from '../domain/error.ts';
import type { AccountId, KeyId, RequestId } from '../domain/id.ts';
import type { Outcome, UsageSource } from '../domain/usage.ts';

export interface Tables {
  accounts: { id: AccountId; name: string; created_at: number };
  keys: {
    id: KeyId;
    account_id: AccountId;
    name: string;
    kind: KeyKind;
    digest: string;
    status: KeyStatus;
    scopes: string;
    models: string;
    cidr: string;
    allow_path: number;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
    last_used_at: number | null;
    rotated_from: KeyId | null;
  };
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
  };
}

/** Migrations by name, in order. One that has landed is never edited. */
export const migrations: Record<string, Migration> = {
  '0001-keys-and-usage': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('accounts')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('name', 'text', (column) => column.notNull().unique())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('keys')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('account_id', 'text', (column) => column.notNull().references('accounts.id'))
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('digest', 'text', (column) => column.notNull().unique())
        .addColumn('status', 'text', (column) => column.notNull())
        .addColumn('scopes', 'text', (column) => column.notNull())
        .addColumn('models', 'text', (column) => column.notNull())
        .addColumn('cidr', 'text', (column) => column.notNull())
        .addColumn('allow_path', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint')
        .addColumn('revoked_at', 'bigint')
        .addColumn('last_used_at', 'bigint')
        .addColumn('rotated_from', 'text')
        .execute();
      await db.schema
        .createTable('usage')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('account_id', 'text', (column) => column.notNull())
        .addColumn('operation', 'text', (column) => column.notNull())
        .addColumn('model', 'text')
        .addColumn('upstream', 'text')
        .addColumn('outcome', 'text', (column) => column.notNull())
        .addColumn('status', 'integer', (column) => column.notNull())
        .addColumn('code', 'text')
        .addColumn('streamed', 'integer', (column) => column.notNull())
        .addColumn('prompt_tokens', 'bigint', (column) => column.notNull())
        .addColumn('completion_tokens', 'bigint', (column) => column.notNull())
        .addColumn('source', 'text', (column) => column.notNull())
        .addColumn('bytes_in', 'bigint', (column) => column.notNull())
        .addColumn('bytes_out', 'bigint', (column) => column.notNull())
        .addColumn('first_byte_ms', 'integer')
        .addColumn('duration_ms', 'bigint', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .execute();
      // No index beside the primary key: ids are in order of time, so a row is added at the end. One on the key id was
      // measured at 10 µs a row with a thousand keys in use, since each batch then writes pages all over it.
    },
  },
};
