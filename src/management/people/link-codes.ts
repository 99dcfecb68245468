// The codes of links that an email will carry. The store holds the seed of such a code and its digest; the code itself comes
// from the seed and a secret that is not in the store, so that a copy of the database opens nothing.
import { createHmac } from 'node:crypto';
import { randomBase62 } from '../../domain/id.ts';

export interface LinkCodes {
  readonly codeOf: (seed: string) => string;
}

export const linkCodes = (secret: string): LinkCodes => ({
  codeOf: (seed) => `link_${createHmac('sha256', secret).update(`code of a link: ${seed}`).digest('hex')}`,
});

/** 128 bits and a little more. */
export const newSeed = (): string => randomBase62(22);
