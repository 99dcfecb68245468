import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { newServerId } from './id.ts';
import { isNewlySealed, readSealingKeys, type SealingKeys, SealUnusable, seal, unseal } from './sealed-secret.ts';
import { Secret } from './secret.ts';

const key = randomBytes(32);
const keys: SealingKeys = [key];
const server = newServerId();
const secret = new Secret('Bearer sk-秘密-0123456789');

test('a sealed secret opens with its key for its server, and never has the same sealed text twice', () => {
  const sealed = [seal(keys, server, secret), seal(keys, server, secret)];
  expect(sealed[0]).not.toBe(sealed[1]);
  for (const each of sealed) {
    expect(unseal(keys, server, each).reveal()).toBe(secret.reveal());
    expect(each).not.toContain('0123456789');
    expect(Buffer.from(each.split('.')[2]!, 'base64url').toString('latin1')).not.toContain('0123456789');
  }
});

test('it opens neither with another key nor for another server, nor after any change', () => {
  const sealed = seal(keys, server, secret);
  expect(() => unseal([randomBytes(32), randomBytes(32)], server, sealed)).toThrow(/another key/);
  expect(() => unseal(keys, newServerId(), sealed)).toThrow(/something else/);
  const [form, name, text = ''] = sealed.split('.');
  const bytes = Buffer.from(text, 'base64url');
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    for (const each of [changed, bytes.subarray(0, at)])
      expect(() => unseal(keys, server, [form, name, each.toString('base64url')].join('.'))).toThrow(SealUnusable);
  }
  expect(() => unseal(keys, server, sealed.replace('v1', 'v2'))).toThrow(/form/);
});

test('a key is 32 bytes in hexadecimal or base64, and no other text is accepted', () => {
  expect(readSealingKeys('f', `${key.toString('hex')}\n`)).toEqual([key]);
  expect(readSealingKeys('f', key.toString('base64'))).toEqual([key]);
  for (const text of ['', 'secret', key.toString('hex').slice(1), `${key.toString('hex')}00`, 'g'.repeat(64)])
    expect(() => readSealingKeys('f', text)).toThrow(/^f: it does not hold a key of 32 bytes/);
});

test('the first key of several seals, and all of them open', () => {
  const newest = randomBytes(32);
  const sealed = seal(keys, server, secret);
  const both = readSealingKeys('f', `\r\n${newest.toString('hex')}\r\n\n${key.toString('base64')}\n`);
  expect(both).toEqual([newest, key]);
  expect(unseal(both, server, sealed).reveal()).toBe(secret.reveal());
  expect([isNewlySealed(keys, sealed), isNewlySealed(both, sealed)]).toEqual([true, false]);
  const again = seal(both, server, secret);
  expect(isNewlySealed(both, again)).toBe(true);
  expect(unseal([newest], server, again).reveal()).toBe(secret.reveal());
  expect(() => readSealingKeys('f', `${newest.toString('hex')}\nrest`)).toThrow(/32 bytes/);
  expect(() => readSealingKeys('f', `${newest.toString('hex')}\n`.repeat(6))).toThrow(/more than 5 keys/);
});
