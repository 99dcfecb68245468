// The keys with which authorization servers sign access tokens: found by their metadata when they are first needed, kept for an
// hour, and read again when a token names a key that is not among them. Answers are bounded in size and time.
import type { FlattenedJWSInput, JWSHeaderParameters } from 'jose';
import { readWhole } from '../../upstream/bounded-answer.ts';

const mostBytes = 256 * 1024;
const patienceMs = 10_000;
const keptMs = 3_600_000;
/** How long keys that were just read, or could not be read, are not asked for again. */
const pauseMs = 10_000;
const mostIssuers = 256;

type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

export interface KeySet {
  readonly find: FindKey;
}

interface Read {
  readonly at: number;
  readonly find: Promise<FindKey>;
}

export class IssuerKeys {
  readonly #read = new Map<string, Read>();
  readonly #nowMs: () => number;

  /** `nowMs`: of a clock that is never set back. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Rejects if the issuer's keys cannot be read. */
  async of(issuer: string): Promise<KeySet> {
    await this.#keys(issuer, keptMs);
    return { find: (header, token) => this.#find(issuer, header, token) };
  }

  async #find(issuer: string, header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const { errors } = await import('jose');
    try {
      return await (await this.#keys(issuer, keptMs))(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // The issuer may have new keys.
      return (await this.#keys(issuer, pauseMs))(header, token);
    }
  }

  #keys(issuer: string, freshMs: number): Promise<FindKey> {
    const known = this.#read.get(issuer);
    if (known && this.#nowMs() - known.at < freshMs) return known.find;
    const read: Read = { at: this.#nowMs(), find: readKeys(issuer) };
    if (this.#read.size >= mostIssuers) this.#read.clear();
    this.#read.set(issuer, read);
    read.find.catch(() => {
      // Asked for again after a pause; until then the failure answers.
      if (this.#read.get(issuer) === read) this.#read.set(issuer, { ...read, at: read.at - keptMs + pauseMs });
    });
    return read.find;
  }
}

async function readKeys(issuer: string): Promise<FindKey> {
  const { jwks_uri: address } = await readMetadata(issuer);
  if (typeof address !== 'string' || !isFetchable(address)) throw new Error(`${issuer} names no jwks_uri`);
  const jwks = await readJson(address);
  const { createLocalJWKSet } = await import('jose');
  return createLocalJWKSet(jwks as unknown as Parameters<typeof createLocalJWKSet>[0]);
}

/**
 * RFC 8414 §3.1, and OpenID Connect Discovery §4 for those that have only that. The issuer must be the very one (RFC 8414
 * §3.3).
 */
async function readMetadata(issuer: string): Promise<Readonly<Record<string, unknown>>> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  let failure: unknown;
  for (const place of places)
    try {
      const metadata = await readJson(place);
      if (metadata['issuer'] === issuer) return metadata;
      failure = new Error(`${place} is of another issuer`);
    } catch (error) {
      failure = error;
    }
  throw failure;
}

async function readJson(address: string): Promise<Readonly<Record<string, unknown>>> {
  const signal = AbortSignal.timeout(patienceMs);
  const response = await fetch(address, { redirect: 'error', signal, headers: { accept: 'application/json' } });
  if (!response.ok || !response.body) throw new Error(`${address} answers with status ${response.status}`);
  const read: unknown = JSON.parse((await readWhole(piecesOf(response.body), mostBytes)).toString('utf8'));
  if (typeof read !== 'object' || read === null || Array.isArray(read)) throw new Error(`${address} is no object`);
  return read as Readonly<Record<string, unknown>>;
}

async function* piecesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const piece of body) yield Buffer.from(piece);
}

/** Keys from an unencrypted connection cannot be trusted, so plain HTTP is only allowed on this machine, for development. */
function isFetchable(address: string): boolean {
  const url = URL.parse(address);
  return (
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' && /^(?:localhost|\[::1\]|127(?:\.\d+){3})$/.test(url.hostname))
  );
}
