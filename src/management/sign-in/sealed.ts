// What a browser carries for us between two requests, in a cookie that it can neither read nor change: a challenge, a sign-in under
// way. Nothing of it is stored here, so that sign-ins that are never finished cost no row (encrypted JWT, RFC 7519 and 7516).
import { hkdfSync } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';
import type { WallMs } from '../../domain/time.ts';

export class Seal {
  readonly #key: Uint8Array;
  readonly #now: () => WallMs;

  constructor(secret: string, now: () => WallMs) {
    // A key of its own: what signs cookies elsewhere does not encrypt here.
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', 'sekisho sealed cookies', 32));
    this.#now = now;
  }

  close(purpose: string, content: Readonly<Record<string, string>>, lifeSeconds: number): Promise<string> {
    return new EncryptJWT({ content })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setAudience(purpose)
      .setExpirationTime(Math.floor(this.#now() / 1000) + lifeSeconds)
      .encrypt(this.#key);
  }

  /** What was closed for that purpose; undefined for anything else, and for what is over. */
  async open(purpose: string, text: string | undefined): Promise<Readonly<Record<string, string>> | undefined> {
    if (text === undefined) return undefined;
    try {
      const { payload } = await jwtDecrypt<{ content: Readonly<Record<string, string>> }>(text, this.#key, {
        audience: purpose,
        currentDate: new Date(this.#now()),
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      return payload.content;
    } catch {
      return undefined;
    }
  }
}
