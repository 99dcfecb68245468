// Puts together the body for a server from what a translation returns: its members, and those that every translated call
// has. Ranges of the caller's body are copied as they are, so numbers keep all their digits and long texts are not built
// as strings.
import type { Translated, Written } from './translation.ts';

/** The members that do not depend on the translation. */
export interface Common {
  /** As the server spells it. */
  readonly model: string;
  /** Undefined for a route that never streams. */
  readonly stream: boolean | undefined;
  /** Ask for the usage of the stream. */
  readonly asksForUsage: boolean;
}

export class ServerBody {
  readonly #source: Buffer;
  readonly #parts: (Buffer | string)[] = [];
  /** Bytes of the whole body. */
  length = 0;

  /** `source`: the caller's body, which ranges refer to. */
  constructor(source: Buffer, { members }: Translated, { model, stream, asksForUsage }: Common) {
    this.#source = source;
    this.#add(`{"model":${JSON.stringify(model)}`);
    for (const [name, value] of members) {
      this.#add(`,${JSON.stringify(name)}:`);
      this.#addWritten(value);
    }
    if (stream !== undefined) this.#add(`,"stream":${stream}`);
    if (asksForUsage) this.#add(',"stream_options":{"include_usage":true}');
    this.#add('}');
  }

  bytes(): Buffer {
    const bytes = Buffer.allocUnsafe(this.length);
    let at = 0;
    for (const part of this.#parts) at += typeof part === 'string' ? bytes.write(part, at) : part.copy(bytes, at);
    return bytes;
  }

  #addWritten(value: Written): void {
    if (typeof value === 'string') this.#add(value);
    else if ('start' in value) this.#add(this.#source.subarray(value.start, value.end));
    else for (const each of value) this.#addWritten(each);
  }

  #add(part: Buffer | string): void {
    this.#parts.push(part);
    this.length += Buffer.byteLength(part);
  }
}
