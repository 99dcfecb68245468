// Mutates an input at random: bits, bytes, chunks, words, numbers, and pieces of other inputs. The same seed makes the same
// changes, so every run is repeatable.

export type Random = (below: number) => number;

/** mulberry32: small, and good enough to choose mutations. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}

/** Bytes with a meaning to one parser or another. */
const special = Buffer.from('\0\t\n\r "#%&\'()+,-./09:;=?@AZ[\\]_az{|}~\x7f\x80\xa0\xbf\xc2\xc3\xe2\xff', 'latin1');
const numbers = [
  '0',
  '-0',
  '-1',
  '1',
  '0.5',
  '255',
  '256',
  '65536',
  '2147483648',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '-9223372036854775808',
  '18446744073709551616',
  '1e3',
  '1e400',
  '-1e400',
  '1E+2',
  '1.5',
];

type Change = (bytes: Buffer, other: Buffer, words: readonly Buffer[], random: Random) => Buffer;

const spanOf = (bytes: Buffer, random: Random): [number, number] => {
  const start = random(bytes.length + 1);
  return [start, Math.min(bytes.length, start + 1 + random(random(2) === 0 ? 4 : 40))];
};
const withBytes = (bytes: Buffer, start: number, end: number, put: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(end)]);
const withByte = (bytes: Buffer, random: Random, change: (byte: number) => number): Buffer => {
  const changed = Buffer.from(bytes);
  const at = random(bytes.length);
  if (bytes.length > 0) changed[at] = change(changed[at] as number);
  return changed;
};

const changes: readonly Change[] = [
  (bytes, _, __, random) => withByte(bytes, random, (byte) => byte ^ (1 << random(8))),
  (bytes, _, __, random) => withByte(bytes, random, () => random(256)),
  (bytes, _, __, random) => withByte(bytes, random, () => pick(random, [...special])),
  // Inserts a byte, or removes, repeats or moves a chunk.
  (bytes, _, __, random) => {
    const at = random(bytes.length + 1);
    return withBytes(bytes, at, at, Buffer.from([pick(random, [...special])]));
  },
  (bytes, _, __, random) => withBytes(bytes, ...spanOf(bytes, random), Buffer.alloc(0)),
  (bytes, _, __, random) => {
    const [start, end] = spanOf(bytes, random);
    return withBytes(
      bytes,
      end,
      end,
      Buffer.concat(Array.from({ length: 1 + random(4) }, () => bytes.subarray(start, end))),
    );
  },
  (bytes, _, __, random) => {
    const [start, end] = spanOf(bytes, random);
    const at = random(bytes.length + 1);
    return withBytes(bytes, at, at, bytes.subarray(start, end));
  },
  // Inserts a word or replaces something with it.
  (bytes, _, words, random) => {
    const at = random(bytes.length + 1);
    return words.length === 0 ? bytes : withBytes(bytes, at, at, pick(random, words));
  },
  (bytes, _, words, random) => {
    if (words.length === 0) return bytes;
    const word = pick(random, words);
    const at = random(bytes.length + 1);
    return withBytes(bytes, at, Math.min(bytes.length, at + word.length), word);
  },
  // Copies pieces of another input.
  (bytes, other, _, random) =>
    Buffer.concat([bytes.subarray(0, random(bytes.length + 1)), other.subarray(random(other.length + 1))]),
  (bytes, other, _, random) => withBytes(bytes, ...spanOf(bytes, random), other.subarray(...spanOf(other, random))),
  // Replaces a number, changes the case of a letter, or escapes a byte.
  (bytes, _, __, random) => {
    const found = [...bytes.toString('latin1').matchAll(/-?\d+(\.\d+)?/g)];
    if (found.length === 0) return bytes;
    const { 0: text, index } = pick(random, found);
    return withBytes(bytes, index, index + text.length, Buffer.from(pick(random, numbers)));
  },
  (bytes, _, __, random) =>
    withByte(bytes, random, (byte) => (/[a-z]/i.test(String.fromCharCode(byte)) ? byte ^ 0x20 : byte)),
  (bytes, _, __, random) => {
    const at = random(bytes.length);
    const hex = (bytes[at] ?? 0).toString(16).padStart(2, '0');
    return withBytes(
      bytes,
      at,
      Math.min(bytes.length, at + 1),
      Buffer.from(random(2) === 0 ? `%${hex}` : `\\u00${hex}`),
    );
  },
];

/** Returns a changed copy: mostly one change, at times up to eight. `other` is another input to copy pieces from. */
export function mutate(
  bytes: Buffer,
  other: Buffer,
  words: readonly Buffer[],
  mostBytes: number,
  random: Random,
): Buffer {
  let changed = bytes;
  for (let left = 1 << random(4); left > 0; left--) changed = pick(random, changes)(changed, other, words, random);
  return changed.length > mostBytes ? changed.subarray(0, mostBytes) : changed;
}
