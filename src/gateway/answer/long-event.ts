// Removes the `usage` member from an event that is too long to be held; usage-filter.ts handles shorter events. Parses
// only what is needed to know the members of the outermost object. Holds a comma, the whitespace after it, and a name;
// line ends and `data:` prefixes are not part of the text and stay.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

const name = '"usage"';
const prefix = 'data:';
/** The most bytes held before a name is known. */
const mostWaiting = 256;

export class LongEvent {
  /** How much of `data:` the line has matched; -1 in the text after it, -2 in another field. */
  #prefixAt = 0;
  /** The space after the colon is not part of the text. */
  #mayPad = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** A name follows in the outermost object. */
  #atName = false;
  /** The name being read, or undefined. */
  #named: string | undefined;
  /** The current member is being removed. */
  #cutting = false;
  /** A member of the object was kept. */
  #hasMember = false;
  /** Bytes held until the name is known; those outside the text are kept in any case. */
  #waiting: { readonly byte: number; readonly isText: boolean }[] = [];

  /** Takes a piece, returns what can be sent of it. */
  push(bytes: Buffer): Buffer {
    const out = Buffer.allocUnsafe(bytes.length + this.#waiting.length);
    let length = 0;
    const keep = (byte: number): void => {
      length = out.writeUInt8(byte, length);
    };
    for (let at = 0; at < bytes.length; at++) {
      // Skips through a long string inside.
      if (this.#inString && !this.#escaped && this.#named === undefined && !this.#cutting) {
        let end = at;
        while (end < bytes.length && bytes[end] !== QUOTE && bytes[end] !== BACKSLASH) end++;
        length += bytes.copy(out, length, at, end);
        at = end;
        if (at === bytes.length) break;
      }
      this.#step(bytes[at] as number, keep);
    }
    return out.subarray(0, length);
  }

  /** Returns the held bytes at the end of the event. */
  end(): Buffer {
    const rest = Buffer.from(this.#waiting.map(({ byte }) => byte));
    this.#waiting = [];
    return rest;
  }

  #step(byte: number, keep: (byte: number) => void): void {
    if (byte === 0x0a || byte === 0x0d) {
      this.#prefixAt = 0;
      this.#pass(byte, false, keep);
    } else if (this.#prefixAt >= 0) {
      // A byte order mark may precede the first line.
      if (byte === prefix.charCodeAt(this.#prefixAt)) this.#prefixAt++;
      else if (byte < 0x80 || this.#prefixAt > 0) this.#prefixAt = -2;
      if (this.#prefixAt === prefix.length) {
        this.#prefixAt = -1;
        this.#mayPad = true;
      }
      this.#pass(byte, false, keep);
    } else if (this.#prefixAt === -2) this.#pass(byte, false, keep);
    else if (this.#mayPad && byte === 0x20) {
      this.#mayPad = false;
      this.#pass(byte, false, keep);
    } else {
      this.#mayPad = false;
      this.#text(byte, keep);
    }
  }

  #text(byte: number, keep: (byte: number) => void): void {
    if (this.#inString) {
      this.#pass(byte, true, keep);
      if (this.#named !== undefined) this.#named += String.fromCharCode(byte);
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        this.#inString = false;
        this.#endName(keep);
      }
      return;
    }
    const isOutermost = this.#depth === 1;
    if (isOutermost && (byte === COMMA || byte === 0x7d)) {
      const wasFirst = this.#cutting && !this.#hasMember;
      this.#cutting = false;
      if (byte === COMMA) {
        this.#atName = true;
        // The comma after a removed first member is removed with it.
        if (!wasFirst) this.#waiting.push({ byte, isText: true });
        return;
      }
    }
    if (byte === QUOTE) {
      this.#inString = true;
      if (isOutermost && this.#atName) {
        this.#atName = false;
        this.#named = '"';
        this.#waiting.push({ byte, isText: true });
        return;
      }
    } else if (byte === 0x7b || byte === 0x5b) {
      this.#depth++;
      if (this.#depth === 1) {
        this.#atName = byte === 0x7b;
        this.#pass(byte, true, keep);
        return;
      }
    } else if (byte === 0x7d || byte === 0x5d) this.#depth--;
    this.#pass(byte, true, keep);
  }

  #endName(keep: (byte: number) => void): void {
    if (this.#named === undefined) return;
    this.#cutting = this.#named === name;
    this.#named = undefined;
    for (const { byte, isText } of this.#waiting) if (!isText || !this.#cutting) keep(byte);
    this.#waiting = [];
    if (!this.#cutting) this.#hasMember = true;
  }

  /** Sends a byte, holds it, or removes it. */
  #pass(byte: number, isText: boolean, keep: (byte: number) => void): void {
    const waits = this.#named !== undefined || this.#waiting.length > 0;
    if (waits && this.#waiting.length < mostWaiting) this.#waiting.push({ byte, isText });
    else if (waits) {
      // Longer than any name of interest.
      for (const each of this.#waiting) keep(each.byte);
      this.#waiting = [];
      this.#named = undefined;
      this.#hasMember = true;
      keep(byte);
    } else if (!isText || !this.#cutting) keep(byte);
  }
}
