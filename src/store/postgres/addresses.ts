// The servers that DATABASE_URL names. As in libpq there can be several (`a:5432,b:5432`), of which only one is the primary.
import { readFileSync } from 'node:fs';
import { StoreAway, StoreUnusable } from '../unusable.ts';

const mayWrite = ['any', 'read-write', 'primary'];
/** Those of libpq that encrypt, and `verify-full`, which all of them are here: an address is never used with less than it asks for. */
const encrypts = ['prefer', 'require', 'verify-ca', 'verify-full'];
const modes = ['disable', 'no-verify', ...encrypts];
const files = ['sslrootcert', 'sslcert', 'sslkey'];

export class Addresses {
  readonly #all: readonly string[];
  #at = 0;
  /** Grows with every failover (PostgreSQL, "Timelines"). */
  #timeline = '';

  /** @throws StoreUnusable if the text is no address, asks for a server that can only be read, or names a file that cannot be read. */
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
    refuseUnusable(parameters);
    if (encrypts.includes(parameters.get('sslmode') ?? '') && !parameters.has('uselibpqcompat'))
      parameters.set('sslmode', 'verify-full');
    const rest = parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
    this.#all = hosts.split(',').map((host) => start + host + rest);
    if (!this.#all.every(isAddress))
      throw new StoreUnusable(
        'DATABASE_URL is not an address of PostgreSQL: postgres://user:password@host:5432/database. Percent-encode what is no letter or digit in user and password.',
      );
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

/** What the client would otherwise ignore, or fail on without a sentence. */
function refuseUnusable(parameters: URLSearchParams): void {
  const mode = parameters.get('sslmode');
  if (mode !== null && !modes.includes(mode))
    throw new StoreUnusable(`sslmode in DATABASE_URL must be disable, no-verify or verify-full, not ${mode}.`);
  for (const name of files) {
    const path = parameters.get(name);
    if (path === null) continue;
    try {
      readFileSync(path);
    } catch (error) {
      throw new StoreUnusable(
        `The file that DATABASE_URL names as ${name} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}. Check its path and mode.`,
      );
    }
  }
}

/** As the client reads it. */
function isAddress(text: string): boolean {
  try {
    return /^postgres(ql)?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}
