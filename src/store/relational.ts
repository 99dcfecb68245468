// The store's queries, the same for every relational database. An adapter opens the connection, runs the migrations
// and says how "another process has written" is known; everything else stands here once.
// Queries go through Kysely's builder, so values are always parameters (LiteLLM CVE-2026-42208 was a key check that
// built its SQL from the Authorization header).
import type { Kysely, Selectable } from 'kysely';
import { sql } from 'kysely';
import type { StoredKey } from '../domain/api-key.ts';
import { type AccountId, type KeyId, newAccountId } from '../domain/id.ts';
import type { UsageRecord } from '../domain/usage.ts';
import type { Store } from './ports.ts';
import type { Tables } from './schema.ts';

// SQLite before 3.32 takes 999 parameters; today's takes 32,766 and PostgreSQL 65,535. 19 columns × 500 rows fit both.
const rowsPerInsert = 500;

/** What differs between databases. */
export interface Adapter {
  readonly version: () => Promise<number>;
  /** A quicker way than the query builder to add rows that are not there yet, all or none; optional. */
  readonly appendUsage?: (rows: readonly Tables['usage'][]) => void;
  /** A quicker way to one key; optional. */
  readonly findKey?: (id: KeyId) => Tables['keys'] | undefined;
}

export class RelationalStore implements Store {
  readonly #db: Kysely<Tables>;
  readonly #adapter: Adapter;

  constructor(db: Kysely<Tables>, adapter: Adapter) {
    this.#db = db;
    this.#adapter = adapter;
  }

  async ensureAccount(name: string, at: number): Promise<AccountId> {
    const row = { id: newAccountId(), name, created_at: at };
    await this.#db
      .insertInto('accounts')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    const found = await this.#db.selectFrom('accounts').select('id').where('name', '=', name).executeTakeFirstOrThrow();
    return found.id;
  }

  async insertKey(key: StoredKey): Promise<void> {
    await this.#db.insertInto('keys').values(rowOfKey(key)).execute();
  }

  async findKey(id: KeyId): Promise<StoredKey | undefined> {
    const row = this.#adapter.findKey
      ? this.#adapter.findKey(id)
      : await this.#db.selectFrom('keys').selectAll().where('id', '=', id).executeTakeFirst();
    return row && keyOfRow(row);
  }

  async findKeyByDigest(digest: string): Promise<StoredKey | undefined> {
    const row = await this.#db
      .selectFrom('keys')
      .selectAll()
      .where('digest', '=', digest)
      .where('kind', '=', 'signature')
      .executeTakeFirst();
    return row && keyOfRow(row);
  }

  async listKeys(): Promise<StoredKey[]> {
    const rows = await this.#db.selectFrom('keys').selectAll().orderBy('created_at').orderBy('id').execute();
    return rows.map(keyOfRow);
  }

  async touchKeys(usedAt: ReadonlyMap<KeyId, number>): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      for (const [id, at] of usedAt) {
        await transaction.updateTable('keys').set({ last_used_at: at }).where('id', '=', id).execute();
      }
    });
  }

  async revokeKey(id: KeyId, at: number): Promise<boolean> {
    const result = await this.#db
      .updateTable('keys')
      .set({ status: 'revoked', revoked_at: sql<number>`coalesce(revoked_at, ${at})` })
      .where('id', '=', id)
      .executeTakeFirst();
    return Number(result.numUpdatedRows) > 0;
  }

  async rotateKey(oldId: KeyId, successor: StoredKey, oldEndsAt: number): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await transaction.insertInto('keys').values(rowOfKey(successor)).execute();
      await transaction.updateTable('keys').set({ expires_at: oldEndsAt }).where('id', '=', oldId).execute();
    });
  }

  async appendUsage(records: readonly UsageRecord[]): Promise<void> {
    if (records.length === 0) return;
    const rows = records.map(rowOfUsage);
    if (this.#adapter.appendUsage) {
      this.#adapter.appendUsage(rows);
      return;
    }
    await this.#db.transaction().execute(async (transaction) => {
      for (let from = 0; from < rows.length; from += rowsPerInsert) {
        await transaction
          .insertInto('usage')
          .values(rows.slice(from, from + rowsPerInsert))
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute();
      }
    });
  }

  async knownUsage(ids: readonly string[]): Promise<Set<string>> {
    const known = new Set<string>();
    for (let from = 0; from < ids.length; from += rowsPerInsert) {
      const part = ids.slice(from, from + rowsPerInsert) as UsageRecord['id'][];
      for (const row of await this.#db.selectFrom('usage').select('id').where('id', 'in', part).execute())
        known.add(row.id);
    }
    return known;
  }

  async listUsage(limit: number): Promise<UsageRecord[]> {
    const rows = await this.#db.selectFrom('usage').selectAll().orderBy('id', 'desc').limit(limit).execute();
    return rows.map(usageOfRow);
  }

  version(): Promise<number> {
    return this.#adapter.version();
  }

  async ping(): Promise<void> {
    await sql`select 1`.execute(this.#db);
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }
}

function rowOfKey(key: StoredKey): Tables['keys'] {
  return {
    id: key.id,
    account_id: key.accountId,
    name: key.name,
    kind: key.kind,
    digest: key.digest,
    status: key.status,
    scopes: JSON.stringify(key.scopes),
    models: JSON.stringify(key.models),
    cidr: JSON.stringify(key.cidr),
    allow_path: key.allowPath ? 1 : 0,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    rotated_from: key.rotatedFrom,
  };
}

function keyOfRow(row: Selectable<Tables['keys']>): StoredKey {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    kind: row.kind,
    digest: row.digest,
    status: row.status,
    scopes: JSON.parse(row.scopes) as StoredKey['scopes'],
    models: JSON.parse(row.models) as string[],
    cidr: JSON.parse(row.cidr) as string[],
    allowPath: Number(row.allow_path) === 1,
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at === null ? null : Number(row.expires_at),
    revokedAt: row.revoked_at === null ? null : Number(row.revoked_at),
    lastUsedAt: row.last_used_at === null ? null : Number(row.last_used_at),
    rotatedFrom: row.rotated_from,
  };
}

function rowOfUsage(record: UsageRecord): Tables['usage'] {
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
  };
}

function usageOfRow(row: Selectable<Tables['usage']>): UsageRecord {
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
    address: row.address,
  };
}
