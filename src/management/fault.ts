// Something that was asked of the management plane and cannot be; its message is one sentence for people.
export class Fault extends Error {
  override name = 'Fault';
  readonly kind: FaultKind;

  constructor(message: string, kind: FaultKind = 'invalid') {
    super(message);
    this.kind = kind;
  }
}

/** It cannot be meant so; it is not allowed; it is not there; or it does not go together with what is there. */
export type FaultKind = 'invalid' | 'forbidden' | 'not_found' | 'conflict';

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
