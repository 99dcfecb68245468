// Reads a PNG chunk by chunk and writes those that are drawn (PNG specification, third edition, §11): the others can hold text,
// positions and programs, and decoders have had faults in them.
import { crc32 } from 'node:zlib';
import { Unreadable } from './sentences.ts';

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const drawn = new Set(['IHDR', 'PLTE', 'tRNS', 'sRGB', 'gAMA', 'IDAT', 'IEND']);
/** A picture of a few kilobytes can say that it is 2^31 pixels wide, and browsers would make room for that. */
const mostPixels = 1024;

/** @throws Unreadable. */
export function readPng(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, signature.length).equals(signature)) throw broken();
  const kept: Buffer[] = [signature];
  const seen = new Set<string>();
  let at = signature.length;
  while (!seen.has('IEND')) {
    if (at + 12 > bytes.length) throw broken();
    const length = bytes.readUInt32BE(at);
    const end = at + 12 + length;
    if (end > bytes.length) throw broken();
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (crc32(bytes.subarray(at + 4, end - 4)) !== bytes.readUInt32BE(end - 4)) throw broken();
    if ((type === 'IHDR') !== (seen.size === 0)) throw broken();
    if (type === 'IHDR') checkSize(bytes.subarray(at + 8, end - 4));
    seen.add(type);
    if (drawn.has(type)) kept.push(bytes.subarray(at, end));
    at = end;
  }
  if (!seen.has('IDAT')) throw broken();
  return Buffer.concat(kept);
}

function checkSize(header: Buffer): void {
  if (header.length !== 13) throw broken();
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  if (width < 1 || height < 1) throw broken();
  if (width > mostPixels || height > mostPixels) throw new Unreadable('logo_wide', { most: mostPixels });
}

const broken = (): Unreadable => new Unreadable('logo_broken', {});
