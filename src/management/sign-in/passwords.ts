// Hashes and checks passwords: scrypt with one of OWASP's equivalent settings (N = 2^15, r = 8, p = 3: 32 MiB and about 0.2 s
// of one core), which both Node and Deno support. Only a few run at a time, so that many sign-ins cannot take the machine from
// the models.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { type Said, say } from '../../domain/sentences.ts';
import { commonPasswords } from './common-passwords.ts';

const cost = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 } as const;
const keyBytes = 32;
const atOnce = 2;
const maxWaiting = 64;

export const passwordBounds = { least: 8, most: 128 } as const;

/** Too many passwords are being checked. */
export class TooManyPasswordChecks extends Error {
  override name = 'TooManyPasswordChecks';
}

let running = 0;
const waiting: (() => void)[] = [];

async function taking<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= maxWaiting) throw new TooManyPasswordChecks();
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    // The next waiting check takes over this place.
    if (next) next();
    else running--;
  }
}

const derive = (password: string, salt: Buffer): Promise<Buffer> =>
  taking(
    () =>
      new Promise((resolve, reject) => {
        scrypt(password.normalize('NFKC'), salt, keyBytes, cost, (error, key) =>
          error ? reject(error) : resolve(key),
        );
      }),
  );

/** `scrypt-15-8-3:<salt>:<key>`, both base64url. @throws TooManyPasswordChecks. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `scrypt-15-8-3:${salt.toString('base64url')}:${(await derive(password, salt)).toString('base64url')}`;
}

/** Also false for anything that is not a hash of this form, at the same cost. @throws TooManyPasswordChecks. */
export async function isPassword(password: string, hash: string): Promise<boolean> {
  const [kind, salt = '', key = ''] = hash.split(':');
  const wanted = Buffer.from(key, 'base64url');
  const found = await derive(password.slice(0, 1024), Buffer.from(salt, 'base64url'));
  // HMAC pads short keys with zero bytes (RFC 2104, section 2), so a password with a trailing NUL would equal the one without it.
  const usable = kind === 'scrypt-15-8-3' && wanted.length === keyBytes && !password.includes('\0');
  return usable && timingSafeEqual(found, wanted);
}

/** Why a password is refused; undefined if it is acceptable (NIST SP 800-63B §3.1.1.2). */
export function passwordFault(password: string, about: readonly string[]): Said | undefined {
  const length = Array.from(password).length;
  const { least, most } = passwordBounds;
  if (length < least) return say('password_short', { least });
  if (length > most) return say('password_long', { most });
  if (password.includes('\0')) return say('password_nul', {});
  const lower = password.toLowerCase();
  if (commonPasswords.has(lower) || new Set(lower).size <= 2) return say('password_common', {});
  if (about.some((word) => word.length >= 4 && word.toLowerCase() === lower)) return say('password_personal', {});
  return undefined;
}
