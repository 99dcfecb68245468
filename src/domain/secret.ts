// A value that must not be printed. Logs, JSON, template strings and the debugger show `[secret]`; only reveal()
// returns the text, so every use of the plain text can be found by searching for one word.
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
