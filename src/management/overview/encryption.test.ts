// What operators see on every page: a certificate that expires soon, unless it will be renewed as usual.
import { expect, test } from 'vitest';
import { certificateWarning, type EncryptionNow, showEncryption } from './encryption.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 10, 23);
const shown = (ends: readonly (number | undefined)[], renewsIn?: number): EncryptionNow => ({
  how: renewsIn === undefined ? 'files' : 'acme',
  clientCertificates: 'none',
  certificates: ends.map((days) => ({
    names: ['gate.example'],
    issuer: 'R11',
    notBefore: now - 90 * day,
    notAfter: days === undefined ? undefined : now + days * day,
    keyType: undefined,
    fingerprint: undefined,
  })),
  provisional: false,
  renewsAt: renewsIn === undefined ? undefined : now + renewsIn * day,
  problem: undefined,
  triesAt: undefined,
});
const statesOf = (encryption: EncryptionNow): string[] =>
  showEncryption(encryption, now).certificates.map(({ state }) => state);

test('a certificate from files causes a warning in its last fourteen days and after them', () => {
  const encryption = shown([undefined, 90, 14.1, 14, 0.5, -0.5]);
  expect(statesOf(encryption)).toEqual(['fine', 'fine', 'fine', 'ends-soon', 'ends-soon', 'ended']);
  expect(showEncryption(encryption, now).certificates.map(({ daysLeft }) => daysLeft)).toEqual([
    null,
    90,
    14,
    14,
    0,
    -1,
  ]);
  expect(certificateWarning(encryption, now).endsAt).toBe(new Date(now - 0.5 * day).toISOString());
  expect(certificateWarning(shown([90, 14.1]), now).endsAt).toBeNull();
});

test('a six-day certificate causes a warning only if the gate should have renewed it', () => {
  expect(statesOf(shown([5], 3))).toEqual(['fine']);
  expect(certificateWarning(shown([5], 3), now).endsAt).toBeNull();
  expect(statesOf(shown([1], -1))).toEqual(['ends-soon']);
  expect(statesOf(shown([-1], -3))).toEqual(['ended']);
});
