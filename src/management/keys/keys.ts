// What can be done with API keys: make, list, rotate, revoke. The command line and, later, the management API call these
// same functions. A key's text leaves through the result of `create` and `rotate`, once; afterwards nobody has it.
import type { z } from 'zod';
import { type Account, mayManage, planOfNewAccount } from '../../domain/account.ts';
import { readBlocks } from '../../domain/address.ts';
import { blankKey, generateKey, isSecretOf, passingKeyMs, type StoredKey } from '../../domain/api-key.ts';
import { type Author, auditEvent } from '../../domain/audit.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { beyondMaker, type Maker } from '../../domain/key-bounds.ts';
import { readPatterns } from '../../domain/model-name.ts';
import { type Narrowing, type Plan, readNarrowing, type Unlimited, unlimited } from '../../domain/plan.ts';
import { defaultScopes, isManagement, managementScopes, parseScopes, type Scope } from '../../domain/scope.ts';
import type { Secret } from '../../domain/secret.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { allowanceOf, openAccount, readAccountName, requireAccount } from '../accounts/accounts.ts';
import { Fault, reading, requireText } from '../fault.ts';
import { readBoundCertificate, readPublicKey } from './public-keys.ts';
import type { keyChangeSchema, keySchema, keyWithSecretSchema } from './schemas.ts';

export interface NewKey extends AskedKey {
  /** Name of the account; made if it is not there, with the plan of a new account. */
  readonly account: string;
}

export interface AskedKey {
  readonly name: string;
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
export function createKey(store: Store, { account, ...asked }: NewKey, author: Author): Promise<CreatedKey> {
  return store.atomically(async (within) => {
    return issueKey(
      within,
      (await within.findAccount(account.trim())) ?? (await newOwner(within, account, author)),
      asked,
      author,
    );
  });
}

/** An account that is made for its first key. */
function newOwner(store: Store, account: string, author: Author): Promise<Account> {
  const name = readAccountName(account);
  return openAccount(store, name, planOfNewAccount(name), author);
}

/** A key of an account that is there. `maker`: the key that asks for it, which it never exceeds. @throws Fault as `createKey`. */
export function createKeyFor(
  store: Store,
  accountId: AccountId,
  asked: AskedKey,
  author: Author,
  maker?: Maker,
): Promise<CreatedKey> {
  return store.atomically(async (within) =>
    issueKey(within, await requireAccount(within, accountId), asked, author, maker),
  );
}

async function issueKey(
  store: Store,
  account: Account,
  asked: AskedKey,
  author: Author,
  maker?: Maker,
): Promise<CreatedKey> {
  const draft = await draftKey(store, maker ? handedOn(asked, maker) : asked, account, author);
  const boundCertificate = draft.key.boundCertificate ?? maker?.key.boundCertificate ?? null;
  const made: CreatedKey = { ...draft, key: { ...draft.key, boundCertificate } };
  refuseBeyondMaker(made.key, account, maker);
  await store.insertKey(made.key, auditEvent(author, 'key.create', made.key.id, null, showKey(made.key)));
  return made;
}

/** What is not said is as the maker has it. */
function handedOn(asked: AskedKey, { key: { expiresAt, cidr, models, narrowing } }: Maker): AskedKey {
  return {
    models,
    ...(cidr.length === 0 ? {} : { cidr }),
    ...asked,
    limits: { ...narrowing, ...asked.limits },
    expiresAt: asked.expiresAt ?? expiresAt,
  };
}

function refuseBeyondMaker(key: StoredKey, account: Account, maker: Maker | undefined, before?: StoredKey): void {
  const beyond = maker && beyondMaker(key, account, maker, before);
  if (beyond !== undefined) throw new Fault(`The key that asks makes no key beyond itself: ${beyond}.`, 'forbidden');
}

/** A key as it would be stored; the caller stores it, in the same transaction. @throws Fault as `createKey`. */
export async function draftKey(store: Store, asked: AskedKey, account: Account, author: Author): Promise<CreatedKey> {
  const now = author.at;
  if (account.closedAt !== null) throw new Fault('That account is closed.', 'conflict');
  const plan = await allowanceOf(store, account);
  const { publicKey, boundCertificate, narrowing, rules } = readNew(asked, plan, now);
  refuseBeyondRole(rules.scopes, account);
  if (plan === unlimited && Object.keys(narrowing).length > 0)
    throw new Fault(`${account.name} has no plan that a key could narrow; its calls are not counted.`);
  const { id, text, digest } = generateKey();
  const key: StoredKey = {
    ...blankKey(id, account.id, now),
    name: requireText('name of a key', asked.name, 200),
    kind: publicKey?.kind ?? 'secret',
    digest: publicKey?.digest ?? digest,
    ...rules,
    allowPath: asked.allowPath === true,
    expiresAt: expiryOf(asked.expiresAt ?? null, plan, now),
    boundCertificate,
    narrowing,
  };
  await refuseMoreKeys(store, account, plan, key, now);
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

function readNew(asked: AskedKey, plan: Plan | Unlimited, now: WallMs): ReadKey {
  if (asked.expiresAt !== null && asked.expiresAt !== undefined && asked.expiresAt <= now)
    throw new Fault('The key would have expired already.');
  return {
    publicKey: readPublicKey(asked),
    boundCertificate: readBoundCertificate(asked.boundCertificate),
    narrowing: reading(() => readNarrowing(asked.limits ?? {})),
    rules: readRules(asked, plan),
  };
}

/**
 * A new secret with the same rights; the old one works for `graceMs` more. `maker`: the key that asks, whose bounds the
 * rotated one is within, unless it is the same. @throws Fault.
 */
export function rotateKey(
  store: Store,
  id: string,
  graceMs: number,
  author: Author,
  maker?: Maker,
): Promise<CreatedKey> {
  return store.atomically(async (within) => {
    const now = author.at;
    const old = await requireKey(within, id);
    if (old.kind !== 'secret')
      throw new Fault('A public key cannot be rotated here: register the new one, then revoke this one.');
    if (!works(old, now)) throw new Fault(`${id} is not active any more; make a new key instead.`, 'conflict');
    if (maker?.key.id !== old.id) refuseBeyondMaker(old, await requireAccount(within, old.accountId), maker);
    const family = (await within.listKeys(old.accountId)).filter((each) => each.lineage === old.lineage);
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
    await within.rotateKey(old.id, key, endsAt, event);
    return { key, secret: fresh.text };
  });
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

/** A change as the management API reads it. */
export const keyChangeOf = ({ expiresAt, ...change }: z.output<typeof keyChangeSchema>): KeyChange => ({
  ...change,
  limits: change.limits,
  expiresAt: typeof expiresAt === 'string' ? Date.parse(expiresAt) : expiresAt,
});

/** Other rights for a key that works; its secret stays. @throws Fault as `createKey`. */
export function changeKey(
  store: Store,
  id: string,
  change: KeyChange,
  author: Author,
  maker?: Maker,
): Promise<StoredKey> {
  return store.atomically(async (within) => {
    const before = await requireKey(within, id);
    if (!works(before, author.at)) throw new Fault(`${id} is not active any more; make a new key instead.`, 'conflict');
    const account = await requireAccount(within, before.accountId);
    const plan = await allowanceOf(within, account);
    const asked: AskedKey = {
      name: change.name ?? before.name,
      ...(change.scopes === undefined ? {} : { scopes: change.scopes }),
      models: change.models ?? before.models,
      ...(change.cidr === undefined || change.cidr.length === 0 ? {} : { cidr: change.cidr }),
      limits: change.limits ?? before.narrowing,
      expiresAt: change.expiresAt === undefined ? before.expiresAt : change.expiresAt,
    };
    const { narrowing, rules } = readNew(asked, plan, author.at);
    if (plan === unlimited && Object.keys(narrowing).length > 0)
      throw new Fault(`${account.name} has no plan that a key could narrow.`);
    const after: StoredKey = {
      ...before,
      // A name from before names were read so strictly stays until another is given.
      name: change.name === undefined ? before.name : requireText('name of a key', change.name, 200),
      scopes: change.scopes === undefined ? before.scopes : rules.scopes,
      models: rules.models,
      cidr: change.cidr ?? before.cidr,
      narrowing,
      boundCertificate:
        change.boundCertificate === undefined ? before.boundCertificate : readBoundCertificate(change.boundCertificate),
      expiresAt: expiryOf(asked.expiresAt ?? null, plan, before.createdAt),
    };
    refuseBeyondRole(after.scopes, account);
    // Another end may make a key for an hour one that lasts, which is counted by itself.
    // So is one that lives longer than it would have: a key that was replaced ends, and makes room, at its end.
    if (isPassing(after) !== isPassing(before) || endOf(after) > endOf(before))
      await refuseMoreKeys(within, account, plan, after, author.at, before);
    refuseBeyondMaker(after, account, maker, before);
    const event = auditEvent(author, 'key.set', id, showKey(before), showKey(after));
    if (!(await within.changeKey(after, event))) throw new Fault(`${id} is not active any more.`, 'conflict');
    return after;
  });
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
export function showKey(key: StoredKey): z.output<typeof keySchema> {
  return {
    id: key.id,
    name: key.name,
    account: key.accountId,
    kind: key.kind,
    status: key.status,
    scopes: [...key.scopes],
    models: [...key.models],
    cidr: [...key.cidr],
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

/** A key that was just made, with the secret that this answer alone holds. */
export const showCreatedKey = ({ key, secret }: CreatedKey): z.output<typeof keyWithSecretSchema> => ({
  ...showKey(key),
  ...(secret ? { secret: secret.reveal() } : {}),
});

function works(key: StoredKey, now: WallMs): boolean {
  return key.status === 'active' && (key.expiresAt === null || key.expiresAt > now);
}

/** At once, for pages that are open. */
const maxPassing = 5;

const isPassing = ({ expiresAt, createdAt }: StoredKey): boolean =>
  expiresAt !== null && expiresAt - createdAt <= passingKeyMs;

const endOf = ({ expiresAt }: StoredKey): number => expiresAt ?? Infinity;

/** Is there room for one more key of that kind, `before` aside? Asked in the transaction that stores it. */
async function refuseMoreKeys(
  store: Store,
  account: Account,
  plan: Plan | Unlimited,
  key: StoredKey,
  now: WallMs,
  before?: StoredKey,
): Promise<void> {
  if (plan === unlimited) return;
  const itself = before && isPassing(before) === isPassing(key) ? 1 : 0;
  if (isPassing(key)) {
    if ((await store.countKeys(account.id, now, 'passing')) - itself >= maxPassing)
      throw new Fault(
        `${account.name} holds ${maxPassing} keys for an hour already; they end by themselves.`,
        'conflict',
      );
    return;
  }
  const { name, maxKeys } = plan;
  if (maxKeys === null) return;
  const held = (await store.countKeys(account.id, now)) - itself;
  if (held >= maxKeys)
    throw new Fault(
      `${account.name} holds ${held}${itself ? ' other' : ''} working keys, and the plan ${name} allows ${maxKeys}. Revoke one first.`,
    );
}

function expiryOf(expiresAt: number | null, plan: Plan | Unlimited, now: WallMs): number | null {
  if (plan === unlimited || plan.maxKeyDays === null) return expiresAt;
  const latest = now + plan.maxKeyDays * dayMs;
  if (expiresAt !== null && expiresAt > latest)
    throw new Fault(`The plan ${plan.name} lets a key live ${plan.maxKeyDays} days at most.`);
  return expiresAt ?? latest;
}

/** Scopes beyond the plan's are refused rather than stored and never granted. */
function readRules(asked: AskedKey, plan: Plan | Unlimited): Pick<StoredKey, 'scopes' | 'models' | 'cidr'> {
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
  return { scopes: plan === unlimited ? scopes : withinPlan(scopes, asked, plan), models, cidr };
}

function refuseBeyondRole(asked: readonly Scope[], { name, role }: Account): void {
  const beyond = managementScopes.find((scope) => asked.includes(scope) && !mayManage(role, scope));
  if (beyond !== undefined) throw new Fault(`${name} has the role ${role}, and ${beyond} is not for it.`, 'forbidden');
}

/** Plans do not speak of management: the role does. */
function withinPlan(scopes: readonly Scope[], asked: AskedKey, plan: Plan): readonly Scope[] {
  const allows = (scope: Scope): boolean => isManagement(scope) || plan.scopes.includes(scope);
  const beyond = scopes.filter((scope) => !allows(scope));
  if (asked.scopes !== undefined && beyond.length > 0)
    throw new Fault(`The plan ${plan.name} does not allow ${beyond.join(', ')}; it allows ${plan.scopes.join(', ')}.`);
  return scopes.filter(allows);
}
