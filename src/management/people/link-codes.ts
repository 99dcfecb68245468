// The codes of links in emails. The store has the seed and the digest of a code; the code is computed from the seed and a secret
// that is not in the store, so a copy of the database does not reveal any code.
import { createHmac } from 'node:crypto';
import { randomBase62 } from '../../domain/id.ts';

export interface LinkCodes {
  readonly codeOf: (seed: string) => string;
}

export const linkCodes = (secret: string): LinkCodes => ({
  codeOf: (seed) => `link_${createHmac('sha256', secret).update(`code of a link: ${seed}`).digest('hex')}`,
});

/** Slightly more than 128 bits. */
export const newSeed = (): string => randomBase62(22);
