// Who is calling, with everything that is asked on every call already in the form in which it is asked: what the key may
// do and what its account's plan leaves of that.
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
  /** The first key of its row of rotations; figures of the key are counted on it. */
  readonly lineage: KeyId;
  readonly accountId: AccountId;
  readonly digest: string;
  readonly kind: StoredKey['kind'];
  readonly revoked: boolean;
  /** Unix milliseconds, inclusive: at this instant the key no longer works. */
  readonly expiresAt: number | null;
  readonly scopes: ReadonlySet<Scope>;
  readonly models: ModelAccess;
  readonly addresses: AddressBlocks;
  readonly allowPath: boolean;
  readonly boundCertificate: string | null;
  readonly plan: Plan | Unlimited;
  readonly narrowing: Narrowing;
  /** The stricter of plan and key, for what is not counted; undefined without limits. */
  readonly bounds: Terms | undefined;
  /** Steps of the ladder that hit this key and may still be in force. */
  readonly suspensions: readonly Suspension[];
  /** When all this was read from the store; 0 where it was not. Compared with other moments of this process. */
  readonly readAt: SteadyMs;
}

export interface ModelAccess {
  /** Every local model. */
  readonly all: boolean;
  allow(name: ModelName): boolean;
}

/** Throws if a stored rule cannot be read: a key whose limits we do not understand opens nothing. */
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
  };
}

function modelsOf(key: StoredKey, plan: Plan | undefined): ModelAccess {
  const own = new ModelPatterns(key.models);
  if (!plan || plan.models.includes('*')) return own;
  const theirs = new ModelPatterns(plan.models);
  return own.all ? theirs : { all: false, allow: (name) => own.allow(name) && theirs.allow(name) };
}
