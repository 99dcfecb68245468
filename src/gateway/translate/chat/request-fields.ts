// Reads an object of a request whose fields are translated one by one. `end` refuses any field that was not read, so a
// field that the translation does not know is never dropped silently.
import type { GatewayError } from '../../../domain/error.ts';
import { isFields } from '../../answer/model-error.ts';
import { unfit, untranslatable } from '../translation.ts';
import { numberOf } from './exact-json.ts';

const wrong = (field: string, must: string): GatewayError => unfit(field, `must be ${must}`);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isFields(value) && numberOf(value) === undefined;

/** The value is the caller's text. */
export const unknownValue = (field: string, value: string): GatewayError =>
  untranslatable(field, /^[\w.-]{1,60}$/.test(value) ? `has no counterpart there for "${value}"` : undefined);

export class RequestFields {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly path: string;
  readonly #read = new Set<string>();

  /** `path` names the object in refusals; empty for the body. @throws GatewayError unless the value is an object. */
  constructor(value: unknown, path: string) {
    if (!isObject(value)) throw wrong(path, 'an object');
    this.#value = value;
    this.path = path;
  }

  /** How a refusal names a field. */
  at(name: string): string {
    // A name that is not in any table can be long.
    const short = name.slice(0, 80);
    return this.path === '' ? short : `${this.path}.${short}`;
  }

  /** A field as it is; undefined if it is absent or null, which means the same everywhere. */
  any(name: string): unknown {
    this.#read.add(name);
    return Object.hasOwn(this.#value, name) ? (this.#value[name] ?? undefined) : undefined;
  }

  text(name: string): string | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === 'string') return value;
    throw wrong(this.at(name), 'a string');
  }

  requiredText(name: string): string {
    const text = this.text(name);
    if (text === undefined) throw unfit(this.at(name), 'is required');
    return text;
  }

  /** The number as it was written. */
  number(name: string): unknown {
    const value = this.any(name);
    if (value === undefined || numberOf(value) !== undefined) return value;
    throw wrong(this.at(name), 'a number');
  }

  flag(name: string): boolean | undefined {
    const value = this.any(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw wrong(this.at(name), 'true or false');
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.any(name);
    if (value === undefined || Array.isArray(value)) return value as readonly unknown[] | undefined;
    throw wrong(this.at(name), 'a list');
  }

  texts(name: string): readonly string[] | undefined {
    const list = this.list(name);
    if (list?.every((value) => typeof value === 'string') !== false) return list;
    throw wrong(this.at(name), 'a list of strings');
  }

  fields(name: string): RequestFields | undefined {
    const value = this.any(name);
    return value === undefined ? undefined : new RequestFields(value, this.at(name));
  }

  /** An object that is passed on whole, such as a schema. */
  object(name: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.any(name);
    if (value === undefined || isObject(value)) return value;
    throw wrong(this.at(name), 'an object');
  }

  /** The objects of a list, each with the name of its place. */
  *each(name: string): Iterable<RequestFields> {
    const list = this.list(name) ?? [];
    for (const [at, value] of list.entries()) yield new RequestFields(value, `${this.at(name)}[${at}]`);
  }

  /** One of these values; undefined if absent. @throws GatewayError for any other. */
  oneOf<const Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const value = this.text(name);
    if (value === undefined || (values as readonly string[]).includes(value)) return value as Value | undefined;
    throw unknownValue(this.at(name), value);
  }

  /** Fields that are known and change nothing there. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#read.add(name);
  }

  /** @throws GatewayError for a field that was not read, unless it is null. */
  end(): void {
    for (const [name, value] of Object.entries(this.#value))
      if (value !== null && !this.#read.has(name)) throw untranslatable(this.at(name));
  }
}
