// Reads the outline of a JSON body without building it: the members at the levels that a policy reads, and their byte
// ranges. Everything else is validated and skipped, so no object of the caller's choosing is built. Why not JSON.parse:
// Ollama's parser (Go) ignores the case of keys, takes the last duplicate and ignores what follows the first value. Two
// parsers must never read two different models from one text ("parser differential"), so an ambiguous body is refused,
// and the original bytes are forwarded with edits spliced in (64-bit integers survive).
import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../../domain/error.ts';

/** What to read: the members that a policy needs at this level, and the members to descend into. */
export interface Outline {
  /** Names that must be spelled exactly; another spelling that Go would accept for one of them is refused. */
  readonly known: ReadonlySet<string>;
  /** Members whose object value is read, by name. */
  readonly inside?: Readonly<Record<string, Outline>>;
  /** Members whose array value is read; each element that is an object is read with this outline. */
  readonly each?: Readonly<Record<string, Outline>>;
}

export type JsonKind = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array';

/** One value: its kind and its bytes [start, end). */
export interface JsonValue {
  readonly kind: JsonKind;
  readonly start: number;
  readonly end: number;
  /** Start of the member's name, including its quote. */
  readonly keyStart?: number;
  /** The members of an object that was read, by name. */
  readonly members?: ReadonlyMap<string, JsonValue>;
  /** The elements of an array that was read. */
  readonly items?: readonly JsonValue[];
}

/** A body that is a single object, with its members. */
export type JsonBody = JsonValue & { readonly members: ReadonlyMap<string, JsonValue> };

export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const maxDepth = 64;
const maxMembers = 1000;
/** For members that are read. Names are copied; a body that is a single name would be held several times. */
const maxNameBytes = 1000;

/** How much of a text is read and kept, over all levels. */
export interface Most {
  /** Values, kept or not. */
  readonly values: number;
  /** Members and items. */
  readonly kept: number;
  /** Objects whose members are kept. */
  readonly opened: number;
}

// A kept value costs up to a hundred times its bytes (`{}` has two), and validation blocks the event loop. No real
// conversation comes near these figures; its texts and images are one value each.
const ofRequests: Most = { values: 1_000_000, kept: 100_000, opened: 10_000 };
/** For answers of a model server that the operator chose: embeddings are millions of numbers, and lists may be long. */
export const ofAnswers: Most = { values: 20_000_000, kept: 2_000_000, opened: 200_000 };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Reads the outline of a body that is exactly one object.
 * @throws GatewayError `not_json` (RFC 8259 is violated, or the body is not an object) or `ambiguous_json`.
 */
export function scanObject(bytes: Buffer, outline: Outline, most: Most = ofRequests): JsonBody {
  if (bytes.length === 0) throw new GatewayError('not_json', { message: 'The request body is empty.' });
  if (!isUtf8(bytes)) throw new GatewayError('not_json', { message: 'The request body is not UTF-8.' });
  const scanner = new Scanner(bytes, most);
  const value = scanner.value(0, outline, undefined);
  scanner.space();
  if (value.members === undefined)
    throw new GatewayError('not_json', { message: 'The request body must be a JSON object.' });
  if (scanner.at !== bytes.length) {
    throw new GatewayError('ambiguous_json', { message: 'The request body has data after the JSON object.' });
  }
  return value as JsonBody;
}

/** The text of a string value. Lone surrogates are preserved. */
export function textOf(bytes: Buffer, value: JsonValue): string {
  return JSON.parse(bytes.toString('utf8', value.start, value.end)) as string;
}

/** The original bytes with the edits applied. Edits must be in order and not overlap. */
export function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  let length = bytes.length;
  for (const { start, end, text } of edits) length += Buffer.byteLength(text) - (end - start);
  const spliced = Buffer.allocUnsafe(length);
  let from = 0;
  let at = 0;
  for (const { start, end, text } of edits) {
    at += bytes.copy(spliced, at, from, start);
    at += spliced.write(text, at);
    from = end;
  }
  bytes.copy(spliced, at, from);
  return spliced;
}

/** Folds case like Go's encoding/json for ASCII names: A–Z, and the two other runes that fold to ASCII letters. */
export function fold(name: string): string {
  return name.toLowerCase().replaceAll('\u017f', 's');
}

const noMembers: ReadonlyMap<string, JsonValue> = new Map();

class Scanner {
  at = 0;
  readonly #bytes: Buffer;
  readonly #most: Most;
  #values = 0;
  #kept = 0;
  #opened = 0;

  constructor(bytes: Buffer, most: Most) {
    this.#bytes = bytes;
    this.#most = most;
  }

  space(): void {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.at++;
    }
  }

  value(depth: number, outline: Outline | undefined, each: Outline | undefined): JsonValue {
    this.space();
    if (++this.#values > this.#most.values) throw tooMany();
    const start = this.at;
    switch (this.#bytes[start]) {
      case 0x7b:
        return this.#object(start, depth, outline);
      case 0x5b:
        return this.#array(start, depth, each);
      case QUOTE:
        this.#string();
        return { kind: 'string', start, end: this.at };
      case 0x74:
        return this.#word('true', 'boolean');
      case 0x66:
        return this.#word('false', 'boolean');
      case 0x6e:
        return this.#word('null', 'null');
      default:
        return this.#number(start);
    }
  }

  #object(start: number, depth: number, outline: Outline | undefined): JsonValue {
    if (depth >= maxDepth) throw tooDeep();
    if (outline && ++this.#opened > this.#most.opened) throw tooMany();
    const bytes = this.#bytes;
    let members: Map<string, JsonValue> | undefined;
    /** The folded form of names that change when folded. */
    let folded: Set<string> | undefined;
    this.at++;
    this.space();
    if (bytes[this.at] === 0x7d) this.at++;
    else
      for (;;) {
        this.space();
        const keyStart = this.at;
        if (bytes[keyStart] !== QUOTE) throw this.#broken();
        const escaped = this.#string();
        const keyEnd = this.at;
        this.space();
        if (bytes[this.at] !== 0x3a) throw this.#broken();
        this.at++;
        if (outline) {
          if (keyEnd - keyStart > maxNameBytes)
            throw new GatewayError('ambiguous_json', {
              message: 'The name of a field is too long.',
            });
          const raw = bytes.toString('utf8', keyStart + 1, keyEnd - 1);
          const name = escaped ? (JSON.parse(`"${raw}"`) as string) : raw;
          const key = outline.known.has(name) ? name : fold(name);
          const known = outline.known.has(key);
          if (members?.has(key) || folded?.has(key)) throw twice(known ? `The field "${key}"` : 'A field');
          if (key !== name) {
            if (known) throw new GatewayError('ambiguous_json', { message: `Spell the field exactly "${key}".` });
            (folded ??= new Set()).add(key);
          }
          members ??= new Map();
          if (members.size >= maxMembers)
            throw new GatewayError('ambiguous_json', { message: 'The object has too many fields.' });
          this.#keep();
          const inner = outline.inside && Object.hasOwn(outline.inside, name) ? outline.inside[name] : undefined;
          const each = outline.each && Object.hasOwn(outline.each, name) ? outline.each[name] : undefined;
          members.set(name, { ...this.value(depth + 1, inner, each), keyStart });
        } else this.value(depth + 1, undefined, undefined);
        this.space();
        const next = bytes[this.at++];
        if (next === 0x7d) break;
        if (next !== 0x2c) throw this.#broken();
      }
    return outline
      ? { kind: 'object', start, end: this.at, members: members ?? noMembers }
      : { kind: 'object', start, end: this.at };
  }

  #array(start: number, depth: number, each: Outline | undefined): JsonValue {
    if (depth >= maxDepth) throw tooDeep();
    const bytes = this.#bytes;
    const items: JsonValue[] | undefined = each ? [] : undefined;
    this.at++;
    this.space();
    if (bytes[this.at] === 0x5d) this.at++;
    else
      for (;;) {
        const item = this.value(depth + 1, each, undefined);
        if (items) {
          this.#keep();
          items.push(item);
        }
        this.space();
        const next = bytes[this.at++];
        if (next === 0x5d) break;
        if (next !== 0x2c) throw this.#broken();
      }
    return items ? { kind: 'array', start, end: this.at, items } : { kind: 'array', start, end: this.at };
  }

  #keep(): void {
    if (++this.#kept > this.#most.kept) throw tooMany();
  }

  /** Moves past a string; returns whether it contains an escape. */
  #string(): boolean {
    const bytes = this.#bytes;
    let escaped = false;
    let at = this.at + 1;
    for (;;) {
      const byte = bytes[at];
      if (byte === QUOTE) break;
      if (byte === undefined || byte < 0x20) throw this.#broken();
      if (byte === BACKSLASH) {
        escaped = true;
        const next = bytes[at + 1];
        if (next === 0x75) {
          for (let i = at + 2; i < at + 6; i++) if (!isHex(bytes[i])) throw this.#broken();
          at += 6;
          continue;
        }
        if (!isEscape(next)) throw this.#broken();
        at += 2;
        continue;
      }
      at++;
    }
    this.at = at + 1;
    return escaped;
  }

  #word(word: string, kind: JsonKind): JsonValue {
    const start = this.at;
    for (let i = 0; i < word.length; i++) if (this.#bytes[start + i] !== word.charCodeAt(i)) throw this.#broken();
    this.at += word.length;
    return { kind, start, end: this.at };
  }

  /** number = [ "-" ] int [ frac ] [ exp ] (RFC 8259 §6). */
  #number(start: number): JsonValue {
    const bytes = this.#bytes;
    if (bytes[this.at] === 0x2d) this.at++;
    if (bytes[this.at] === 0x30) this.at++;
    else this.#digits();
    if (bytes[this.at] === 0x2e) {
      this.at++;
      this.#digits();
    }
    if (bytes[this.at] === 0x65 || bytes[this.at] === 0x45) {
      this.at++;
      if (bytes[this.at] === 0x2b || bytes[this.at] === 0x2d) this.at++;
      this.#digits();
    }
    return { kind: 'number', start, end: this.at };
  }

  #digits(): void {
    const start = this.at;
    for (;;) {
      const byte = this.#bytes[this.at];
      if (byte === undefined || byte < 0x30 || byte > 0x39) break;
      this.at++;
    }
    if (this.at === start) throw this.#broken();
  }

  #broken(): GatewayError {
    return new GatewayError('not_json', { message: `The request body is not valid JSON near byte ${this.at}.` });
  }
}

function isHex(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66))
  );
}

/** One of " \ / b f n r t (RFC 8259 §7). */
function isEscape(byte: number | undefined): boolean {
  switch (byte) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return true;
    default:
      return false;
  }
}

const tooDeep = (): GatewayError =>
  new GatewayError('not_json', { message: `The JSON is nested deeper than ${maxDepth}.` });

const tooMany = (): GatewayError =>
  new GatewayError('ambiguous_json', { message: 'The request body has too many values.' });

/** Errors repeat only names that this code knows: an unknown name is the caller's text. */
const twice = (what: string): GatewayError =>
  new GatewayError('ambiguous_json', { message: `${what} is given twice.` });
