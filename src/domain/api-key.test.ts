import { expect, test } from 'vitest';
import { generateKey, keyTextLength, readKeyId, readSshPublicKey, sameDigest } from './api-key.ts';

test('a hundred thousand keys can all be read, and none repeats', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 100_000; i++) {
    const { id, text } = generateKey();
    expect(readKeyId(text.reveal())).toBe(id);
    seen.add(text.reveal());
  }
  expect(seen.size).toBe(100_000);
});

test('any single changed character fails the checksum', () => {
  const text = generateKey().text.reveal();
  for (let i = 0; i < text.length; i++) {
    const changed = text.slice(0, i) + (text[i] === 'x' ? 'y' : 'x') + text.slice(i + 1);
    expect(readKeyId(changed)).toBeUndefined();
  }
});

test('the secret part uses every character about equally: at least 190 bits, no modulo bias', () => {
  const counts = new Map<string, number>();
  const keys = 4000;
  for (let i = 0; i < keys; i++)
    for (const c of generateKey().text.reveal().split('_')[2]!.slice(0, 43)) counts.set(c, (counts.get(c) ?? 0) + 1);
  expect(counts.size).toBe(62);
  const expected = (keys * 43) / 62;
  // Six standard deviations: a modulo over 256 would put the first 8 characters 21 standard deviations off.
  for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(6 * Math.sqrt(expected));
});

test.each(Object.getOwnPropertyNames(Object.prototype).concat('', 'sekisho_', 'x'.repeat(keyTextLength), 'あ'))(
  '%j is not a key',
  (text) => {
    expect(readKeyId(text)).toBeUndefined();
  },
);

test('a secret is never printed', () => {
  const { text } = generateKey();
  expect(String(text) + JSON.stringify({ text })).not.toContain(text.reveal());
});

test('digests of different lengths are unequal without an error', () => {
  expect(sameDigest('', 'ab')).toBe(false);
  expect(sameDigest('ab', 'ab')).toBe(true);
});

test('an SSH public key has one spelling', () => {
  const base64 = Buffer.concat([
    Buffer.from('0000000b7373682d6564323535313900000020', 'hex'),
    Buffer.alloc(32, 7),
  ]).toString('base64');
  expect(readSshPublicKey(`ssh-ed25519 ${base64} me@laptop\n`)?.length).toBe(51);
  expect(readSshPublicKey(base64)?.length).toBe(51);
  expect(readSshPublicKey(base64.slice(0, -1))).toBeUndefined();
  expect(readSshPublicKey('ssh-rsa AAAAB3NzaC1yc2E=')).toBeUndefined();
});
