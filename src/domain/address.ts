// Client addresses and CIDR blocks. BlockList of node:net also matches ::ffff:10.1.2.3 against an IPv4 rule; comparing
// strings would miss that.

import { BlockList, isIP } from 'node:net';
import { Unreadable } from './sentences.ts';

/** The most blocks in one list: each address is compared with all of them. */
export const mostBlocks = 200;
/** An IPv6 address with its prefix has 49 characters. */
const longestBlock = 50;
/** An IPv6 address that ends in an IPv4 address has 45 characters, plus brackets, quotes and a port. */
const longestHop = 60;

/** Validates the blocks of a key before they are stored. @throws Error with a sentence. */
export function readBlocks(blocks: readonly string[]): void {
  if (blocks.length > mostBlocks) throw new Unreadable('blocks_full', { most: mostBlocks });
  new AddressBlocks(blocks);
}

export class AddressBlocks {
  readonly #list = new BlockList();
  readonly empty: boolean;

  /** @throws Error with a sentence for an unreadable block: an unreadable rule must never mean "everyone". */
  constructor(blocks: readonly string[]) {
    this.empty = blocks.length === 0;
    for (const block of blocks) {
      if (block.length > longestBlock) throw new Unreadable('block_long', { block: block.slice(0, longestBlock) });
      const [address = '', prefix, ...more] = block.split('/');
      const family = isIP(address);
      const width = family === 4 ? 32 : 128;
      const bits = prefix === undefined ? width : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
      if (family === 0 || more.length > 0 || bits < 0 || bits > width) {
        throw new Unreadable('block_shape', { block });
      }
      this.#list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
    }
  }

  contains(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Returns whether `outer` contains all of `inner`. Both must be valid blocks. */
export function blockCovers(outer: string, inner: string): boolean {
  const [address = '', prefix] = inner.split('/');
  const [base = '', widest] = outer.split('/');
  const family = isIP(address);
  if (family !== isIP(base)) return false;
  // Without a prefix, a block is a single address, as in AddressBlocks.
  const one = family === 4 ? 32 : 128;
  return Number(widest ?? one) <= Number(prefix ?? one) && new AddressBlocks([outer]).contains(address);
}

/**
 * Walks X-Forwarded-For from the right through trusted proxies and returns the first address beyond them. A malformed
 * entry stops the walk, because what stands to its left has an unknown author. The left-most entry is never trusted by
 * itself: any caller can write it.
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trusted: AddressBlocks): string {
  if (trusted.empty || forwardedFor === undefined || !trusted.contains(peer)) return peer;
  const hops = forwardedFor.split(',');
  let address = peer;
  for (let i = hops.length - 1; i >= 0 && trusted.contains(address); i--) {
    const hop = hopAddress((hops[i] as string).trim());
    if (hop === undefined) break;
    address = hop;
  }
  return address;
}

/**
 * The address of one hop, in the forms that proxies write: plain, with a port (Azure's gateways), in brackets, in
 * quotes (node names of RFC 7239 §6 also appear in X-Forwarded-For). An address with a zone is refused, since a zone
 * has meaning only on the proxy, and so is an identifier that hides the address (§6.3).
 */
function hopAddress(text: string): string | undefined {
  if (text.length > longestHop) return undefined;
  const hop = /^"(.*)"$/.exec(text)?.[1] ?? text;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop)?.[1];
  const address = bracketed ?? /^([\d.]+):\d{1,5}$/.exec(hop)?.[1] ?? hop;
  const family = isIP(address);
  const isOne = bracketed === undefined ? family !== 0 : family === 6;
  return isOne && !address.includes('%') ? plainAddress(address) : undefined;
}

/** Turns an IPv4-mapped IPv6 address (from a dual-stack socket or a proxy) into the IPv4 address. */
export function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/**
 * The network that failures are counted on: an IPv4 address itself, or the first 64 bits of an IPv6 address, since a
 * client usually controls a whole /64 (better-auth GHSA-p6v2-xcpg-h6xw).
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  const [head = '', tail] = (plain.split('%')[0] as string).toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const behind = tail === '' ? [] : tail.split(':');
    // An IPv4 address at the end fills two groups.
    const zeros = 8 - groups.length - behind.length - (tail.includes('.') ? 1 : 0);
    groups.push(...Array.from({ length: zeros }, () => '0'), ...behind);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
