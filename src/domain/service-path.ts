// The one rule for paths of published services, over HTTP and for WebSocket upgrades. What passes has a single reading:
// the gate decides by the same text that the service gets. Differences between two readers of a path are the oldest way
// past a proxy (Traefik's filter of encoded characters; @fastify/http-proxy refused %5C over HTTP and forwarded it in
// upgrades).
import { GatewayError } from './error.ts';

const most = 8192;
/** RFC 3986 pchar and `/` without `;`, which servers read in two ways, and escapes. */
const plainPath = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*$/;
/** Visible ASCII without `#`; Node's parser lets more through. */
const plainQuery = /^[!-"$-~]*$/;
/** Escapes that no client has to send: of letters, digits and `-._~`, which mean the same without (RFC 3986 §2.3). */
const idle = /[A-Za-z0-9\-._~]/;
/** Escapes that change how a path is divided or ended once they are decoded. */
const dividing = '/\\%;?#';
/** Those that take two bytes; U+2028 and U+2029 end lines, as U+0085 does. */
const otherControls = /[\u0080-\u009F\u2028\u2029]/;

export interface ServiceTarget {
  /** As the caller sent it, without the key; at least `/`. */
  readonly path: string;
  /** The key of /k/<key>/…. */
  readonly pathKey: string | undefined;
  /** Without `?`. */
  readonly query: string;
}

/**
 * Refuses a path with dot segments, empty segments, a backslash or a control character, also as an escape; with an escaped
 * delimiter; with escapes that are not UTF-8; and with escapes of characters that need none.
 * @throws GatewayError `bad_target`.
 */
export function readServicePath(raw: string): ServiceTarget {
  const mark = raw.indexOf('?');
  const whole = mark < 0 ? raw : raw.slice(0, mark);
  const query = mark < 0 ? '' : raw.slice(mark + 1);
  if (raw.length > most || !plainQuery.test(query)) throw new GatewayError('bad_target');
  const { path, pathKey } = takeKey(whole);
  if (!plainPath.test(path) || path.includes('//') || /\/\.{1,2}(?:\/|$)/.test(path))
    throw new GatewayError('bad_target');
  if (path.includes('%')) refuseEscapes(path);
  return { path, pathKey, query };
}

/** Keys consist of letters, digits and `_`; one of the settings may have more, but no escape. */
function takeKey(whole: string): { readonly path: string; readonly pathKey: string | undefined } {
  if (!whole.startsWith('/k/')) return { path: whole, pathKey: undefined };
  const slash = whole.indexOf('/', 3);
  const key = slash < 0 ? whole.slice(3) : whole.slice(3, slash);
  if (key.includes('%')) throw new GatewayError('bad_target');
  return { path: slash < 0 ? '/' : whole.slice(slash), pathKey: key };
}

function refuseEscapes(path: string): void {
  for (const [, hex = ''] of path.matchAll(/%(..)/g)) {
    const code = Number.parseInt(hex, 16);
    const char = String.fromCharCode(code);
    if (code < 0x20 || code === 0x7f || dividing.includes(char) || idle.test(char))
      throw new GatewayError('bad_target');
  }
  let text: string;
  try {
    text = decodeURIComponent(path);
  } catch {
    throw new GatewayError('bad_target');
  }
  if (otherControls.test(text)) throw new GatewayError('bad_target');
}

/** What follows the prefix, beginning with `/`. The prefix ends on the border of a segment, or with the path. */
export const restOf = (path: string, prefix: string): string => path.slice(prefix.length) || '/';

/** Whether the path is the prefix, or lies under it. */
export const isUnder = (path: string, prefix: string): boolean =>
  path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f);
