import { scryptSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { hashPassword, isPassword } from './passwords.ts';

test('a password is stored as scrypt at a cost that OWASP recommends, with a salt of its own', async () => {
  const [one, other] = [await hashPassword('tsuru no ongaeshi'), await hashPassword('tsuru no ongaeshi')];
  expect(one).not.toBe(other);
  const [kind, salt = '', key] = one.split(':');
  expect(kind).toBe('scrypt-15-8-3');
  expect(Buffer.from(salt, 'base64url')).toHaveLength(16);
  // OWASP, Password Storage Cheat Sheet: N = 2^15, r = 8, p = 3.
  const cost = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 };
  const derived = scryptSync('tsuru no ongaeshi', Buffer.from(salt, 'base64url'), 32, cost);
  expect(key).toBe(derived.toString('base64url'));
  expect([await isPassword('tsuru no ongaeshi', one), await isPassword('tsuru no ongaesh', one)]).toEqual([
    true,
    false,
  ]);
});
