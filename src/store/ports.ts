// What the planes may ask of the store. Two adapters answer it by contract: SQLite now, PostgreSQL next;
// test/contracts/store.ts is the suite both must pass. All times are Unix milliseconds.
import type { StoredKey } from '../domain/api-key.ts';
import type { AccountId, KeyId } from '../domain/id.ts';
import type { Member } from '../domain/roster.ts';
import type { UsageRecord } from '../domain/usage.ts';

export interface Store {
  /** The account of that name, made if it is not there. Safe against two makers at once. */
  ensureAccount(name: string, at: number): Promise<AccountId>;

  insertKey(key: StoredKey): Promise<void>;
  findKey(id: KeyId): Promise<StoredKey | undefined>;
  /** Finds a signature key by the digest of its public key. */
  findKeyByDigest(digest: string): Promise<StoredKey | undefined>;
  listKeys(): Promise<StoredKey[]>;
  /** Gives false where there is no such key; revoking twice keeps the first time. */
  revokeKey(id: KeyId, at: number): Promise<boolean>;
  /** Notes when keys were last used; ids that are no stored keys are passed over. */
  touchKeys(usedAt: ReadonlyMap<KeyId, number>): Promise<void>;
  /** Stores the successor and lets the old key end at `oldEndsAt`, in one transaction. */
  rotateKey(oldId: KeyId, successor: StoredKey, oldEndsAt: number): Promise<void>;

  /** Adds the rows that are not there yet, in one transaction: writing a row twice leaves one. */
  appendUsage(records: readonly UsageRecord[]): Promise<void>;
  /** The ids among these that the ledger already holds. */
  knownUsage(ids: readonly string[]): Promise<Set<string>>;
  /** The newest rows first. */
  listUsage(limit: number): Promise<UsageRecord[]>;

  /** A figure that changes when another process has written, and only then. */
  version(): Promise<number>;
  /** Throws if the store cannot answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What an exchange has cost so far; asked about once a second while it runs. */
export interface Progress {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly bytesOut: number;
}

/** An exchange that has begun, as the journal knows it. */
export interface OpenUsage extends Member {
  /** The row as it would be if the process died now. */
  readonly draft: UsageRecord;
  readonly progress: () => Progress;
}

/** Where exchanges are written down so that no kill can lose them. */
export interface UsageJournal {
  /** Throws if it cannot be written: then the exchange must not start. */
  begin(draft: UsageRecord, progress: () => Progress): OpenUsage;
  /** Has written when it returns; to be called before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void;
}
