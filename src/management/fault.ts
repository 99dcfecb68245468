// Something that was asked of the management plane and cannot be; its message is one sentence for people.
import { Refusal } from '../domain/refusal.ts';

export class Fault extends Refusal {
  override name = 'Fault';
}

/** What a person wrote, trimmed. @throws Fault where nothing is left, or too much. */
export function requireText(what: string, text: string, most: number): string {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed.length > most)
    throw new Fault(`The ${what} needs 1 to ${most.toLocaleString('en-US')} characters.`);
  return trimmed;
}

/** What a reader of domain/ says in plain words becomes a sentence for whoever asked. @throws Fault. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { message } = error as Error;
    throw new Fault(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
  }
}
