// API keys, and keys with everything that determines what their calls may do.
import type { Account } from '../../domain/account.ts';
import type { StoredKey } from '../../domain/api-key.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { Plan, Unlimited } from '../../domain/plan.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Page } from './page.ts';

/** A key with everything that determines what its calls may do. */
export interface Caller {
  readonly key: StoredKey;
  readonly account: Account;
  readonly plan: Plan | Unlimited;
  /** The account's suspensions that are neither lifted nor over, whichever key they apply to. */
  readonly suspensions: readonly Suspension[];
}

export interface KeyStore {
  /** Without an event only for a key that a page makes for itself. */
  insertKey(key: StoredKey, event: AuditEvent | undefined): Promise<void>;
  findKey(id: KeyId): Promise<StoredKey | undefined>;
  /** Finds a key of a kind other than `secret`, by the digest of its public key. */
  findKeyByDigest(digest: string): Promise<StoredKey | undefined>;
  findCaller(id: KeyId, now: WallMs): Promise<Caller | undefined>;
  findCallerByDigest(digest: string, now: WallMs): Promise<Caller | undefined>;
  /** What every key of the account has, for callers without one. `account`: an id or a name. */
  findOwner(account: string, now: WallMs): Promise<Omit<Caller, 'key'> | undefined>;
  /** All keys, or those of one account, oldest first. */
  listKeys(accountId?: AccountId): Promise<StoredKey[]>;
  /**
   * How many keys of an account are active and not expired; keys that live for an hour at most, and those
   * of pages, are counted apart.
   */
  countKeys(accountId: AccountId, now: WallMs, which?: 'lasting' | 'passing' | 'page'): Promise<number>;
  /** A page of keys in the order of creation, without those of pages. */
  pageKeys(page: Page & { readonly accountId?: AccountId; readonly search?: string }): Promise<StoredKey[]>;
  /** Writes name, scopes, models, addresses, expiry and narrowing of a key; false if it is no longer active. */
  changeKey(key: StoredKey, event: AuditEvent): Promise<boolean>;
  /** Active keys that expire in that time, without those of pages. */
  keysExpiring(from: WallMs, before: WallMs): Promise<StoredKey[]>;
  /** False if there is no such key; revoking twice keeps the first time and writes no second event. */
  revokeKey(id: KeyId, at: WallMs, event: AuditEvent | undefined): Promise<boolean>;
  /** Notes when keys were last used, unless a later time is stored; unknown ids are ignored. */
  touchKeys(usedAt: ReadonlyMap<KeyId, WallMs>): Promise<void>;
  /** Stores the successor and ends the old key at `oldEndsAt`, in one transaction. */
  rotateKey(oldId: KeyId, successor: StoredKey, oldEndsAt: WallMs, event: AuditEvent): Promise<void>;
}
