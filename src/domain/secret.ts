// A value that must not be printed. Logging, JSON, template strings and the debugger all show `[secret]`;
// only reveal() gives the text back, so that every use of the plain text can be found by searching for one word.
import { inspect } from 'node:util';

export class Secret {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  reveal(): string {
    return this.#text;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}
