// The format of an API key and the record that is stored for it.
// `sekisho_<id:12>_<secret:43><check:6>`: the id is public and finds the row; the secret is 43 base62 characters (256
// bits); the check is the CRC-32 of everything before it, so a typo costs no look-up. Only the SHA-256 of the whole
// text is stored: with 256 random bits a slow password hash adds no safety and enables denial of service.
import { hash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { AccountId, KeyId } from './id.ts';
import { randomBase62, toBase62 } from './id.ts';
import type { Narrowing } from './plan.ts';
import { defaultScopes, type Scope } from './scope.ts';
import { Secret } from './secret.ts';

export const keyKinds = ['secret', 'signature', 'certificate'] as const;
export type KeyKind = (typeof keyKinds)[number];
export type KeyStatus = 'active' | 'revoked';

/** A row of the store. Times are Unix milliseconds. */
export interface StoredKey {
  readonly id: KeyId;
  readonly accountId: AccountId;
  readonly name: string;
  /** `secret`: text shown once. `signature`: an Ollama CLI's ed25519 public key. `certificate`: a client's. */
  readonly kind: KeyKind;
  /** Hex SHA-256 of the key's text; for keys without text, of the public key (SSH wire form or SPKI). */
  readonly digest: string;
  readonly status: KeyStatus;
  readonly scopes: readonly Scope[];
  /** Model patterns; `*` is every local model. */
  readonly models: readonly string[];
  /** CIDR blocks the key may be used from; empty is anywhere. */
  readonly cidr: readonly string[];
  /** Whether the key may be part of a URL, as in /k/<key>/…. */
  readonly allowPath: boolean;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** Written with a delay of up to a few seconds. */
  readonly lastUsedAt: number | null;
  /** The key that this one replaced in a rotation. */
  readonly rotatedFrom: KeyId | null;
  /** First key in the chain of rotations. Usage is counted on it, so rotating a key does not reset its limits. */
  readonly lineage: KeyId;
  /** Digest of the client certificate required beside the secret; null if none is. */
  readonly boundCertificate: string | null;
  /** What narrows the account's plan for this key. */
  readonly narrowing: Narrowing;
  /** A page made it for itself: it lives for minutes, and lists and counts leave it out. */
  readonly ofPage: boolean;
}

/** A key with default values. Every key starts from it, so a new field has one default. */
export function blankKey(id: KeyId, accountId: AccountId, createdAt: number): StoredKey {
  return {
    id,
    accountId,
    name: '',
    kind: 'secret',
    digest: '',
    status: 'active',
    scopes: defaultScopes,
    models: ['*'],
    cidr: [],
    allowPath: false,
    boundCertificate: null,
    createdAt,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    rotatedFrom: null,
    lineage: id,
    narrowing: {},
    ofPage: false,
  };
}

const format = /^sekisho_([0-9A-Za-z]{12})_[0-9A-Za-z]{43}([0-9A-Za-z]{6})$/;
export const keyTextLength = 70;

/** A new key. Only the digest is stored; the text is returned only once. */
export function generateKey(): { id: KeyId; text: Secret; digest: string } {
  const id = randomBase62(12);
  const body = `sekisho_${id}_${randomBase62(43)}`;
  const text = body + toBase62(crc32(body), 6);
  return { id: `key_${id}` as KeyId, text: new Secret(text), digest: digestOf(text) };
}

/** Reads the id from a key's text; undefined if format or checksum is wrong. A filter, not authentication. */
export function readKeyId(text: string): KeyId | undefined {
  if (text.length !== keyTextLength) return undefined;
  const match = format.exec(text);
  if (!match) return undefined;
  return toBase62(crc32(text.slice(0, -6)), 6) === match[2] ? (`key_${match[1]}` as KeyId) : undefined;
}

/** Hex SHA-256, 64 characters. */
export function digestOf(text: string | Uint8Array): string {
  return hash('sha256', text, 'hex');
}

const unknownDigest = digestOf('no key has this digest');

/** Whether `text` is the secret of this key. A missing key costs the same hash and comparison, and gives false. */
export function isSecretOf(text: string, key: Pick<StoredKey, 'kind' | 'digest'> | undefined): boolean {
  return sameDigest(digestOf(text), key?.digest ?? unknownDigest) && key?.kind === 'secret';
}

/** Constant-time comparison of two hex digests of equal length. */
export function sameDigest(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
}

/** The public key of an Ollama CLI: base64 of the SSH wire form `string "ssh-ed25519", string 32 bytes` (RFC 8709 §4). */
const sshHead = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');

/**
 * Accepts `ssh-ed25519 AAAA… comment`, or the base64 part alone. Returns the wire form (51 bytes) or undefined.
 * Requires canonical base64 of exactly that shape, so one key has one spelling.
 */
export function readSshPublicKey(text: string): Buffer | undefined {
  const encoded = text
    .trim()
    .replace(/^ssh-ed25519\s+/, '')
    .split(/\s/)[0] as string;
  const wire = Buffer.from(encoded, 'base64');
  if (wire.length !== sshHead.length + 32 || !wire.subarray(0, sshHead.length).equals(sshHead)) return undefined;
  return wire.toString('base64') === encoded ? wire : undefined;
}

/** The 32 bytes of the ed25519 point inside the wire form. */
export function ed25519Point(wire: Buffer): Buffer {
  return wire.subarray(sshHead.length);
}

/** How long a key lives that a page makes for itself; it makes another in time. */
export const pageKeyMs = 3_600_000;

/** A key with at most this lifetime passes by itself; it does not count against a plan's keys. */
export const passingKeyMs = 3_600_000;
