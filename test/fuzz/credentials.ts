// Callers that the targets know: the same in every run, since a run must be repeatable. They open nothing anywhere else.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { digestOf, type StoredKey } from '../../src/domain/api-key.ts';
import { type AccountId, type KeyId, toBase62 } from '../../src/domain/id.ts';
import { firstPlans, type Plan, type Unlimited, unlimited } from '../../src/domain/plan.ts';
import { type Principal, principalOf } from '../../src/domain/principal.ts';
import { scopes } from '../../src/domain/scope.ts';

/** The key with this id of twelve characters. */
export function keyText(id: string): string {
  const body = `sekisho_${id}_${'fuzz'.repeat(10)}abc`;
  return body + toBase62(crc32(body), 6);
}

const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]);
const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
const point = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32);

/** The wire form of an Ollama CLI's key pair. */
export const cliKey = Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), point]);

export const signedAt = 1_700_000_000;

/** The Authorization header with which that CLI signs a call. */
export function signatureFor(method: string, path: string): string {
  const signature = sign(null, Buffer.from(`${method},${path}?ts=${signedAt}`), privateKey);
  return `${cliKey.toString('base64')}:${signature.toString('base64')}`;
}

/** A static key of the settings, which does not have the form of a Sekisho key. */
export const staticWord = 'a-word-of-the-operator';

/** A key of the store, by its id of twelve characters. */
export function storedKey(id: string, more: Partial<StoredKey> = {}): StoredKey {
  const keyId = `key_${id}` as KeyId;
  return {
    id: keyId,
    accountId: 'acc_fuzz' as AccountId,
    name: id,
    kind: 'secret',
    digest: digestOf(keyText(id)),
    status: 'active',
    scopes,
    models: ['*'],
    cidr: [],
    allowPath: false,
    boundCertificate: null,
    createdAt: 0,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    rotatedFrom: null,
    lineage: keyId,
    narrowing: {},
    ofPage: false,
    ...more,
  };
}

/** A member with the plan that new accounts get, or the operator, who has none. */
export function caller(plan: Plan | Unlimited = firstPlans[0] ?? unlimited): Principal {
  return principalOf(storedKey('000000000001'), plan, []);
}
