// Secrets of model servers and settings, encrypted for the database with AES-256-GCM. The key is in a file outside the
// database, so a copy of the database alone reveals nothing. A sealed secret is bound to one owner and cannot be opened
// in another row.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { Secret } from './secret.ts';

/** The message is one sentence for the operator, and reveals nothing about the secret or the key. */
export class SealUnusable extends Error {
  override readonly name = 'SealUnusable';
}

const version = 'v1';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** The first one seals; all of them open, so that a key can be replaced without a moment in which a secret does not open. */
export type SealingKeys = readonly [newest: Buffer, ...older: Buffer[]];

/** More are forgotten ones. */
const mostKeys = 5;

/** Reads one key a line, the newest first. @throws SealUnusable. */
export function readSealingKeys(path: string, text: string): SealingKeys {
  const lines = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  if (lines.length > mostKeys) throw new SealUnusable(`${path}: it holds more than ${mostKeys} keys`);
  const [newest = '', ...older] = lines;
  return [readSealingKey(path, newest), ...older.map((line) => readSealingKey(path, line))];
}

/** Reads 32 bytes as 64 hexadecimal digits or as base64. @throws SealUnusable. */
function readSealingKey(path: string, line: string): Buffer {
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

/** With the newest key. `owner`: the id of a server, or `setting:` and a name. */
export function seal([key]: SealingKeys, owner: string, secret: Secret): string {
  // Random 96-bit nonces are safe for up to 2^32 messages per key (NIST SP 800-38D §8.3); there are a few hundred.
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(owner));
  const sealed = Buffer.concat([nonce, cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${version}.${nameOf(key)}.${sealed.toString('base64url')}`;
}

/** Names that reveal nothing, the newest first. */
export const namesOf = (keys: SealingKeys): readonly string[] => keys.map(nameOf);

/** Whether it was sealed with the newest key. */
export const isNewlySealed = ([key]: SealingKeys, sealed: string): boolean => sealed.split('.')[1] === nameOf(key);

/** @throws SealUnusable if it was sealed with another key or for another owner, or was changed. */
export function unseal(keys: SealingKeys, owner: string, sealed: string): Secret {
  const [form, keyName, text = ''] = sealed.split('.');
  if (form !== version) throw new SealUnusable('its secret is stored in a form that this version cannot read');
  const key = keys.find((each) => nameOf(each) === keyName);
  if (!key) throw new SealUnusable('its secret was stored with another key than those in the file');
  const bytes = Buffer.from(text, 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(-tagBytes));
    const opened = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    return new Secret(opened.toString('utf8'));
  } catch {
    throw new SealUnusable('its stored secret was changed, or belongs to something else');
  }
}
