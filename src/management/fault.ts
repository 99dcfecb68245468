// Something that was asked of the management plane and cannot be; its message is one sentence for people.
import { readLabel, readProse } from '../domain/label.ts';
import { Refusal } from '../domain/refusal.ts';

export class Fault extends Refusal {
  override name = 'Fault';
}

/** A name on one line, as domain/label reads it. @throws Fault. */
export const requireText = (what: string, text: string, most: number): string =>
  wordOf(what, () => readLabel(text, most));

/** A text of several lines, as domain/label reads it. @throws Fault. */
export const requireProse = (what: string, text: string, most: number): string =>
  wordOf(what, () => readProse(text, most));

function wordOf(what: string, read: () => string): string {
  try {
    return read();
  } catch (error) {
    throw new Fault(`The ${what} ${(error as Error).message}.`);
  }
}

/** Turns the message of a reader in domain/ into a sentence for the caller. @throws Fault. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { message } = error as Error;
    throw new Fault(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
  }
}
