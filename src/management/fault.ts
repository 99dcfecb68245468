// Something that was asked of the management plane and cannot be; its message is one sentence for people.
export class Fault extends Error {
  override name = 'Fault';
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
