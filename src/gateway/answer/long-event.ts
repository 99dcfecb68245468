// Takes the `usage` member out of an event that is too long to be held, as it goes by: usage-filter.ts does it with whole
// events. Follows the text only as far as it must to know the members of the outermost object. What it holds is a comma, the
// blanks behind it and a name; ends of lines and `data:` before each are none of the text and stay where they are.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

const name = '"usage"';
const prefix = 'data:';
/** What may wait until a name is known. */
const mostWaiting = 256;

export class LongEvent {
  /** How far the line agrees with `data:`; -1 in the text behind it, -2 in another field. */
  #prefixAt = 0;
  /** The space behind the colon is none of the text. */
  #mayPad = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** A name comes next in the outermost object. */
  #atName = false;
  /** The name that is being read, or undefined. */
  #named: string | undefined;
  /** The member that goes by is taken out. */
  #cutting = false;
  /** A member of the object has gone on. */
  #hasMember = false;
  /** Bytes of the text that wait for the name, among others that stay in any case. */
  #waiting: { readonly byte: number; readonly isText: boolean }[] = [];

  /** Takes a piece, gives what goes on of it. */
  push(bytes: Buffer): Buffer {
    const out = Buffer.allocUnsafe(bytes.length + this.#waiting.length);
    let length = 0;
    const keep = (byte: number): void => {
      length = out.writeUInt8(byte, length);
    };
    for (let at = 0; at < bytes.length; at++) {
      // A long text inside, of which nothing is looked at.
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

  /** What still waits, when the event is over. */
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
      // A mark of the byte order may stand before the first line.
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
        // The comma behind a first member that was taken out goes with it.
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

  /** On, or to what waits, or away. */
  #pass(byte: number, isText: boolean, keep: (byte: number) => void): void {
    const waits = this.#named !== undefined || this.#waiting.length > 0;
    if (waits && this.#waiting.length < mostWaiting) this.#waiting.push({ byte, isText });
    else if (waits) {
      // Longer than any name that is looked for.
      for (const each of this.#waiting) keep(each.byte);
      this.#waiting = [];
      this.#named = undefined;
      this.#hasMember = true;
      keep(byte);
    } else if (!isText || !this.#cutting) keep(byte);
  }
}
