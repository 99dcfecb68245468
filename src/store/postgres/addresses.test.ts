import { expect, test } from 'vitest';
import { StoreAway, StoreUnusable } from '../unusable.ts';
import { Addresses } from './addresses.ts';

function all(url: string): string[] {
  const addresses = new Addresses(url);
  return Array.from({ length: addresses.count }, () => {
    const { now } = addresses;
    addresses.leave(now);
    return now;
  });
}

test.each([
  ['postgres://u:p@a/d', ['postgres://u:p@a/d']],
  [
    'postgres://u:p%2C@a:1,b:2/d?sslmode=require',
    ['postgres://u:p%2C@a:1/d?sslmode=verify-full', 'postgres://u:p%2C@b:2/d?sslmode=verify-full'],
  ],
  ['postgresql://[::1]:1,b/d?target_session_attrs=read-write', ['postgresql://[::1]:1/d', 'postgresql://b/d']],
  ['postgres://%2Fvar%2Frun/d', ['postgres://%2Fvar%2Frun/d']],
])('%s names each of its servers', (url, servers) => {
  expect(all(url)).toEqual(servers);
});

test('connections that fail together leave a server once, and after the last one comes the first', () => {
  const addresses = new Addresses('postgres://a,b/d');
  const first = addresses.now;
  addresses.leave(first);
  addresses.leave(first);
  expect(addresses.now).toBe('postgres://b/d');
  addresses.leave(addresses.now);
  expect(addresses.now).toBe(first);
});

test('a server that can only be read is not asked for, and one whose place was taken is refused', () => {
  expect(() => new Addresses('postgres://a,b/d?target_session_attrs=standby')).toThrow(
    /needs a server that it can write to/,
  );
  const addresses = new Addresses('postgres://a,b/d');
  for (const timeline of ['00000001', '00000001', '0000000A']) addresses.refuseFormer(timeline);
  expect(() => addresses.refuseFormer('00000009')).toThrow(StoreAway);
});

test.each([
  ['postgres://u:a?b@h/d', /percent-encode/i],
  ['postgres://u:p@h:port/d', /not an address/],
  ['mysql://u:p@h/d', /not an address/],
  ['postgres://h/d?sslmode=requires', /sslmode in DATABASE_URL must be .*not requires/],
  ['postgres://h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem', /names as sslrootcert cannot be read: ENOENT/],
])('%s is refused with a sentence', (url, sentence) => {
  const refused = (): Addresses => new Addresses(url);
  expect(refused).toThrow(StoreUnusable);
  expect(refused).toThrow(sentence);
});
