// Addresses and blocks of addresses. An address has one network whatever its spelling; a block that cannot be read matches
// nothing; and the client address behind trusted proxies was written by a trusted one.
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import {
  AddressBlocks,
  blockCovers,
  clientAddress,
  mostBlocks,
  networkOf,
  plainAddress,
  readBlocks,
} from '../../../src/domain/address.ts';
import type { Target } from '../target.ts';

const trusted = new AddressBlocks(['10.0.0.0/8', 'fd00::/8']);

/** An address, a block, and an X-Forwarded-For value; one per line. */
function run(bytes: Buffer): void {
  const [address = '', block = '', forwarded] = bytes.toString('latin1').split('\n');
  checkNetwork(address);
  checkBlock(block, address);
  for (const peer of ['192.0.2.1', '10.0.0.1', '::ffff:10.0.0.1']) {
    const found = clientAddress(peer, forwarded, trusted);
    if (!trusted.contains(peer) || forwarded === undefined) assert.equal(found, peer);
    else {
      const hops = forwarded.split(',').map((hop) => spelled(hop.trim()));
      const beyond = hops.findLastIndex((hop) => isIP(hop) === 0 || !trusted.contains(hop));
      const first = isIP(hops[beyond] ?? '') === 0 ? hops[beyond + 1] : hops[beyond];
      assert.equal(found, first ?? peer);
      assert.ok(isIP(found) !== 0);
    }
  }
}

/** The address in a hop, parsed in another way; empty if there is none. */
function spelled(hop: string): string {
  const bare = hop.length > 1 && hop.startsWith('"') && hop.endsWith('"') ? hop.slice(1, -1) : hop;
  if (hop.length > 60 || bare.includes('%')) return '';
  if (isIP(bare) !== 0) return plainAddress(bare);
  const [, host = '', port = ''] = /^(.*?)(?::(\d+))?$/s.exec(bare) ?? [];
  const inside = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : '';
  if (port.length > 5 || (isIP(inside) !== 6 && (isIP(host) !== 4 || port === ''))) return '';
  return plainAddress(isIP(inside) === 6 ? inside : host);
}

/** The canonical spelling of an IPv6 address, as 128 bits in hexadecimal, by the URL standard's parser. */
function spelledOut(address: string): string[] {
  const { hostname } = new URL(`http://[${address.split('%')[0]}]`);
  const [head = '', tail] = hostname.slice(1, -1).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, behind] = [groups(head), groups(tail ?? '')];
  return [...before, ...Array.from({ length: 8 - before.length - behind.length }, () => '0'), ...behind];
}

function checkNetwork(address: string): void {
  const network = networkOf(address);
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) {
    assert.equal(network, plain);
    return;
  }
  const groups = spelledOut(plain);
  // An IPv4-mapped IPv6 address in its other spelling may stand for all of them: that counts too many clients as one, never
  // too few.
  assert.equal(network, `${groups.slice(0, 4).join(':')}::/64`);
}

function checkBlock(block: string, address: string): void {
  assert.throws(() => readBlocks(Array.from({ length: mostBlocks + 1 }, () => block)), /: a list can have up to/);
  let blocks: AddressBlocks;
  try {
    readBlocks([block]);
    blocks = new AddressBlocks([block]);
    readBlocks([block]);
    assert.throws(() => readBlocks(Array.from({ length: mostBlocks + 1 }, () => block)), / up to /);
  } catch (error) {
    assert.match((error as Error).message, / is not an address block such as /);
    return;
  }
  assert.equal(blocks.empty, false);
  const base = block.split('/', 1)[0] as string;
  assert.ok(isIP(base) !== 0 && blocks.contains(base));
  assert.ok(isIP(address) !== 0 || !blocks.contains(address), 'what is no address is within nothing');
  assert.ok(blockCovers(block, block));
  if (isIP(address) === 0) return;
  assert.equal(blockCovers(block, address), isIP(address) === isIP(base) && blocks.contains(address));
}

export const target: Target = {
  words: '" [ ] ]: :80 ::ffff: :: : . , / /64 /0 /32 /128 %eth0 10.0.0.1 192.0.2.9 fd00:: 0 00 :0: 255 2001:db8: FFFF'
    .split(' ')
    .concat('\n', ' '),
  mostBytes: 200,
  seeds: () => [
    '192.0.2.7\n192.0.2.0/24\n6.6.6.6, 192.0.2.9, 10.0.0.2',
    '::ffff:10.1.2.3\n10.0.0.0/8\n6.6.6.6, nonsense, 10.0.0.2',
    '2001:db8:1::1\n2001:db8::/32\n10.0.0.3, fd00::1',
    'fe80::1%eth0\n::/129\n',
    '1:2:3:4:5:6:7:8\n10.0.0.0/8/8\n1.1.1.1',
    '::1.2.3.4\n::/0',
    '192.0.2.7\n192.0.2.0/24\n6.6.6.6, "[2001:db8::1]:443", 10.0.0.2:80',
    '192.0.2.7\n192.0.2.0/24\n192.0.2.9:51234, [fd00::1]',
    '1::8\nx',
    `::1\n${'0'.repeat(60)}::1`,
    '0001:02:003::\n10.0.0.0/-1\n,',
  ],
  run,
};
