// The keys that encrypt secrets of servers, from the file of the setting `server_secret_key`. The file is read on every use, so
// creating or replacing it needs no restart.
import { readFileSync } from 'node:fs';
import { readSealingKeys, type SealingKeys, SealUnusable } from '../../domain/sealed-secret.ts';

/** @throws SealUnusable with a sentence if the file does not exist or has no key. */
export function sealingKeysFrom(path: string): SealingKeys {
  if (path === '')
    throw new SealUnusable(
      'the setting server_secret_key names no file with a key, so no secret can be stored or opened',
    );
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SealUnusable(`${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  return readSealingKeys(path, text);
}
