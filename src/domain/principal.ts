// The authenticated caller, prepared for the checks of every request: what the key allows, within what its account's
// plan allows.
import { AddressBlocks } from './address.ts';
import type { StoredKey } from './api-key.ts';
import type { AccountId, KeyId } from './id.ts';
import { atOnceOf, type CallerBounds, limitsOf } from './limit.ts';
import { type ModelName, ModelPatterns } from './model-name.ts';
import { boundsOf, type Narrowing, type Plan, type Terms, type Unlimited, unlimited } from './plan.ts';
import type { Scope } from './scope.ts';
import { hits, type Suspension } from './suspension.ts';
import type { SteadyMs } from './time.ts';

export interface Principal extends CallerBounds {
  readonly keyId: KeyId;
  /** The first key in the chain of rotations; usage of the key is counted on it. */
  readonly lineage: KeyId;
  readonly accountId: AccountId;
  readonly digest: string;
  readonly kind: StoredKey['kind'];
  readonly revoked: boolean;
  /** Unix milliseconds: from this instant on the key no longer works. */
  readonly expiresAt: number | null;
  readonly scopes: ReadonlySet<Scope>;
  readonly models: ModelAccess;
  readonly addresses: AddressBlocks;
  readonly allowPath: boolean;
  readonly boundCertificate: string | null;
  readonly plan: Plan | Unlimited;
  readonly narrowing: Narrowing;
  /** The stricter of plan and key, for terms without counters; undefined without limits. */
  readonly bounds: Terms | undefined;
  /** Steps of the ladder that apply to this key and may still be in force. */
  readonly suspensions: readonly Suspension[];
  /** When this was read from the store; 0 if it was not. Compared with other times of this process. */
  readonly readAt: SteadyMs;
  /** Reads it again, for a caller that is known by an access token; undefined for a key. */
  readonly again: (() => Principal | Promise<Principal | undefined>) | undefined;
}

export interface ModelAccess {
  /** Every local model. */
  readonly all: boolean;
  allow(name: ModelName): boolean;
  /** Also if the alias by which a call reaches the model is named. `alias`: its canonical name. */
  allowAs(name: ModelName, alias: string): boolean;
}

/** @throws if a stored rule cannot be read: a key whose limits are not understood grants no access. */
export function principalOf(
  key: StoredKey,
  given: Plan | Unlimited,
  suspensions: readonly Suspension[],
  readAt: SteadyMs = 0,
): Principal {
  const plan = given === unlimited ? undefined : given;
  const limiting = { account: plan ?? {}, key: plan ? key.narrowing : {} };
  return {
    keyId: key.id,
    lineage: key.lineage,
    accountId: key.accountId,
    digest: key.digest,
    kind: key.kind,
    revoked: key.status !== 'active',
    expiresAt: key.expiresAt,
    scopes: new Set(plan ? key.scopes.filter((scope) => plan.scopes.includes(scope)) : key.scopes),
    models: modelsOf(key, plan),
    addresses: new AddressBlocks(key.cidr),
    allowPath: key.allowPath,
    boundCertificate: key.boundCertificate,
    plan: given,
    narrowing: key.narrowing,
    bounds: plan && boundsOf(plan, key.narrowing),
    limits: limitsOf(limiting),
    atOnce: atOnceOf(limiting),
    suspensions: suspensions.filter((suspension) => hits(suspension, key.lineage)),
    readAt,
    again: undefined,
  };
}

function modelsOf(key: StoredKey, plan: Plan | undefined): ModelAccess {
  const own = new ModelPatterns(key.models);
  if (!plan || plan.models.includes('*')) return own;
  const theirs = new ModelPatterns(plan.models);
  if (own.all) return theirs;
  return {
    all: false,
    allow: (name) => own.allow(name) && theirs.allow(name),
    allowAs: (name, alias) => own.allowAs(name, alias) && theirs.allowAs(name, alias),
  };
}
