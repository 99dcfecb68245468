// The use cases of API keys: create, show, change, rotate, revoke, for the command line and the management API. Only the results of
// `createKey` and `rotateKey` contain the secret; it is not stored.
import type { z } from 'zod';
import { type Account, planOfNewAccount } from '../../domain/account.ts';
import { blankKey, generateKey, isSecretOf, type StoredKey } from '../../domain/api-key.ts';
import { type Author, auditEvent } from '../../domain/audit.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { type Maker } from '../../domain/key-bounds.ts';
import { unlimited } from '../../domain/plan.ts';
import type { Secret } from '../../domain/secret.ts';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { allowanceOf, findAccount, openAccount, readAccountName, requireAccount } from '../accounts/accounts.ts';
import { Fault, requireText } from '../fault.ts';
import {
  type AskedKey,
  endOf,
  expiryOf,
  isPassing,
  readAskedKey,
  refuseBeyondMaker,
  refuseBeyondRole,
  refuseMoreKeys,
  works,
} from './key-rules.ts';
import { readBoundCertificate } from './public-keys.ts';
import type { keyChangeSchema, keySchema, keyWithSecretSchema } from './schemas.ts';

export interface NewKey extends AskedKey {
  /** Name of the account; created with the default plan if it does not exist. */
  readonly account: string;
}

export interface CreatedKey {
  readonly key: StoredKey;
  readonly secret: Secret | undefined;
}

/** @throws Fault for an invalid rule, more than the plan allows, or a public key that is already registered. */
export function createKey(store: Store, { account, ...asked }: NewKey, author: Author): Promise<CreatedKey> {
  return store.atomically(async (within) => {
    return issueKey(
      within,
      (await findAccount(within, account.trim())) ?? (await newOwner(within, account, author)),
      asked,
      author,
    );
  });
}

/** An account that is created with its first key. */
function newOwner(store: Store, account: string, author: Author): Promise<Account> {
  const name = readAccountName(account);
  return openAccount(store, name, planOfNewAccount(name), author);
}

/** Creates a key of an existing account. `maker`: the calling key, whose rights it never exceeds. @throws Fault as `createKey`. */
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
  // No event for a key that lives for minutes and whose calls are in the ledger: it would only hide other events.
  const event = made.key.ofPage ? undefined : auditEvent(author, 'key.create', made.key.id, null, showKey(made.key));
  await store.insertKey(made.key, event);
  return made;
}

/** Omitted fields are taken from the calling key. */
function handedOn(asked: AskedKey, { key: { expiresAt, cidr, models, narrowing } }: Maker): AskedKey {
  return {
    models,
    ...(cidr.length === 0 ? {} : { cidr }),
    ...asked,
    limits: { ...narrowing, ...asked.limits },
    expiresAt: asked.expiresAt ?? expiresAt,
  };
}

/** A key as it would be stored; the caller stores it, in the same transaction. @throws Fault as `createKey`. */
export async function draftKey(store: Store, asked: AskedKey, account: Account, author: Author): Promise<CreatedKey> {
  const now = author.at;
  if (account.closedAt !== null) throw new Fault('account_closed', {}, 'conflict');
  const plan = await allowanceOf(store, account);
  const { publicKey, boundCertificate, narrowing, rules } = readAskedKey(asked, plan, now);
  refuseBeyondRole(rules.scopes, account);
  if (plan === unlimited && Object.keys(narrowing).length > 0)
    throw new Fault('nothing_to_narrow', { account: account.name });
  const { id, text, digest } = generateKey();
  const key: StoredKey = {
    ...blankKey(id, account.id, now),
    name: requireText('what_name_of_key', asked.name, 200),
    kind: publicKey?.kind ?? 'secret',
    digest: publicKey?.digest ?? digest,
    ...rules,
    ofPage: asked.ofPage === true,
    allowPath: asked.allowPath === true,
    expiresAt: expiryOf(asked.expiresAt ?? null, plan, now),
    boundCertificate,
    narrowing,
  };
  await refuseMoreKeys(store, account, plan, key, now);
  if (publicKey && (await store.findKeyByDigest(key.digest))) throw new Fault('public_key_taken', {}, 'conflict');
  return { key, secret: publicKey ? undefined : text };
}

/**
 * Creates a new secret with the same rights; the old one keeps working for `graceMs`. `maker`: the calling key, whose rights the
 * rotated key must not exceed, unless it is the same key. @throws Fault.
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
    const old = await requireLasting(within, id);
    if (old.kind !== 'secret') throw new Fault('public_key_rotation', {});
    if (!works(old, now)) throw new Fault('key_over', { id }, 'conflict');
    if (maker?.key.id !== old.id) refuseBeyondMaker(old, await requireAccount(within, old.accountId), maker);
    const family = (await within.listKeys(old.accountId)).filter((each) => each.lineage === old.lineage);
    const earlier = family.find((each) => each.id !== old.id && works(each, now));
    if (earlier)
      throw new Fault('key_predecessor', { id: earlier.id, until: iso(earlier.expiresAt) ?? '' }, 'conflict');
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
  /** PEM; null removes it. */
  readonly boundCertificate?: string | null | undefined;
  readonly limits?: Readonly<Record<string, unknown>> | undefined;
}

/** A change as the management API parses it. */
export const keyChangeOf = ({ expiresAt, ...change }: z.output<typeof keyChangeSchema>): KeyChange => ({
  ...change,
  limits: change.limits,
  expiresAt: typeof expiresAt === 'string' ? Date.parse(expiresAt) : expiresAt,
});

/** Changes the rights of an active key; its secret stays. @throws Fault as `createKey`. */
export function changeKey(
  store: Store,
  id: string,
  change: KeyChange,
  author: Author,
  maker?: Maker,
): Promise<StoredKey> {
  return store.atomically(async (within) => {
    const before = await requireLasting(within, id);
    if (!works(before, author.at)) throw new Fault('key_over', { id }, 'conflict');
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
    const { narrowing, rules } = readAskedKey(asked, plan, author.at);
    if (plan === unlimited && Object.keys(narrowing).length > 0)
      throw new Fault('nothing_to_narrow_here', { account: account.name });
    const after: StoredKey = {
      ...before,
      // A name from before the current rules stays valid until it is changed.
      name: change.name === undefined ? before.name : requireText('what_name_of_key', change.name, 200),
      scopes: change.scopes === undefined ? before.scopes : rules.scopes,
      models: rules.models,
      cidr: change.cidr ?? before.cidr,
      narrowing,
      boundCertificate:
        change.boundCertificate === undefined ? before.boundCertificate : readBoundCertificate(change.boundCertificate),
      expiresAt: expiryOf(asked.expiresAt ?? null, plan, before.createdAt),
    };
    refuseBeyondRole(after.scopes, account);
    // A new expiry can turn a one-hour key into a long-lived one, which is counted separately.
    // So is a key whose life is extended: a replaced key frees its place when it expires.
    if (isPassing(after) !== isPassing(before) || endOf(after) > endOf(before))
      await refuseMoreKeys(within, account, plan, after, author.at, before);
    refuseBeyondMaker(after, account, maker, before);
    const event = auditEvent(author, 'key.set', id, showKey(before), showKey(after));
    if (!(await within.changeKey(after, event))) throw new Fault('key_just_over', { id }, 'conflict');
    return after;
  });
}

/** @throws Fault if there is no such key. */
export async function revokeKey(store: Store, id: string, author: Author): Promise<StoredKey> {
  const { ofPage } = await requireKey(store, id);
  const event = ofPage ? undefined : auditEvent(author, 'key.revoke', id, { status: 'active' }, { status: 'revoked' });
  if (!(await store.revokeKey(id as KeyId, author.at, event))) throw new Fault('key_missing', { id }, 'not_found');
  return requireKey(store, id);
}

/** Revokes a leaked key, given its full text; any other text has no effect. */
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
  if (!key) throw new Fault('key_missing', { id }, 'not_found');
  return key;
}

/** A key that can be changed: not the key of a page, which is in no list and expires automatically. @throws Fault. */
async function requireLasting(store: Store, id: string): Promise<StoredKey> {
  const key = await requireKey(store, id);
  if (key.ofPage) throw new Fault('key_missing', { id }, 'not_found');
  return key;
}

/** The part of a key that its ETag covers: without the time of last use. */
export function keyTag<Shown extends { readonly lastUsedAt: unknown }>(shown: Shown): Omit<Shown, 'lastUsedAt'> {
  const { lastUsedAt: _, ...rest } = shown;
  return rest;
}

/** Everything about a key that can be shown; never the digest. */
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

/** A new key with its secret, which only this answer contains. */
export const showCreatedKey = ({ key, secret }: CreatedKey): z.output<typeof keyWithSecretSchema> => ({
  ...showKey(key),
  ...(secret ? { secret: secret.reveal() } : {}),
});
