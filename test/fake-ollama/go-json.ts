// JSON as Go's encoding/json reads and writes it, as far as a caller can tell the difference: keys match in any case (with
// the long s and the Kelvin sign), the last duplicate wins, null leaves a plain field unchanged but empties a pointer,
// objects under one key merge, and anything after the first value is ignored. A parser with other rules sees another model
// than Ollama does. Not emulated: stale slice elements and 64-bit integers.

export type GoObject = Record<string, unknown>;

/** The error of Go's decoder; the routes put it into their own error shape. */
export class GoJsonError extends Error {
  override readonly name = 'GoJsonError';
}

/** Go refuses deeper nesting; the number is encoding/json's. */
const depthLimit = 10_000;
/** In these bodies the flags are plain bools, which null leaves unchanged; elsewhere they are pointers. */
const plainFlags = /^(?:openai\.(?:ChatCompletion|Completion|Embed)|anthropic\.)/;
/** Go decodes these into maps, whose keys keep their case. */
const maps = new Set(['options', 'files', 'adapters', 'metadata', 'parameters', 'properties']);

/**
 * The object that Go would fill from this text, its keys in lower case. `goType` only spells the error of a body that
 * is not an object. Throws GoJsonError: `EOF` for an empty text, `unexpected EOF` for a value that is cut short.
 */
export function goStyleParse(text: string, goType = 'map[string]interface {}'): GoObject {
  const reader = new Reader(text, plainFlags.test(goType));
  const value = reader.value(0, true);
  if (value === null) return {};
  if (isObject(value)) return value;
  throw new GoJsonError(`json: cannot unmarshal ${goKind(value)} into Go value of type ${goType}`);
}

/** json.Marshal: like JSON.stringify, except for the five characters that Go escapes because of HTML. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** strconv.Quote, for the plain names that error texts quote. */
export function goQuote(text: string): string {
  return JSON.stringify(text);
}

export function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

export function isObject(value: unknown): value is GoObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Only these two fold into ASCII: Go folds them, toLowerCase alone misses the first. */
function fold(key: string): string {
  return key.toLowerCase().replaceAll('\u017f', 's').replaceAll('\u212a', 'k');
}

/** Reads one value off the front of a text. */
class Reader {
  readonly #text: string;
  readonly #plainFlags: boolean;
  #at = 0;

  constructor(text: string, plain: boolean) {
    this.#text = text;
    this.#plainFlags = plain;
  }

  value(depth: number, folding: boolean): unknown {
    if (depth > depthLimit) throw new GoJsonError('exceeded max depth');
    const start = this.#peek(depth === 0 ? 'EOF' : 'unexpected EOF');
    if (start === '{') return this.#object(depth, folding);
    if (start === '[') return this.#array(depth, folding);
    if (start === '"') return this.#string();
    const word = /^(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)/.exec(
      this.#text.slice(this.#at, this.#at + 400),
    )?.[0];
    if (word === undefined) {
      if (/^(?:t|f|n|-)/.test(start) && this.#text.length - this.#at < 5) throw new GoJsonError('unexpected EOF');
      throw new GoJsonError(`invalid character '${start}' looking for beginning of value`);
    }
    this.#at += word.length;
    return JSON.parse(word) as unknown;
  }

  #object(depth: number, folding: boolean): GoObject {
    // Without a prototype: a key `__proto__` is a key like any other.
    const found = Object.create(null) as GoObject;
    this.#at++;
    if (this.#take('}')) return found;
    do {
      if (this.#peek('unexpected EOF') !== '"')
        throw new GoJsonError(`invalid character '${this.#text[this.#at]}' looking for beginning of object key string`);
      const written = this.#string();
      const key = folding ? fold(written) : written;
      if (!this.#take(':')) throw this.#unexpected('after object key');
      const value = this.value(depth + 1, folding && !maps.has(key));
      const earlier = found[key];
      if (isObject(earlier) && isObject(value)) Object.assign(earlier, value);
      else if (value !== null || !this.#isPlain(earlier)) found[key] = value;
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#unexpected('after object key:value pair');
    return found;
  }

  /** Strings are fields by value in every kind of request. */
  #isPlain(earlier: unknown): boolean {
    return typeof earlier === 'string' || (this.#plainFlags && typeof earlier === 'boolean');
  }

  #array(depth: number, folding: boolean): unknown[] {
    const found: unknown[] = [];
    this.#at++;
    if (this.#take(']')) return found;
    do found.push(this.value(depth + 1, folding));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#unexpected('after array element');
    return found;
  }

  #string(): string {
    const from = this.#at;
    for (let at = from + 1; at < this.#text.length; at++) {
      if (this.#text[at] === '\\') at++;
      else if (this.#text[at] === '"') {
        this.#at = at + 1;
        try {
          return (JSON.parse(this.#text.slice(from, at + 1)) as string).toWellFormed();
        } catch {
          throw new GoJsonError('invalid character in string literal');
        }
      }
    }
    throw new GoJsonError('unexpected EOF');
  }

  #peek(atEnd: string): string {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
    const character = this.#text[this.#at];
    if (character === undefined) throw new GoJsonError(atEnd);
    return character;
  }

  #take(character: string): boolean {
    if (this.#peek('unexpected EOF') !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(where: string): GoJsonError {
    return new GoJsonError(`invalid character '${this.#text[this.#at]}' ${where}`);
  }
}
