// Files that hold a secret which the gate makes for itself: written whole or not at all, and never trusted when damaged.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from './durable-file.ts';

/** The file is there, and what it holds cannot be the secret. The message is one sentence for the operator. */
export class SecretUnusable extends Error {
  override name = 'SecretUnusable';
}

/** 32 characters of base64url are 192 bits; the gate's own secrets are longer. */
const leastCharacters = 32;

/**
 * The secret in a file, made on the first start. `loss` says what goes when the operator removes the file.
 * @throws SecretUnusable for a file that is empty, short, or not text of one line.
 */
export function secretFrom(file: string, make: () => string, loss: string): string {
  const found = readIfThere(file);
  if (found === undefined) {
    const made = make();
    writeWhole(file, made);
    return made;
  }
  const secret = found.trim();
  if (secret.length < leastCharacters || !/^[\x21-\x7e]+$/.test(secret))
    throw new SecretUnusable(
      `${file} does not hold a whole secret (a disk may have been full when it was written). Restore it from a backup, or remove it: ${loss}`,
    );
  return secret;
}

/**
 * What cookies are signed with, and what the codes of links and the proofs of sessions come from. It is beside the database and
 * not in it, so that a copy of the database opens nothing.
 */
export const cookieSecretIn = (dataDir: string): string =>
  secretFrom(
    join(dataDir, 'cookie.secret'),
    () => randomBytes(48).toString('base64url'),
    'then everyone has to sign in again, and set up second steps again.',
  );

/** Names the gate of this directory to others that use its database. It is no secret, but as lasting as one. */
export const gateIdIn = (dataDir: string): string =>
  secretFrom(join(dataDir, 'gate.id'), () => randomBytes(16).toString('hex'), 'then the gateway gets another one.');

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
