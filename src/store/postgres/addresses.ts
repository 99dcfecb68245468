// The servers that DATABASE_URL names. As in libpq there can be several (`a:5432,b:5432`), of which only one is the primary.
import { StoreAway, StoreUnusable } from '../unusable.ts';

const mayWrite = ['any', 'read-write', 'primary'];

export class Addresses {
  readonly #all: readonly string[];
  #at = 0;
  /** Grows with every failover (PostgreSQL, "Timelines"). */
  #timeline = '';

  /** @throws StoreUnusable if the address asks for a server that can only be read. */
  constructor(url: string) {
    const [, start = '', hosts = '', end = ''] = /^([a-z]+:\/\/(?:.*@)?)([^/@?]*)(.*)$/s.exec(url) ?? [];
    const [path = '', search] = end.split('?');
    const parameters = new URLSearchParams(search);
    const wanted = parameters.get('target_session_attrs') ?? 'any';
    if (!mayWrite.includes(wanted))
      throw new StoreUnusable(
        `The gateway needs a server that it can write to. Set target_session_attrs in DATABASE_URL to read-write, not ${wanted}.`,
      );
    parameters.delete('target_session_attrs');
    const rest = parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
    this.#all = hosts.split(',').map((host) => start + host + rest);
  }

  get count(): number {
    return this.#all.length;
  }

  /** Where the next connection leads. */
  get now(): string {
    return this.#all[this.#at % this.#all.length] as string;
  }

  /** Goes on to the next server, unless another connection has found this one away before. */
  leave(address: string): void {
    if (this.now === address) this.#at++;
  }

  /**
   * Among several servers, a former primary that came back is one that writes, too, but on an older timeline.
   * @throws StoreAway
   */
  refuseFormer(timeline: string): void {
    if (timeline < this.#timeline)
      throw new StoreAway('PostgreSQL at this address is a former primary: another server has taken its place.');
    this.#timeline = timeline;
  }
}
