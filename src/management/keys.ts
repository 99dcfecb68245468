// What can be done with API keys: make, list, rotate, revoke. The command line and, later, the management API call these
// same functions. A key's text leaves through the result of `create` and `rotate`, once; afterwards nobody has it.
import { AddressBlocks } from '../domain/address.ts';
import { digestOf, generateKey, readSshPublicKey, type StoredKey } from '../domain/api-key.ts';
import type { KeyId } from '../domain/id.ts';
import { ModelPatterns } from '../domain/model-name.ts';
import { defaultScopes, parseScopes } from '../domain/scope.ts';
import type { Secret } from '../domain/secret.ts';
import type { Store } from '../store/ports.ts';

/** Something the caller asked for that cannot be; its message is one sentence for people. */
export class KeyFault extends Error {
  override name = 'KeyFault';
}

export interface NewKey {
  readonly name: string;
  readonly account: string;
  /** Words of domain/scope; undefined is what a new key gets. */
  readonly scopes?: readonly string[];
  /** Model patterns; undefined is every local model. */
  readonly models?: readonly string[];
  readonly cidr?: readonly string[];
  /** Unix milliseconds; null or undefined is never. */
  readonly expiresAt?: number | null;
  readonly allowPath?: boolean;
  /** An Ollama CLI's public key, `ssh-ed25519 AAAA…`; then there is no secret. */
  readonly publicKey?: string;
}

export interface CreatedKey {
  readonly key: StoredKey;
  readonly secret: Secret | undefined;
}

/** @throws KeyFault for a rule that cannot be read, or a public key that is registered already. */
export async function createKey(store: Store, asked: NewKey, now: number): Promise<CreatedKey> {
  if (asked.name.trim() === '' || asked.name.length > 200)
    throw new KeyFault('A key needs a name of 1 to 200 characters.');
  const rules = readRules(asked);
  if (asked.expiresAt !== null && asked.expiresAt !== undefined && asked.expiresAt <= now) {
    throw new KeyFault('The key would have expired already.');
  }
  const wire = asked.publicKey === undefined ? undefined : readSshPublicKey(asked.publicKey);
  if (asked.publicKey !== undefined && !wire)
    throw new KeyFault('That is not an ed25519 public key; give the line of ~/.ollama/id_ed25519.pub.');
  const { id, text, digest } = generateKey();
  const key: StoredKey = {
    id,
    accountId: await store.ensureAccount(asked.account, now),
    name: asked.name.trim(),
    kind: wire ? 'signature' : 'secret',
    digest: wire ? digestOf(wire) : digest,
    status: 'active',
    ...rules,
    allowPath: asked.allowPath === true,
    createdAt: now,
    expiresAt: asked.expiresAt ?? null,
    revokedAt: null,
    lastUsedAt: null,
    rotatedFrom: null,
  };
  if (wire && (await store.findKeyByDigest(key.digest))) throw new KeyFault('That public key is registered already.');
  await store.insertKey(key);
  return { key, secret: wire ? undefined : text };
}

/** A new secret with the same rights; the old one works for `graceMs` more. @throws KeyFault. */
export async function rotateKey(store: Store, id: string, graceMs: number, now: number): Promise<CreatedKey> {
  const old = await requireKey(store, id);
  if (old.kind !== 'secret')
    throw new KeyFault('A public key cannot be rotated here: register the new one, then revoke this one.');
  if (old.status !== 'active' || (old.expiresAt !== null && old.expiresAt <= now))
    throw new KeyFault(`${id} is not active any more; make a new key instead.`);
  const fresh = generateKey();
  const key: StoredKey = {
    ...old,
    id: fresh.id,
    digest: fresh.digest,
    createdAt: now,
    lastUsedAt: null,
    rotatedFrom: old.id,
  };
  await store.rotateKey(old.id, key, Math.min(now + graceMs, old.expiresAt ?? Infinity));
  return { key, secret: fresh.text };
}

/** @throws KeyFault where there is no such key. */
export async function revokeKey(store: Store, id: string, now: number): Promise<StoredKey> {
  if (!(await store.revokeKey(id as KeyId, now))) throw new KeyFault(`There is no key ${id}.`);
  return requireKey(store, id);
}

export async function requireKey(store: Store, id: string): Promise<StoredKey> {
  const key = await store.findKey(id as KeyId);
  if (!key) throw new KeyFault(`There is no key ${id}.`);
  return key;
}

/** Everything about a key that may be shown: never the digest, which is half of a secret's story. */
export function showKey(key: StoredKey): Record<string, unknown> {
  const time = (at: number | null | undefined): string | null =>
    at === null || at === undefined ? null : new Date(at).toISOString();
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
    createdAt: time(key.createdAt),
    expiresAt: time(key.expiresAt),
    revokedAt: time(key.revokedAt),
    lastUsedAt: time(key.lastUsedAt),
    rotatedFrom: key.rotatedFrom,
  };
}

function readRules(asked: NewKey): Pick<StoredKey, 'scopes' | 'models' | 'cidr'> {
  const models = asked.models ?? ['*'];
  const cidr = asked.cidr ?? [];
  try {
    const scopes = asked.scopes === undefined ? defaultScopes : parseScopes(asked.scopes);
    // Read here once, so that a rule that nobody could apply is never stored.
    new ModelPatterns(models);
    new AddressBlocks(cidr);
    if (scopes.length === 0) throw new Error('a key needs at least one scope');
    if (models.length === 0) throw new Error('a key needs at least one model pattern; * is every local model');
    if (asked.cidr?.length === 0)
      throw new Error('an empty address list would allow nobody; leave it out to allow everybody');
    return { scopes, models, cidr };
  } catch (error) {
    throw new KeyFault(`${(error as Error).message}.`);
  }
}
