// The text of an API key and of an SSH public key. A valid key has one spelling, and its checksum covers everything before
// it; a change of a single byte makes it invalid.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ed25519Point, isSecretOf, readKeyId, readSshPublicKey } from '../../../src/domain/api-key.ts';
import { cliKey, keyText } from '../credentials.ts';
import type { Target } from '../target.ts';

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function run(bytes: Buffer): void {
  const text = bytes.toString('latin1');
  const id = readKeyId(text);
  if (id !== undefined) {
    const [brand, name, rest = ''] = text.split('_');
    assert.deepEqual([brand, id, text.length], ['sekisho', `key_${name}`, 70]);
    let check = 0n;
    for (const digit of rest.slice(-6)) check = check * 62n + BigInt(digits.indexOf(digit));
    assert.equal(Number(check), crc32(bytes.subarray(0, -6)));
    for (const at of [0, 8, 20, 40, 69]) {
      const changed = text.slice(0, at) + (text[at] === 'x' ? 'y' : 'x') + text.slice(at + 1);
      assert.equal(readKeyId(changed), undefined);
    }
  }
  assert.equal(isSecretOf(text, undefined), false);
  const wire = readSshPublicKey(text);
  if (wire === undefined) return;
  assert.ok(text.includes(wire.toString('base64')), 'another spelling of the same key');
  const x = ed25519Point(wire).toString('base64url');
  assert.equal(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }).asymmetricKeyType, 'ed25519');
}

export const target: Target = {
  words: ['sekisho_', '_', 'ssh-ed25519 '],
  mostBytes: 200,
  seeds: () => [
    keyText('000000000001'),
    keyText('zzzzzzzzzzzz'),
    `ssh-ed25519 ${cliKey.toString('base64')} me@laptop\n`,
    'ssh-rsa AAAAB3NzaC1yc2E=',
    'sekisho_',
    'sk-1234',
  ],
  run,
};
