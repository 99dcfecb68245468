import { expect, test } from 'vitest';
import { AddressBlocks, clientAddress } from './address.ts';

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

test('X-Forwarded-For is walked from the right, through trusted proxies only', () => {
  const trusted = blocks('10.0.0.0/8');
  expect(clientAddress('192.0.2.1', '1.1.1.1', trusted)).toBe('192.0.2.1');
  expect(clientAddress('10.0.0.1', '6.6.6.6, 192.0.2.9', trusted)).toBe('192.0.2.9');
  expect(clientAddress('10.0.0.1', '6.6.6.6, 192.0.2.9, 10.0.0.2', trusted)).toBe('192.0.2.9');
  expect(clientAddress('10.0.0.1', '6.6.6.6, nonsense, 10.0.0.2', trusted)).toBe('10.0.0.2');
  expect(clientAddress('10.0.0.1', undefined, trusted)).toBe('10.0.0.1');
  expect(clientAddress('10.0.0.1', '6.6.6.6', blocks())).toBe('10.0.0.1');
});
