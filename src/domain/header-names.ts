// Which headers pass between a caller and a published service. Everything that is not listed is dropped, so a name that a
// server might fold onto one of ours (X_Forwarded_Prefix, X.Forwarded.Prefix: Traefik CVE-2026-54763, CVE-2026-88011)
// never gets through; and no list may name what belongs to the gate or to one connection.
import { Unreadable } from './sentences.ts';

/** A name of a header as servers behind CGI-like interfaces read it: letter case, `_`, `.` and `-` make no difference. */
export const foldName = (name: string): string => name.toLowerCase().replaceAll(/[_.]/g, '-');

/** Set by the gate, about a connection or its framing, or with a credential. */
const reserved = new Set([
  'authorization',
  'api-key',
  'connection',
  'content-length',
  'cookie',
  'cookie2',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'location',
  'origin',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'x-api-key',
  'x-real-ip',
  'x-request-id',
]);
const reservedFamilies = ['x-forwarded', 'x-original', 'x-rewrite', 'sec-', 'x-sekisho', 'proxy-'];
/** Of answers also those with which a page could leave its bounds. */
const reservedOfAnswers = new Set([
  'clear-site-data',
  'content-security-policy',
  'content-security-policy-report-only',
  'cross-origin-embedder-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'refresh',
  'reporting-endpoints',
  'service-worker-allowed',
  'sourcemap',
  'strict-transport-security',
  'alt-svc',
  'public-key-pins',
  'x-content-type-options',
  'x-frame-options',
  // Commands to a proxy in front of the gateway: to send one of its own files, or to keep an answer for everybody.
  'surrogate-control',
  'x-accel-charset',
  'x-accel-expires',
  'x-accel-limit-rate',
  'x-accel-redirect',
  'x-lighttpd-send-file',
  'x-sendfile',
  'x-sendfile2',
]);
/** Targeted at one kind of cache, they replace Cache-Control there (RFC 9213 §2.2). */
const targetedCaching = '-cache-control';

export type Direction = 'request' | 'response';

/** What passes of every route. */
export const usualHeaders: Readonly<Record<Direction, readonly string[]>> = {
  request: [
    'accept',
    'accept-encoding',
    'accept-language',
    'cache-control',
    'content-encoding',
    'content-language',
    'content-type',
    'if-match',
    'if-modified-since',
    'if-none-match',
    'if-range',
    'if-unmodified-since',
    'last-event-id',
    'prefer',
    'range',
    'traceparent',
    'tracestate',
    'user-agent',
    'x-requested-with',
  ],
  response: [
    'accept-ranges',
    'age',
    'cache-control',
    'content-disposition',
    'content-encoding',
    'content-language',
    'content-range',
    'content-type',
    'date',
    'etag',
    'expires',
    'last-modified',
    'retry-after',
    'vary',
    'x-accel-buffering',
  ],
};

const shape = /^[a-z0-9!#$%&'+^`|~-][a-z0-9!#$%&'+^`|~._-]{0,63}$/;

/**
 * Reads the names of an allow-list; `mcp-param-*` stands for every name that begins so.
 * @throws Unreadable for a name that may not be listed.
 */
export function readHeaderNames(names: readonly string[], direction: Direction): string[] {
  return names.map((given) => {
    const name = given.toLowerCase();
    const isFamily = name.endsWith('*');
    const plain = isFamily ? name.slice(0, -1) : name;
    if (!shape.test(plain)) throw new Unreadable('option_header', { name: given.slice(0, 80) });
    if (isFamily && !/^[a-z0-9]+(?:-[a-z0-9]+)+-$/.test(plain)) throw new Unreadable('option_header_family', { name });
    if (isReserved(plain, direction)) throw new Unreadable('option_header_own', { name });
    return name;
  });
}

/** Whether the name, or any that begins so, is one that only the gate may set. */
export function isReserved(name: string, direction: Direction): boolean {
  const folded = foldName(name);
  if (reserved.has(folded) || reservedFamilies.some((family) => folded.startsWith(family))) return true;
  return (
    direction === 'response' &&
    (reservedOfAnswers.has(folded) || folded.startsWith('access-control-') || folded.endsWith(targetedCaching))
  );
}

export interface AllowList {
  /** `name` in lower case. */
  allows(name: string): boolean;
}

/** The usual headers and the listed ones. */
export function allowListOf(listed: readonly string[], direction: Direction): AllowList {
  const names = new Set([...usualHeaders[direction], ...listed.filter((name) => !name.endsWith('*'))]);
  const families = listed.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  if (families.length === 0) return { allows: (name) => names.has(name) };
  return {
    allows: (name) =>
      names.has(name) || (families.some((family) => name.startsWith(family)) && !isReserved(name, direction)),
  };
}
