// Finds a few scalars in a JSON text that arrives in pieces and is never held: a whole answer, or one very long line of
// a stream. Takes the wanted names, nested as in the text; returns an object with those that were found, or undefined
// if the text is not JSON (RFC 8259). It parses the whole grammar, so neither text inside a string nor a broken answer
// is taken for a figure. It holds one short scalar and the nesting.

/** Wanted members of an object, by name: `true` for the value itself, or the wanted members inside it. */
export type Wanted = ReadonlyMap<string, Wanted | true>;

const maxDepth = 512;
/** Longer scalars are skipped: figures and `type` values are shorter. */
const maxScalar = 64;

/** Stands for a skipped scalar: present, but not read. */
export const passedOver = Symbol('a long scalar');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const states = {
  value: 0,
  valueOrEnd: 1,
  keyOrEnd: 2,
  key: 3,
  colon: 4,
  after: 5,
  string: 6,
  escape: 7,
  hex: 8,
  literal: 9,
  minus: 10,
  zero: 11,
  int: 12,
  dot: 13,
  fraction: 14,
  exponent: 15,
  exponentSign: 16,
  exponentDigits: 17,
  over: 18,
  broken: 19,
} as const;
type State = (typeof states)[keyof typeof states];

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isHex = (byte: number): boolean =>
  isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);

interface Level {
  readonly wanted: Wanted;
  readonly found: Record<string, unknown>;
}

export class JsonFigures {
  #state: State = states.value;
  /** 1 for an object, 0 for an array, by depth. */
  readonly #kinds = new Uint8Array(maxDepth);
  #depth = 0;
  /** The objects on the path from the top whose members are wanted. */
  readonly #levels: Level[] = [];
  readonly #wanted: Wanted;
  readonly #found: Record<string, unknown> = {};
  #inKey = false;
  /** Bytes of the current scalar, if it is wanted. */
  #text: string | undefined;
  /** The last name read. */
  #name = '';
  #asked: Wanted | true | undefined;
  #hexLeft = 0;
  #literal = '';
  #literalAt = 0;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  /** Returns what was found, or undefined if the text was not JSON. Call once, at the end. */
  end(): Readonly<Record<string, unknown>> | undefined {
    if (this.#depth === 0 && this.#isNumberEnd()) this.#endScalar();
    return this.#state === states.over ? this.#found : undefined;
  }

  push(bytes: Buffer): void {
    let at = 0;
    const { length } = bytes;
    while (at < length) {
      if (this.#state === states.string) {
        const from = at;
        let byte = bytes[at] as number;
        while (byte !== QUOTE && byte !== BACKSLASH && byte >= 0x20) {
          at++;
          if (at === length) break;
          byte = bytes[at] as number;
        }
        if (this.#text !== undefined && at > from) this.#note(bytes, from, at);
        if (at === length) return;
        at++;
        if (byte === QUOTE) this.#endString();
        else if (byte === BACKSLASH) {
          if (this.#text !== undefined) this.#text += '\\';
          this.#state = states.escape;
        } else this.#state = states.broken;
      } else if (this.#state === states.broken) return;
      else {
        // Skips runs of digits, which embeddings consist of.
        if (this.#state === states.int || this.#state === states.fraction) {
          const from = at;
          while (at < length && isDigit(bytes[at] as number)) at++;
          if (this.#text !== undefined && at > from) this.#note(bytes, from, at);
          if (at === length) return;
        }
        this.#step(bytes[at] as number);
        at++;
      }
    }
  }

  #note(bytes: Buffer, from: number, to: number): void {
    const text = this.#text as string;
    this.#text = text.length + to - from > maxScalar ? undefined : text + bytes.toString('latin1', from, to);
  }

  #step(byte: number): void {
    switch (this.#state) {
      case states.value:
      case states.valueOrEnd:
        if (isSpace(byte)) return;
        if (byte === 0x5d && this.#state === states.valueOrEnd) this.#close(0);
        else this.#beginValue(byte);
        return;
      case states.keyOrEnd:
      case states.key:
        if (isSpace(byte)) return;
        if (byte === QUOTE) {
          this.#inKey = true;
          this.#text = this.#level() ? '' : undefined;
          this.#state = states.string;
        } else if (byte === 0x7d && this.#state === states.keyOrEnd) this.#close(1);
        else this.#state = states.broken;
        return;
      case states.colon:
        if (isSpace(byte)) return;
        this.#state = byte === 0x3a ? states.value : states.broken;
        return;
      case states.after:
        this.#after(byte);
        return;
      case states.over:
        if (!isSpace(byte)) this.#state = states.broken;
        return;
      case states.escape:
        this.#keep(byte);
        if (byte === 0x75) {
          this.#hexLeft = 4;
          this.#state = states.hex;
        } else this.#state = '"\\/bfnrt'.includes(String.fromCharCode(byte)) ? states.string : states.broken;
        return;
      case states.hex:
        this.#keep(byte);
        if (!isHex(byte)) this.#state = states.broken;
        else if (--this.#hexLeft === 0) this.#state = states.string;
        return;
      case states.literal:
        if (this.#literal.charCodeAt(this.#literalAt++) !== byte) this.#state = states.broken;
        else {
          this.#keep(byte);
          if (this.#literalAt === this.#literal.length) this.#endScalar();
        }
        return;
      default:
        this.#number(byte);
    }
  }

  /** RFC 8259 §6: no leading zero, at least one digit after the point and in the exponent. */
  #number(byte: number): void {
    const digit = isDigit(byte);
    let next: State | undefined;
    switch (this.#state) {
      case states.minus:
        next = byte === 0x30 ? states.zero : digit ? states.int : states.broken;
        break;
      case states.dot:
        next = digit ? states.fraction : states.broken;
        break;
      case states.exponent:
        next = digit ? states.exponentDigits : byte === 0x2b || byte === 0x2d ? states.exponentSign : states.broken;
        break;
      case states.exponentSign:
        next = digit ? states.exponentDigits : states.broken;
        break;
      case states.exponentDigits:
        if (digit) next = states.exponentDigits;
        break;
      default:
        if (byte === 0x2e && this.#state !== states.fraction) next = states.dot;
        else if (byte === 0x65 || byte === 0x45) next = states.exponent;
        else if (digit) next = this.#state === states.zero ? states.broken : this.#state;
    }
    if (next === undefined) {
      this.#endScalar();
      this.#step(byte);
    } else {
      this.#keep(byte);
      this.#state = next;
    }
  }

  #isNumberEnd(): boolean {
    const state = this.#state;
    return (
      state === states.zero || state === states.int || state === states.fraction || state === states.exponentDigits
    );
  }

  #keep(byte: number): void {
    if (this.#text !== undefined)
      this.#text = this.#text.length < maxScalar ? this.#text + String.fromCharCode(byte) : undefined;
  }

  #level(): Level | undefined {
    return this.#levels.length === this.#depth ? this.#levels[this.#depth - 1] : undefined;
  }

  #beginValue(byte: number): void {
    const asked = this.#level() ? this.#asked : undefined;
    if (byte === 0x7b || byte === 0x5b) {
      this.#open(byte === 0x7b ? 1 : 0, asked);
      return;
    }
    this.#text = asked === undefined ? undefined : '';
    if (byte === QUOTE) {
      this.#inKey = false;
      this.#keep(byte);
      this.#state = states.string;
      return;
    }
    this.#keep(byte);
    if (byte === 0x2d) this.#state = states.minus;
    else if (byte === 0x30) this.#state = states.zero;
    else if (isDigit(byte)) this.#state = states.int;
    else {
      this.#literal = byte === 0x74 ? 'true' : byte === 0x66 ? 'false' : byte === 0x6e ? 'null' : '';
      this.#literalAt = 1;
      this.#state = this.#literal === '' ? states.broken : states.literal;
    }
  }

  #open(kind: 0 | 1, asked: Wanted | true | undefined): void {
    if (this.#depth === maxDepth) {
      this.#state = states.broken;
      return;
    }
    const inner: Record<string, unknown> | unknown[] = kind === 1 ? {} : [];
    if (asked !== undefined) (this.#level() as Level).found[this.#name] = inner;
    if (kind === 1) {
      const isTop = this.#depth === 0;
      if (isTop) this.#levels.push({ wanted: this.#wanted, found: this.#found });
      else if (asked !== undefined && asked !== true)
        this.#levels.push({ wanted: asked, found: inner as Record<string, unknown> });
    }
    this.#kinds[this.#depth++] = kind;
    this.#state = kind === 1 ? states.keyOrEnd : states.valueOrEnd;
  }

  #close(kind: 0 | 1): void {
    if (this.#depth === 0 || this.#kinds[this.#depth - 1] !== kind) {
      this.#state = states.broken;
      return;
    }
    if (this.#levels.length === this.#depth) this.#levels.pop();
    this.#depth--;
    this.#state = this.#depth === 0 ? states.over : states.after;
  }

  #after(byte: number): void {
    if (isSpace(byte)) return;
    const inObject = this.#kinds[this.#depth - 1] === 1;
    if (byte === 0x2c) this.#state = inObject ? states.key : states.value;
    else if (byte === 0x7d || byte === 0x5d) this.#close(byte === 0x7d ? 1 : 0);
    else this.#state = states.broken;
  }

  #endString(): void {
    if (!this.#inKey) {
      this.#keep(QUOTE);
      this.#endScalar();
      return;
    }
    const level = this.#level();
    if (level) {
      this.#name = this.#text === undefined ? '' : (JSON.parse(`"${this.#text}"`) as string);
      this.#asked = this.#text === undefined ? undefined : level.wanted.get(this.#name);
    }
    this.#state = states.colon;
  }

  #endScalar(): void {
    const level = this.#level();
    if (level && this.#asked !== undefined)
      level.found[this.#name] = this.#text === undefined ? passedOver : (JSON.parse(this.#text) as unknown);
    this.#text = undefined;
    this.#state = this.#depth === 0 ? states.over : states.after;
  }
}
