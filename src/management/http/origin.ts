// The host names under which pages reach this gateway. With PUBLIC_URL there is one; without it, the names of this machine are
// accepted, so that the first minutes need no setting, while other names that point here (DNS rebinding) are refused.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

export class Origins {
  readonly #url: URL;
  readonly #fixed: boolean;
  readonly #names: () => readonly string[];

  /**
   * `url`: where links point. `fixed`: the operator has set it, and no other name is accepted. `names`: names for which the
   * gateway has a
   * certificate; other names fail in the handshake.
   */
  constructor(url: URL, fixed: boolean, names: () => readonly string[] = () => []) {
    this.#url = url;
    this.#fixed = fixed;
    this.#names = names;
  }

  /** Whether the request uses one of the gateway's names. */
  knows({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
    const host = headers.host ?? '';
    if (this.#fixed) return canonicalHost(host, this.#url.protocol) === this.#url.host;
    const name = host
      .replace(/:\d+$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase();
    const own = hostname().toLowerCase();
    const known = name === 'localhost' || isIP(name) !== 0 || name === own || name === `${own}.local`;
    return known || this.#names().includes(name);
  }

  /**
   * Whether a browser reports that another site caused the request. Pages cannot change these headers (Fetch Metadata; RFC 6454 for
   * browsers that only send Origin). Programs send neither, and have no cookies.
   */
  isForeign(request: Pick<IncomingMessage, 'headers' | 'method'>): boolean {
    const { headers, method } = request;
    const site = headers['sec-fetch-site'];
    const { origin } = headers;
    if (site === undefined && origin === undefined) return false;
    if (!this.knows(request)) return true;
    if (origin !== undefined && !this.#isHere(origin, headers.host ?? '')) return true;
    // "none": the person entered the address, which changes nothing.
    return site !== undefined && site !== 'same-origin' && !(site === 'none' && isSafe(method));
  }

  /** Whether the cookie of the request counts. A request that changes something must state its origin. */
  isOurs(request: Pick<IncomingMessage, 'headers' | 'method'>): boolean {
    const { headers, method } = request;
    if (this.isForeign(request) || !this.knows(request)) return false;
    return isSafe(method) || headers['sec-fetch-site'] !== undefined || headers.origin !== undefined;
  }

  #isHere(origin: string, host: string): boolean {
    if (this.#fixed) return origin === this.#url.origin;
    return ['http:', 'https:'].some((protocol) => origin === `${protocol}//${canonicalHost(host, protocol)}`);
  }
}

/**
 * Normalizes a Host header: names in lower case (RFC 9110 §4.2.3), without the default port of the scheme, which some proxies and
 * programs send. Empty if it is not valid.
 */
function canonicalHost(host: string, protocol: string): string {
  if (!/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host)) return '';
  const address = `${protocol}//${host}`;
  return URL.canParse(address) ? new URL(address).host : '';
}

const isSafe = (method: string | undefined): boolean => method === 'GET' || method === 'HEAD';
