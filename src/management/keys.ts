// What can be done with API keys: make, list, rotate, revoke. The command line and, later, the management API call these
// same functions. A key's text leaves through the result of `create` and `rotate`, once; afterwards nobody has it.
import { type Account, mayManage, planOfNewAccount, roleOfNewAccount } from '../domain/account.ts';
import { readBlocks } from '../domain/address.ts';
import {
  digestOf,
  generateKey,
  isSecretOf,
  passingKeyMs,
  readSshPublicKey,
  type StoredKey,
} from '../domain/api-key.ts';
import { type Author, auditEvent } from '../domain/audit.ts';
import { certificateDigest } from '../domain/certificate.ts';
import { type KeyId, newAccountId } from '../domain/id.ts';
import { readPatterns } from '../domain/model-name.ts';
import { type Narrowing, type Plan, readNarrowing } from '../domain/plan.ts';
import { defaultScopes, parseScopes, type Scope } from '../domain/scope.ts';
import type { Secret } from '../domain/secret.ts';
import type { WallMs } from '../domain/time.ts';
import type { Store } from '../store/ports.ts';
import { openAccount, readAccountName, requireAccount } from './accounts.ts';
import { Fault, reading } from './fault.ts';
import { requirePlan } from './plans.ts';

export interface NewKey {
  readonly name: string;
  /** Name of the account; made if it is not there, with the plan of a new account. */
  readonly account: string;
  /** Words of domain/scope; undefined is what a new key gets. */
  readonly scopes?: readonly string[];
  /** Model patterns; undefined is every local model. */
  readonly models?: readonly string[];
  readonly cidr?: readonly string[];
  /** Unix milliseconds; null or undefined is never, or as long as the plan lets a key live. */
  readonly expiresAt?: number | null;
  readonly allowPath?: boolean;
  /** An Ollama CLI's public key, `ssh-ed25519 AAAA…`; then there is no secret. */
  readonly publicKey?: string;
  /** A client certificate in PEM that is the key; then there is no secret either. */
  readonly certificate?: string;
  /** A client certificate in PEM that has to be shown beside the secret; null: none any more. */
  readonly boundCertificate?: string | null;
  /** Terms that narrow the account's plan for this key, by name. */
  readonly limits?: Readonly<Record<string, unknown>>;
}

export interface CreatedKey {
  readonly key: StoredKey;
  readonly secret: Secret | undefined;
}

const dayMs = 86_400_000;

/** @throws Fault for a rule that cannot be read, more than the plan allows, or a public key that is registered already. */
export async function createKey(store: Store, asked: NewKey, author: Author): Promise<CreatedKey> {
  const name = readAccountName(asked.account);
  const plan = planOfNewAccount(name);
  const found = await store.findAccount(name);
  // Everything is read before an account is made for it.
  const draft = await draftKey(
    store,
    asked,
    found ?? { id: newAccountId(), name, plan, role: roleOfNewAccount(name), createdAt: author.at, closedAt: null },
    author,
  );
  const account = found ?? (await openAccount(store, name, plan, author));
  const made: CreatedKey = { ...draft, key: { ...draft.key, accountId: account.id } };
  await store.insertKey(made.key, auditEvent(author, 'key.create', made.key.id, null, showKey(made.key)));
  return made;
}

/** A key as it would be stored; whoever asked stores it. @throws Fault as `createKey`. */
export async function draftKey(store: Store, asked: NewKey, account: Account, author: Author): Promise<CreatedKey> {
  const now = author.at;
  const plan = account.plan === null ? undefined : await requirePlan(store, account.plan);
  if (plan) await refuseMoreKeys(store, account, plan, asked.expiresAt ?? null, now);
  if (account.closedAt !== null) throw new Fault('That account is closed.', 'conflict');
  const { publicKey, boundCertificate, narrowing, rules } = readNew(asked, plan, now);
  refuseBeyondRole(rules.scopes, account);
  if (!plan && Object.keys(narrowing).length > 0)
    throw new Fault(`${account.name} has no plan that a key could narrow; its calls are not counted.`);
  const { id, text, digest } = generateKey();
  const key: StoredKey = {
    id,
    accountId: account.id,
    name: asked.name.trim(),
    kind: publicKey?.kind ?? 'secret',
    digest: publicKey?.digest ?? digest,
    status: 'active',
    ...rules,
    allowPath: asked.allowPath === true,
    createdAt: now,
    expiresAt: expiryOf(asked.expiresAt ?? null, plan, now),
    revokedAt: null,
    lastUsedAt: null,
    rotatedFrom: null,
    lineage: id,
    boundCertificate,
    narrowing,
  };
  if (publicKey && (await store.findKeyByDigest(key.digest)))
    throw new Fault('That public key is registered already.', 'conflict');
  return { key, secret: publicKey ? undefined : text };
}

interface ReadKey {
  /** Undefined for a key with a secret. */
  readonly publicKey: Pick<StoredKey, 'kind' | 'digest'> | undefined;
  readonly boundCertificate: string | null;
  readonly narrowing: Narrowing;
  readonly rules: Pick<StoredKey, 'scopes' | 'models' | 'cidr'>;
}

function readNew(asked: NewKey, plan: Plan | undefined, now: WallMs): ReadKey {
  if (asked.name.trim() === '' || asked.name.length > 200)
    throw new Fault('A key needs a name of 1 to 200 characters.');
  if (asked.expiresAt !== null && asked.expiresAt !== undefined && asked.expiresAt <= now)
    throw new Fault('The key would have expired already.');
  return {
    publicKey: readPublicKey(asked),
    boundCertificate: readBoundCertificate(asked.boundCertificate),
    narrowing: reading(() => readNarrowing(asked.limits ?? {})),
    rules: readRules(asked, plan),
  };
}

function readPublicKey({ publicKey, certificate }: NewKey): ReadKey['publicKey'] {
  if (publicKey !== undefined && certificate !== undefined)
    throw new Fault('A key is a public key or a certificate, not both.');
  if (publicKey !== undefined) {
    const wire = readSshPublicKey(publicKey);
    if (!wire) throw new Fault('That is not an ed25519 public key; give the line of ~/.ollama/id_ed25519.pub.');
    return { kind: 'signature', digest: digestOf(wire) };
  }
  return certificate === undefined ? undefined : { kind: 'certificate', digest: digestOfCertificate(certificate) };
}

const readBoundCertificate = (pem: string | null | undefined): string | null =>
  pem === undefined || pem === null ? null : digestOfCertificate(pem);

function digestOfCertificate(pem: string): string {
  const digest = certificateDigest(pem);
  if (digest === undefined) throw new Fault('That is no certificate in PEM (-----BEGIN CERTIFICATE-----).');
  return digest;
}

/** A new secret with the same rights; the old one works for `graceMs` more. @throws Fault. */
export async function rotateKey(store: Store, id: string, graceMs: number, author: Author): Promise<CreatedKey> {
  const now = author.at;
  const old = await requireKey(store, id);
  if (old.kind !== 'secret')
    throw new Fault('A public key cannot be rotated here: register the new one, then revoke this one.');
  if (!works(old, now)) throw new Fault(`${id} is not active any more; make a new key instead.`, 'conflict');
  const family = (await store.listKeys(old.accountId)).filter((each) => each.lineage === old.lineage);
  const earlier = family.find((each) => each.id !== old.id && works(each, now));
  if (earlier)
    throw new Fault(
      `${earlier.id}, which this key replaced, works until ${iso(earlier.expiresAt)}; revoke it first.`,
      'conflict',
    );
  const fresh = generateKey();
  const key: StoredKey = {
    ...old,
    id: fresh.id,
    digest: fresh.digest,
    createdAt: now,
    lastUsedAt: null,
    rotatedFrom: old.id,
  };
  const endsAt = Math.min(now + graceMs, old.expiresAt ?? Infinity);
  const event = auditEvent(author, 'key.rotate', old.id, null, { successor: key.id, endsAt: iso(endsAt) });
  await store.rotateKey(old.id, key, endsAt, event);
  return { key, secret: fresh.text };
}

export interface KeyChange {
  readonly name?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly models?: readonly string[] | undefined;
  readonly cidr?: readonly string[] | undefined;
  readonly expiresAt?: number | null | undefined;
  /** PEM; null: none any more. */
  readonly boundCertificate?: string | null | undefined;
  readonly limits?: Readonly<Record<string, unknown>> | undefined;
}

/** Other rights for a key that works; its secret stays. @throws Fault as `createKey`. */
export async function changeKey(store: Store, id: string, change: KeyChange, author: Author): Promise<StoredKey> {
  const before = await requireKey(store, id);
  if (!works(before, author.at)) throw new Fault(`${id} is not active any more; make a new key instead.`, 'conflict');
  const account = await requireAccount(store, before.accountId);
  const plan = account.plan === null ? undefined : await requirePlan(store, account.plan);
  const asked: NewKey = {
    name: change.name ?? before.name,
    account: account.name,
    ...(change.scopes === undefined ? {} : { scopes: change.scopes }),
    models: change.models ?? before.models,
    ...(change.cidr === undefined || change.cidr.length === 0 ? {} : { cidr: change.cidr }),
    limits: change.limits ?? before.narrowing,
    expiresAt: change.expiresAt === undefined ? before.expiresAt : change.expiresAt,
  };
  const { narrowing, rules } = readNew(asked, plan, author.at);
  refuseBeyondRole(rules.scopes, account);
  if (!plan && Object.keys(narrowing).length > 0)
    throw new Fault(`${account.name} has no plan that a key could narrow.`);
  const after: StoredKey = {
    ...before,
    name: asked.name.trim(),
    scopes: change.scopes === undefined ? before.scopes : rules.scopes,
    models: rules.models,
    cidr: change.cidr ?? before.cidr,
    narrowing,
    boundCertificate:
      change.boundCertificate === undefined ? before.boundCertificate : readBoundCertificate(change.boundCertificate),
    expiresAt: expiryOf(asked.expiresAt ?? null, plan, before.createdAt),
  };
  const event = auditEvent(author, 'key.set', id, showKey(before), showKey(after));
  if (!(await store.changeKey(after, event))) throw new Fault(`${id} is not active any more.`, 'conflict');
  return after;
}

/** @throws Fault where there is no such key. */
export async function revokeKey(store: Store, id: string, author: Author): Promise<StoredKey> {
  const event = auditEvent(author, 'key.revoke', id, { status: 'active' }, { status: 'revoked' });
  if (!(await store.revokeKey(id as KeyId, author.at, event))) throw new Fault(`There is no key ${id}.`, 'not_found');
  return requireKey(store, id);
}

/** Revokes a key whose whole text somebody has found; anything else changes nothing. */
export async function revokeLeaked(store: Store, id: KeyId, text: string, author: Author): Promise<void> {
  const key = await store.findKey(id);
  if (!isSecretOf(text, key)) return;
  await store.revokeKey(
    id,
    author.at,
    auditEvent(author, 'key.leaked', id, { status: 'active' }, { status: 'revoked' }),
  );
}

export async function requireKey(store: Store, id: string): Promise<StoredKey> {
  const key = await store.findKey(id as KeyId);
  if (!key) throw new Fault(`There is no key ${id}.`, 'not_found');
  return key;
}

/** Everything about a key that may be shown: never the digest, which is half of a secret's story. */
export function showKey(key: StoredKey): Record<string, unknown> {
  return {
    id: key.id,
    name: key.name,
    account: key.accountId,
    kind: key.kind,
    status: key.status,
    scopes: key.scopes,
    models: key.models,
    cidr: key.cidr,
    allowPath: key.allowPath,
    boundCertificate: key.boundCertificate,
    limits: key.narrowing,
    createdAt: iso(key.createdAt),
    expiresAt: iso(key.expiresAt),
    revokedAt: iso(key.revokedAt),
    lastUsedAt: iso(key.lastUsedAt),
    rotatedFrom: key.rotatedFrom,
  };
}

export function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function works(key: StoredKey, now: WallMs): boolean {
  return key.status === 'active' && (key.expiresAt === null || key.expiresAt > now);
}

/** At once, for pages that are open. */
const maxPassing = 5;

async function refuseMoreKeys(
  store: Store,
  account: Account,
  { name, maxKeys }: Plan,
  expiresAt: number | null,
  now: WallMs,
): Promise<void> {
  if (expiresAt !== null && expiresAt - now <= passingKeyMs) {
    if ((await store.countKeys(account.id, now, 'passing')) >= maxPassing)
      throw new Fault(
        `${account.name} holds ${maxPassing} keys for an hour already; they end by themselves.`,
        'conflict',
      );
    return;
  }
  if (maxKeys === null) return;
  const held = await store.countKeys(account.id, now);
  if (held >= maxKeys)
    throw new Fault(
      `${account.name} holds ${held} working keys, and the plan ${name} allows ${maxKeys}. Revoke one first.`,
    );
}

function expiryOf(expiresAt: number | null, plan: Plan | undefined, now: WallMs): number | null {
  if (!plan || plan.maxKeyDays === null) return expiresAt;
  const latest = now + plan.maxKeyDays * dayMs;
  if (expiresAt !== null && expiresAt > latest)
    throw new Fault(`The plan ${plan.name} lets a key live ${plan.maxKeyDays} days at most.`);
  return expiresAt ?? latest;
}

/** Scopes beyond the plan's are refused rather than stored and never granted. */
function readRules(asked: NewKey, plan: Plan | undefined): Pick<StoredKey, 'scopes' | 'models' | 'cidr'> {
  const models = asked.models ?? ['*'];
  const cidr = asked.cidr ?? [];
  const scopes = reading(() => {
    const read = asked.scopes === undefined ? defaultScopes : parseScopes(asked.scopes);
    // Read here once, so that a rule that nobody could apply is never stored.
    readPatterns(models);
    readBlocks(cidr);
    if (read.length === 0) throw new Error('a key needs at least one scope');
    if (models.length === 0) throw new Error('a key needs at least one model pattern; * is every local model');
    if (asked.cidr?.length === 0)
      throw new Error('an empty address list would allow nobody; leave it out to allow everybody');
    return read;
  });
  return { scopes: plan ? withinPlan(scopes, asked, plan) : scopes, models, cidr };
}

function refuseBeyondRole(asked: readonly Scope[], { name, role }: Account): void {
  const beyond = (['management:read', 'management:write'] as const).find(
    (scope) => asked.includes(scope) && !mayManage(role, scope),
  );
  if (beyond !== undefined) throw new Fault(`${name} has the role ${role}, and ${beyond} is not for it.`, 'forbidden');
}

function withinPlan(scopes: readonly Scope[], asked: NewKey, plan: Plan): readonly Scope[] {
  const beyond = scopes.filter((scope) => !plan.scopes.includes(scope));
  if (asked.scopes !== undefined && beyond.length > 0)
    throw new Fault(`The plan ${plan.name} does not allow ${beyond.join(', ')}; it allows ${plan.scopes.join(', ')}.`);
  return scopes.filter((scope) => plan.scopes.includes(scope));
}
