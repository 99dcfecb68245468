// By which name pages reach this gate. With PUBLIC_URL there is one; without it the names are this machine's own, so that the
// first five minutes need no setting, and a stranger's name that was made to point here (DNS rebinding) opens nothing.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

export class Origins {
  readonly #url: URL;
  readonly #fixed: boolean;
  readonly #names: () => readonly string[];

  /**
   * `url` is where links point; `fixed`: the operator said so, and no other name will do. `names`: those that the gate has
   * a certificate for; another name that points here fails in the handshake.
   */
  constructor(url: URL, fixed: boolean, names: () => readonly string[] = () => []) {
    this.#url = url;
    this.#fixed = fixed;
    this.#names = names;
  }

  /** Is the request for a page under a name of ours? */
  knows({ headers, rawHeaders = [] }: Pick<IncomingMessage, 'headers'> & Partial<IncomingMessage>): boolean {
    // Of two Host lines Node shows the first, and a proxy in front may have read the other (RFC 9112, section 3.2).
    if (rawHeaders.filter((word, at) => at % 2 === 0 && /^host$/i.test(word)).length > 1) return false;
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
   * Does a browser say that another site asked for it? It says so by itself, and no page can make it say otherwise (Fetch
   * Metadata; RFC 6454 for browsers that only say Origin). Programs send neither, and carry no cookies.
   */
  isForeign(request: Pick<IncomingMessage, 'headers' | 'method'>): boolean {
    const { headers, method } = request;
    const site = headers['sec-fetch-site'];
    const { origin } = headers;
    if (site === undefined && origin === undefined) return false;
    if (!this.knows(request)) return true;
    if (origin !== undefined && !this.#isHere(origin, headers.host ?? '')) return true;
    // "none" is an address that somebody typed; that changes nothing.
    return site !== undefined && site !== 'same-origin' && !(site === 'none' && isSafe(method));
  }

  /** May the request act with the cookie it carries? A request that changes something must say where it comes from. */
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
 * A Host header as an address has it: names in lower case (RFC 9110 §4.2.3), without the port that the scheme has anyway,
 * which some proxies and programs write. Empty where it is none.
 */
function canonicalHost(host: string, protocol: string): string {
  if (!/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host)) return '';
  const address = `${protocol}//${host}`;
  return URL.canParse(address) ? new URL(address).host : '';
}

const isSafe = (method: string | undefined): boolean => method === 'GET' || method === 'HEAD';
