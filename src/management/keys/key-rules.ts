// The rules for a new or changed key: parses the request, and checks it against the account's plan and role and the calling key.
import { type Account, mayManage } from '../../domain/account.ts';
import { readBlocks } from '../../domain/address.ts';
import { passingKeyMs, type StoredKey } from '../../domain/api-key.ts';
import { beyondMaker, type Maker } from '../../domain/key-bounds.ts';
import { readPatterns } from '../../domain/model-name.ts';
import { type Narrowing, type Plan, readNarrowing, type Unlimited, unlimited } from '../../domain/plan.ts';
import { defaultScopes, isManagement, managementScopes, parseScopes, type Scope } from '../../domain/scope.ts';
import { Unreadable } from '../../domain/sentences.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import { readBoundCertificate, readPublicKey } from './public-keys.ts';

export interface AskedKey {
  readonly name: string;
  /** Names from domain/scope; undefined: the default scopes. */
  readonly scopes?: readonly string[];
  /** Model patterns; undefined: every local model. */
  readonly models?: readonly string[];
  readonly cidr?: readonly string[];
  /** Unix milliseconds; null or undefined: never, or the maximum of the plan. */
  readonly expiresAt?: number | null;
  readonly allowPath?: boolean;
  /** An Ollama CLI's public key, `ssh-ed25519 AAAA…`; then there is no secret. */
  readonly publicKey?: string;
  /** A client certificate in PEM that is the key; then there is no secret either. */
  readonly certificate?: string;
  /** A client certificate in PEM that is required in addition to the secret; null removes it. */
  readonly boundCertificate?: string | null;
  /** A page of the portal creates it for itself. */
  readonly ofPage?: boolean;
  /** Terms that restrict the account's plan for this key, by name. */
  readonly limits?: Readonly<Record<string, unknown>>;
}

const dayMs = 86_400_000;

export interface ReadKey {
  /** Undefined for a key with a secret. */
  readonly publicKey: Pick<StoredKey, 'kind' | 'digest'> | undefined;
  readonly boundCertificate: string | null;
  readonly narrowing: Narrowing;
  readonly rules: Pick<StoredKey, 'scopes' | 'models' | 'cidr'>;
}

export function readAskedKey(asked: AskedKey, plan: Plan | Unlimited, now: WallMs): ReadKey {
  if (asked.expiresAt !== null && asked.expiresAt !== undefined && asked.expiresAt <= now)
    throw new Fault('key_expired_already', {});
  return {
    publicKey: readPublicKey(asked),
    boundCertificate: readBoundCertificate(asked.boundCertificate),
    narrowing: reading(() => readNarrowing(asked.limits ?? {})),
    rules: readRules(asked, plan),
  };
}

/** @throws Fault `forbidden` if the new key would have more rights than the calling key. */
export function refuseBeyondMaker(
  key: StoredKey,
  account: Account,
  maker: Maker | undefined,
  before?: StoredKey,
): void {
  const beyond = maker && beyondMaker(key, account, maker, before);
  if (beyond !== undefined) throw new Fault('key_beyond_maker', { beyond }, 'forbidden');
}

export function works(key: StoredKey, now: WallMs): boolean {
  return key.status === 'active' && (key.expiresAt === null || key.expiresAt > now);
}

/** The most short-lived keys, and the most keys of open pages, at the same time. */
const maxPassing = 5;

export const isPassing = ({ expiresAt, createdAt }: StoredKey): boolean =>
  expiresAt !== null && expiresAt - createdAt <= passingKeyMs;

export const endOf = ({ expiresAt }: StoredKey): number => expiresAt ?? Infinity;

/**
 * @throws Fault if the account has no room for another key of that kind, not counting `before`. Called in the transaction that
 * stores the key.
 */
export async function refuseMoreKeys(
  store: Store,
  account: Account,
  plan: Plan | Unlimited,
  key: StoredKey,
  now: WallMs,
  before?: StoredKey,
): Promise<void> {
  if (plan === unlimited) return;
  if (key.ofPage) {
    if ((await store.countKeys(account.id, now, 'page')) >= maxPassing)
      throw new Fault('keys_of_pages_full', { account: account.name, count: maxPassing }, 'conflict');
    return;
  }
  const itself = before && isPassing(before) === isPassing(key) ? 1 : 0;
  if (isPassing(key)) {
    if ((await store.countKeys(account.id, now, 'passing')) - itself >= maxPassing)
      throw new Fault('keys_passing_full', { account: account.name, count: maxPassing }, 'conflict');
    return;
  }
  const { name, maxKeys } = plan;
  if (maxKeys === null) return;
  const held = (await store.countKeys(account.id, now)) - itself;
  if (held >= maxKeys)
    throw new Fault(itself ? 'keys_full_beside' : 'keys_full', {
      account: account.name,
      held,
      plan: name,
      most: maxKeys,
    });
}

export function expiryOf(expiresAt: number | null, plan: Plan | Unlimited, now: WallMs): number | null {
  if (plan === unlimited || plan.maxKeyDays === null) return expiresAt;
  const latest = now + plan.maxKeyDays * dayMs;
  if (expiresAt !== null && expiresAt > latest)
    throw new Fault('key_lives_too_long', { plan: plan.name, days: plan.maxKeyDays });
  return expiresAt ?? latest;
}

/** Scopes beyond the plan are refused, because they would be stored but never granted. */
function readRules(asked: AskedKey, plan: Plan | Unlimited): Pick<StoredKey, 'scopes' | 'models' | 'cidr'> {
  const models = asked.models ?? ['*'];
  const cidr = asked.cidr ?? [];
  const scopes = reading(() => {
    const read = asked.scopes === undefined ? defaultScopes : parseScopes(asked.scopes);
    // Parsed here, so that an invalid pattern or address block is never stored.
    readPatterns(models);
    readBlocks(cidr);
    if (read.length === 0) throw new Unreadable('key_needs_scope', {});
    if (models.length === 0) throw new Unreadable('key_needs_model', {});
    if (asked.cidr?.length === 0) throw new Unreadable('key_needs_address', {});
    return read;
  });
  return { scopes: plan === unlimited ? scopes : withinPlan(scopes, asked, plan), models, cidr };
}

export function refuseBeyondRole(asked: readonly Scope[], { name, role }: Account): void {
  const beyond = managementScopes.find((scope) => asked.includes(scope) && !mayManage(role, scope));
  if (beyond !== undefined) throw new Fault('role_lacks_scope', { account: name, role, scope: beyond }, 'forbidden');
}

/** Management scopes depend on the role, not on the plan. */
function withinPlan(scopes: readonly Scope[], asked: AskedKey, plan: Plan): readonly Scope[] {
  const allows = (scope: Scope): boolean => isManagement(scope) || plan.scopes.includes(scope);
  const beyond = scopes.filter((scope) => !allows(scope));
  if (asked.scopes !== undefined && beyond.length > 0)
    throw new Fault('plan_lacks_scope', {
      plan: plan.name,
      scopes: beyond.join(', '),
      allowed: plan.scopes.join(', '),
    });
  return scopes.filter(allows);
}
