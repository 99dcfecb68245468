// Reads an object of a request by a closed table: every member is either in the table or refused by its name. A member that is
// `null` counts as absent, as every server reads it.
import type { GatewayError } from '../../domain/error.ts';
import { type JsonValue, textOf } from '../payload/strict-json.ts';
import { type Span, unfit, untranslatable } from './translation.ts';

/** One member: its value and its path, for errors. */
export class Field {
  readonly bytes: Buffer;
  readonly value: JsonValue;
  readonly name: string;

  constructor(bytes: Buffer, value: JsonValue, name: string) {
    this.bytes = bytes;
    this.value = value;
    this.name = name;
  }

  /** @throws GatewayError `invalid_request` for another type; so do the others. */
  text(): string {
    if (this.value.kind !== 'string') throw this.wrong('must be a string');
    return textOf(this.bytes, this.value);
  }

  /** Whether it is the empty string; the text is not decoded. */
  isEmptyText(): boolean {
    const { start, end } = this.textSpan();
    return end - start === 2;
  }

  /** The range of a string, with its quotes. */
  textSpan(): Span {
    if (this.value.kind !== 'string') throw this.wrong('must be a string');
    return this.value;
  }

  number(): number {
    if (this.value.kind !== 'number') throw this.wrong('must be a number');
    return Number(this.bytes.toString('latin1', this.value.start, this.value.end));
  }

  flag(): boolean {
    if (this.value.kind !== 'boolean') throw this.wrong('must be true or false');
    return this.bytes[this.value.start] === 0x74;
  }

  /** The elements of a list that the outline reads. */
  items(): Field[] {
    if (!this.value.items) throw this.wrong('must be a list');
    return this.value.items.map((item, at) => new Field(this.bytes, item, `${this.name}[${at}]`));
  }

  /** The members of an object that the outline reads: each has a handler in the table, or is refused. */
  members(table: Readonly<Record<string, (member: Field) => void>>): void {
    if (!this.value.members) throw this.wrong('must be an object');
    for (const [name, value] of this.value.members) {
      if (value.kind === 'null') continue;
      const path = this.name === '' ? name : `${this.name}.${name}`;
      if (!Object.hasOwn(table, name)) throw untranslatable(path);
      table[name]?.(new Field(this.bytes, value, path));
    }
  }

  wrong(what: string): GatewayError {
    return unfit(this.name, what);
  }
}
