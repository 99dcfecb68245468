// The allow-list of forwarded headers, in each direction. A header that neither this file nor the caller's dialect names is
// dropped: no credential, cookie, origin or forwarding header reaches a model server, and no hop-by-hop or CORS header of
// one reaches a client. Ollama forwards every request header to ollama.com for cloud models (ollama-api §6), so a deny-list
// would leak. A response header is relayed only if its value is well-formed, so that it cannot carry free text.
// Headers that the Connection header nominates are dropped too (RFC 9110 §7.6.1), but never the gateway's own.
import type { IncomingHttpHeaders } from 'node:http';

/** Headers of every request. */
export const toUpstream: readonly string[] = ['accept', 'accept-language', 'traceparent', 'tracestate', 'user-agent'];

const cacheWord = '(?:no-cache|no-store|no-transform|private|public|must-revalidate|(?:s-)?max-?age=\\d{1,9})';
const media = "[\\w!#$&^.+'-]{1,80}";

/** Headers that may reach a client, with the form of their values. Free text could contain the gate's credentials. */
const toClient = new Map<string, RegExp>([
  ['cache-control', new RegExp(`^${cacheWord}(?:, *${cacheWord}){0,5}$`, 'i')],
  ['content-encoding', /^(?:x-)?(?:gzip|deflate|br|zstd|identity)$/i],
  ['content-length', /^\d{1,16}$/],
  ['content-type', new RegExp(`^${media}/${media}(?: *; *${media}=(?:${media}|"${media}")){0,3}$`)],
  // Seconds, or a date as RFC 9110 section 5.6.7 writes it.
  ['retry-after', /^(?:\d{1,9}|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT)$/],
]);

/** Types that model servers send all the time. They are known to be well-formed and need no regular expression. */
const usualTypes = new Set(['application/json', 'application/json; charset=utf-8', 'application/x-ndjson']);

/**
 * Header lines for the model server, as name, value, name, value. The HTTP client sets host and framing. `bodyType`: the
 * type as which the gateway parsed the body; with the caller's own Content-Type, another parser might read it. `own`: the
 * gateway's lines for this server, instead of a caller's of the same name. `names`: the headers to forward.
 */
export function upstreamHeaders(
  headers: IncomingHttpHeaders,
  via: string,
  own: readonly string[],
  bodyType?: string,
  names: readonly string[] = toUpstream,
): string[] {
  const lines: string[] = ['via', headers.via === undefined ? via : `${headers.via}, ${via}`, ...own];
  const nominated = nominatedBy(headers);
  for (const name of names) {
    const value = headers[name];
    if (typeof value === 'string' && !nominated?.has(name) && (own.length === 0 || !own.includes(name)))
      lines.push(name, value);
  }
  if (bodyType !== undefined) lines.push('content-type', bodyType);
  return lines;
}

/**
 * Header lines for the client, as name, value, name, value, in the order in which the model server sent them, without
 * malformed values.
 */
export function clientHeaders(headers: IncomingHttpHeaders): string[] {
  const lines: string[] = [];
  const nominated = nominatedBy(headers);
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === 'string' && mayReachClient(name, value) && !nominated?.has(name)) lines.push(name, value);
  }
  return lines;
}

function mayReachClient(name: string, value: string): boolean {
  return (name === 'content-type' && usualTypes.has(value)) || toClient.get(name)?.test(value) === true;
}

/** Headers that apply to that connection only, in lower case; undefined if there are none, which is the usual case. */
function nominatedBy({ connection }: IncomingHttpHeaders): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  // undici gives a repeated header as an array, which String() joins with commas.
  return new Set(Array.from(String(connection).split(','), (name) => name.trim().toLowerCase()));
}

/** The same lines with another length, or with none. */
export function replaceLength(lines: readonly string[], length: number | undefined): string[] {
  const kept: string[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] !== 'content-length') kept.push(lines[i] as string, lines[i + 1] as string);
  }
  return length === undefined ? kept : [...kept, 'content-length', String(length)];
}
