// The code of an authenticator app (RFC 6238: SHA-1, 30 seconds, six digits).
import { createHmac } from 'node:crypto';

/** The code after the current one: a clock may be that far off, and every code works once. */
export const nextTotp = (secret: string): string => totp(secret, Date.now() + 30_000);

/** `secret` as base32, as in an otpauth URL. */
export function totp(secret: string, at = Date.now()): string {
  const bits = Array.from(secret.replaceAll('=', ''))
    .map((sign) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(sign).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const offset = (digest.at(-1) as number) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
