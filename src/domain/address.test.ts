import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressBlocks, blockCovers, clientAddress, networkOf } from './address.ts';

const blocks = (...list: string[]) => new AddressBlocks(list);

test('an IPv4 rule also holds for the IPv4-mapped form', () => {
  expect(blocks('10.0.0.0/8').contains('::ffff:10.1.2.3')).toBe(true);
  expect(blocks('10.0.0.0/8').contains('11.1.2.3')).toBe(false);
  expect(blocks('2001:db8::/32').contains('2001:db8:1::1')).toBe(true);
  expect(blocks('192.0.2.7').contains('192.0.2.7')).toBe(true);
});

test.each(['10.0.0.0/33', '10.0.0/8', 'x', '', '10.0.0.0/8/8', '::/129', '10.0.0.0/-1', '10.0.0.0/ 8'])(
  '%j is refused',
  (text) => {
    expect(() => blocks(text)).toThrow(/not an address block/);
  },
);

test('X-Forwarded-For is read from the right, through trusted proxies only', () => {
  const trusted = blocks('10.0.0.0/8');
  expect(clientAddress('192.0.2.1', '1.1.1.1', trusted)).toBe('192.0.2.1');
  expect(clientAddress('10.0.0.1', '6.6.6.6, 192.0.2.9', trusted)).toBe('192.0.2.9');
  expect(clientAddress('10.0.0.1', '6.6.6.6, 192.0.2.9, 10.0.0.2', trusted)).toBe('192.0.2.9');
  expect(clientAddress('10.0.0.1', '6.6.6.6, nonsense, 10.0.0.2', trusted)).toBe('10.0.0.2');
  expect(clientAddress('10.0.0.1', undefined, trusted)).toBe('10.0.0.1');
  expect(clientAddress('10.0.0.1', '6.6.6.6', blocks())).toBe('10.0.0.1');
});

test.each([
  ['192.0.2.9:51234', '192.0.2.9'],
  ['"192.0.2.9"', '192.0.2.9'],
  ['"192.0.2.9:80"', '192.0.2.9'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['"[2001:db8::1]:443"', '2001:db8::1'],
  ['2001:db8::1', '2001:db8::1'],
  ['::ffff:192.0.2.9', '192.0.2.9'],
  ['[::ffff:192.0.2.9]:1', '192.0.2.9'],
])('a hop written as %s is its address', (hop, address) => {
  const trusted = blocks('10.0.0.0/8');
  expect(clientAddress('10.0.0.1', `6.6.6.6, ${hop}`, trusted)).toBe(address);
  expect(clientAddress('10.0.0.1', `6.6.6.6, ${hop}, 10.0.0.2:8080`, trusted)).toBe(address);
});

test.each([
  '[192.0.2.9]:80',
  '[2001:db8::1]x',
  '[2001:db8::1]:',
  '192.0.2.9:',
  '192.0.2.9:123456',
  '"192.0.2.9',
  '""192.0.2.9""',
  'fe80::1%eth0',
  `fe80::1%${'a'.repeat(10_000)}`,
  'unknown',
  '_hidden',
  'for=192.0.2.9',
])('an invalid hop %s is ignored, and the proxy counts as the client', (hop) => {
  expect(clientAddress('10.0.0.1', `6.6.6.6, ${hop}`, blocks('10.0.0.0/8'))).toBe('10.0.0.1');
});

test('an IPv6 address stands for its first 64 bits, however it is spelled', () => {
  expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
  expect(networkOf('2001::4:5:6:7:8')).toBe('2001:0:0:4::/64');
  expect(networkOf('64:ff9b::192.0.2.1%eth0')).toBe('64:ff9b:0:0::/64');
  expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, fc.nat(7), fc.nat(8), fc.boolean(), (all, from, many, padded) => {
      const texts = all.map((group) => group.toString(16).padStart(padded ? 4 : 1, '0'));
      const network = `${all
        .slice(0, 4)
        .map((group) => group.toString(16))
        .join(':')}::/64`;
      expect(networkOf(texts.join(':').toUpperCase())).toBe(network);
      const to = Math.min(8, from + many);
      if (to - from < 2 || all.slice(from, to).some((group) => group !== 0)) return;
      expect(networkOf(`${texts.slice(0, from).join(':')}::${texts.slice(to).join(':')}`)).toBe(network);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['10.0.0.1', '10.0.0.1/32', true],
  ['10.0.0.1/32', '10.0.0.1', true],
  ['10.0.0.0/24', '10.0.0.1', true],
  ['10.0.0.1', '10.0.0.1/31', false],
  ['10.0.0.1', '10.0.0.2', false],
  ['::1', '::1/128', true],
  ['::/0', '10.0.0.1/32', false],
  ['2001:db8::/33', '2001:db8::/32', false],
])('an address without a prefix is a block of one: %s covers %s: %s', (outer, inner, covers) => {
  expect(blockCovers(outer, inner)).toBe(covers);
});
