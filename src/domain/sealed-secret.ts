// Secrets of model servers, encrypted for the database with AES-256-GCM. The key is in a file outside the database, so
// a copy of the database alone reveals nothing. A sealed secret is bound to one server and cannot be opened in another
// row.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { ServerId } from './id.ts';
import { Secret } from './secret.ts';

/** The message is one sentence for the operator, and reveals nothing about the secret or the key. */
export class SealUnusable extends Error {
  override readonly name = 'SealUnusable';
}

const version = 'v1';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Reads 32 bytes as 64 hexadecimal digits or as base64. @throws SealUnusable. */
export function readSealingKey(path: string, text: string): Buffer {
  const line = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(line)
    ? Buffer.from(line, 'hex')
    : /^[A-Za-z0-9+/]{43}=?$/.test(line)
      ? Buffer.from(line, 'base64')
      : undefined;
  if (key?.length !== keyBytes)
    throw new SealUnusable(`${path}: it does not hold a key of 32 bytes; make one with: openssl rand -hex 32`);
  return key;
}

/** Identifies a key without revealing it. */
const nameOf = (key: Buffer): string =>
  createHash('sha256').update('sekisho server secrets ').update(key).digest('hex').slice(0, 16);

export function seal(key: Buffer, server: ServerId, secret: Secret): string {
  // Random 96-bit nonces are safe for up to 2^32 messages per key (NIST SP 800-38D §8.3); there are a few hundred.
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(server));
  const sealed = Buffer.concat([nonce, cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${version}.${nameOf(key)}.${sealed.toString('base64url')}`;
}

/** @throws SealUnusable if it was sealed with another key or for another server, or was changed. */
export function unseal(key: Buffer, server: ServerId, sealed: string): Secret {
  const [form, keyName, text = ''] = sealed.split('.');
  if (form !== version) throw new SealUnusable('its secret is stored in a form that this version cannot read');
  if (keyName !== nameOf(key))
    throw new SealUnusable('its secret was stored with another key than the one in the file');
  const bytes = Buffer.from(text, 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      .setAAD(Buffer.from(server))
      .setAuthTag(bytes.subarray(-tagBytes));
    const opened = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    return new Secret(opened.toString('utf8'));
  } catch {
    throw new SealUnusable('its stored secret was changed, or belongs to another server');
  }
}
