// API keys, and a key with everything that decides what its calls may do.
import type { Account } from '../../domain/account.ts';
import type { StoredKey } from '../../domain/api-key.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { Plan, Unlimited } from '../../domain/plan.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Page } from './page.ts';

/** A key with all that decides what its calls may do. */
export interface Caller {
  readonly key: StoredKey;
  readonly account: Account;
  readonly plan: Plan | Unlimited;
  /** Those of the account that are neither lifted nor over, whichever key they hit. */
  readonly suspensions: readonly Suspension[];
}

export interface KeyStore {
  insertKey(key: StoredKey, event: AuditEvent): Promise<void>;
  findKey(id: KeyId): Promise<StoredKey | undefined>;
  /** Finds a key that is no secret by the digest of its public key. */
  findKeyByDigest(digest: string): Promise<StoredKey | undefined>;
  findCaller(id: KeyId, now: WallMs): Promise<Caller | undefined>;
  findCallerByDigest(digest: string, now: WallMs): Promise<Caller | undefined>;
  /** All keys, or those of one account, oldest first. */
  listKeys(accountId?: AccountId): Promise<StoredKey[]>;
  /** How many keys of an account work: active and not expired; those that live for an hour at most are counted by themselves. */
  countKeys(accountId: AccountId, now: WallMs, which?: 'lasting' | 'passing'): Promise<number>;
  /** A page of keys in the order in which they were made, behind a place in it. */
  pageKeys(page: Page & { readonly accountId?: AccountId; readonly search?: string }): Promise<StoredKey[]>;
  /** Writes name, scopes, models, addresses, expiry and narrowing of a key; false where it is not active any more. */
  changeKey(key: StoredKey, event: AuditEvent): Promise<boolean>;
  /** Working keys that end in that time. */
  keysExpiring(from: WallMs, before: WallMs): Promise<StoredKey[]>;
  /** Gives false where there is no such key; revoking twice keeps the first time and writes no second event. */
  revokeKey(id: KeyId, at: WallMs, event: AuditEvent): Promise<boolean>;
  /** Notes when keys were last used, where that is later than what stands there; ids that are no stored keys are passed over. */
  touchKeys(usedAt: ReadonlyMap<KeyId, WallMs>): Promise<void>;
  /** Stores the successor and lets the old key end at `oldEndsAt`, in one transaction. */
  rotateKey(oldId: KeyId, successor: StoredKey, oldEndsAt: WallMs, event: AuditEvent): Promise<void>;
}
