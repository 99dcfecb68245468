// Who is calling, with everything that is asked on every call already in the form in which it is asked.
import { AddressBlocks } from './address.ts';
import type { StoredKey } from './api-key.ts';
import type { AccountId, KeyId } from './id.ts';
import { ModelPatterns } from './model-name.ts';
import type { Scope } from './scope.ts';

export interface Principal {
  readonly keyId: KeyId;
  readonly accountId: AccountId;
  readonly digest: string;
  readonly kind: StoredKey['kind'];
  readonly revoked: boolean;
  /** Unix milliseconds, inclusive: at this instant the key no longer works. */
  readonly expiresAt: number | null;
  readonly scopes: ReadonlySet<Scope>;
  readonly models: ModelPatterns;
  readonly addresses: AddressBlocks;
  readonly allowPath: boolean;
}

/** Throws if a stored rule cannot be read: a key whose limits we do not understand opens nothing. */
export function principalOf(key: StoredKey): Principal {
  return {
    keyId: key.id,
    accountId: key.accountId,
    digest: key.digest,
    kind: key.kind,
    revoked: key.status !== 'active',
    expiresAt: key.expiresAt,
    scopes: new Set(key.scopes),
    models: new ModelPatterns(key.models),
    addresses: new AddressBlocks(key.cidr),
    allowPath: key.allowPath,
  };
}
