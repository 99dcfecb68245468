// Whether the bytes of a text, which arrive in pieces, are UTF-8. Holds at most the first three bytes of a character.
import { isUtf8 } from 'node:buffer';

const nothing = Buffer.alloc(0);

export class Utf8Check {
  /** The beginning of a character whose rest has not come. */
  #open = nothing;

  /** False if it cannot become UTF-8 any more; then nothing else may follow. */
  push(bytes: Buffer): boolean {
    const all = this.#open.length > 0 ? Buffer.concat([this.#open, bytes]) : bytes;
    const end = all.length - openBytes(all);
    this.#open = end < all.length ? Buffer.from(all.subarray(end)) : nothing;
    return this.#open.length === 0 ? isUtf8(all) : isUtf8(all.subarray(0, end)) && canBegin(this.#open);
  }

  /** No character is incomplete. */
  get isWhole(): boolean {
    return this.#open.length === 0;
  }
}

/** Whether a character can begin with these bytes: no second byte but those of 80..9F and A0..BF is special (RFC 3629 §4). */
function canBegin(open: Buffer): boolean {
  const rest = sizeOf(open[0] as number) - open.length;
  return [0x80, 0xbf].some((byte) => isUtf8(Buffer.concat([open, Buffer.alloc(rest, byte)])));
}

const sizeOf = (first: number): number => (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2);

/** How many bytes at the end begin a character that is longer (RFC 3629 §3). */
function openBytes(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    return sizeOf(byte) > back ? back : 0;
  }
  return 0;
}
