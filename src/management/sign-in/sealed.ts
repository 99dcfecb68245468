// State between two requests in a cookie that the browser can neither read nor change: a challenge, or a sign-in in progress.
// Nothing is stored here, so unfinished sign-ins cost no row (encrypted JWT, RFC 7519 and 7516).
import { hkdfSync } from 'node:crypto';
import type { WallMs } from '../../domain/time.ts';

/** Loaded with the first use: it takes 5 MB. */
const loadJose = () => import('jose');

export class Seal {
  readonly #key: Uint8Array;
  readonly #now: () => WallMs;

  constructor(secret: string, now: () => WallMs) {
    // A separate key: the one that signs cookies is not used for encryption.
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', 'sekisho sealed cookies', 32));
    this.#now = now;
  }

  async close(purpose: string, content: Readonly<Record<string, string>>, lifeSeconds: number): Promise<string> {
    const { EncryptJWT } = await loadJose();
    return new EncryptJWT({ content })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setAudience(purpose)
      .setExpirationTime(Math.floor(this.#now() / 1000) + lifeSeconds)
      .encrypt(this.#key);
  }

  /** The content that was sealed for that purpose; undefined for anything else and after its expiry. */
  async open(purpose: string, text: string | undefined): Promise<Readonly<Record<string, string>> | undefined> {
    if (text === undefined) return undefined;
    const { jwtDecrypt } = await loadJose();
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
