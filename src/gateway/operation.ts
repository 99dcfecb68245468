// Finds the requested operation: normalises the request target to its one canonical form, and looks it up in the tables
// of the dialects. The raw target is not used afterwards: policy, ledger and the upstream path all use the canonical
// form. Anything that is in no table is refused.
import { GatewayError } from '../domain/error.ts';
import type { Dialect, Operation } from './dialects/dialect.ts';
import { dialects } from './dialects/dialects.ts';

/** All operations, in the order of the dialects. */
export const operations: readonly Operation[] = dialects.flatMap((dialect) => dialect.operations);

// Routes without a parameter, by path; the three with one, by the text before it. A Map, because `constructor` is no
// route.
const fixed = new Map<string, Operation[]>();
const parametric: { readonly prefix: string; readonly operation: Operation }[] = [];
for (const operation of operations) {
  const brace = operation.path.indexOf('{');
  if (brace >= 0) parametric.push({ prefix: operation.path.slice(0, brace), operation });
  else fixed.set(operation.path, [...(fixed.get(operation.path) ?? []), operation]);
}

/** A request target in canonical form. */
export interface Target {
  /** Decoded path without the key; at least `/`. */
  readonly path: string;
  /** The key of /k/<key>/…, decoded. */
  readonly pathKey: string | undefined;
  /** Raw query without `?`. It is read for a signature's `ts` and for misplaced keys, and is not forwarded. */
  readonly query: string;
}

const maxPathLength = 4096;
/** Characters allowed in a path: RFC 3986 pchar and `/`, except `;`, which servers read in two ways. */
const plainPath = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/]*$/;

/** Where a name may contain a slash: a model with a namespace, which clients send as `%2F`. */
const modelPath = /^(?:\/k\/[^/]*)?\/v1\/models\//;

/**
 * Normalises a request target, or refuses it. Percent escapes are decoded once. An escape of a slash, backslash,
 * percent, control or non-ASCII byte is refused, and so are dot segments, fragments and absolute-form: each has made
 * two parsers see two paths (oauth2-proxy CVE-2026-41059, Envoy CVE-2021-29492, Oathkeeper CVE-2026-33494). Slashes
 * that a base URL doubled or appended are removed first (Ollama redirects such paths, and clients lose their body on
 * the way).
 * @throws GatewayError `bad_target`.
 */
export function canonicalTarget(raw: string): Target {
  const mark = raw.indexOf('?');
  const rawPath = mark < 0 ? raw : raw.slice(0, mark);
  const query = mark < 0 ? '' : raw.slice(mark + 1);
  if (rawPath.length > maxPathLength || raw.includes('#')) throw new GatewayError('bad_target');
  const plain = withoutIdleSlashes(rawPath);
  const path = plain.includes('%') ? decodePath(plain) : plain;
  // Double slashes that only appear after decoding do not come from a base URL.
  if (!plainPath.test(path) || path.includes('//') || path.includes('/.') || (path !== plain && path.endsWith('/')))
    throw new GatewayError('bad_target');
  if (!path.startsWith('/k/')) return { path, pathKey: undefined, query };
  const slash = path.indexOf('/', 3);
  return {
    pathKey: slash < 0 ? path.slice(3) : path.slice(3, slash),
    path: slash < 0 ? '/' : path.slice(slash),
    query,
  };
}

function withoutIdleSlashes(raw: string): string {
  const single = raw.includes('//') ? raw.replace(/\/{2,}/g, '/') : raw;
  return single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single;
}

function decodePath(raw: string): string {
  const nameAt = modelPath.exec(raw)?.[0].length ?? raw.length;
  return raw.replace(/%([0-9a-fA-F]{2})?/g, (_, hex: string | undefined, at: number) => {
    const code = hex === undefined ? 0 : Number.parseInt(hex, 16);
    const char = String.fromCharCode(code);
    if (char === '/' && at >= nameAt) return char;
    if (code < 0x21 || code > 0x7e || '/\\%#?;'.includes(char)) throw new GatewayError('bad_target');
    return char;
  });
}

/** One row of the table, and the target that matches it. */
export interface Matched {
  readonly operation: Operation;
  readonly target: Target;
  /** The value of the path's `{…}`, decoded; empty if the path has none. */
  readonly parameter: string;
}

/**
 * `webSocket`: the request asks for an upgrade, which no route supports.
 * @throws GatewayError `unknown_route`, `method_not_allowed` or `no_web_socket`.
 */
export function matchOperation(method: string, target: Target, webSocket = false): Matched {
  const candidates = fixed.get(target.path);
  if (candidates) return { operation: pickMethod(method, candidates, webSocket), target, parameter: '' };
  const under = parametric.filter(({ prefix, operation }) => isUnder(prefix, target.path, operation.model === 'path'));
  const prefix = under[0]?.prefix;
  if (prefix === undefined) throw new GatewayError('unknown_route');
  const operation = pickMethod(
    method,
    under.map((row) => row.operation),
    webSocket,
  );
  return { operation, target, parameter: target.path.slice(prefix.length) };
}

/** A parameter is one segment, or several if it is a model name. */
function isUnder(prefix: string, path: string, isName: boolean): boolean {
  return path.length > prefix.length && path.startsWith(prefix) && (isName || !path.includes('/', prefix.length));
}

function pickMethod(method: string, candidates: readonly Operation[], webSocket: boolean): Operation {
  for (const operation of candidates) if (operation.methods.includes(method)) return operation;
  if (webSocket) throw new GatewayError('no_web_socket');
  const allow = [...new Set(candidates.flatMap((operation) => operation.methods)), 'OPTIONS'].join(', ');
  throw new GatewayError('method_not_allowed', { allow });
}

/** The path for the upstream: built from the table, never from the client's text. */
export function upstreamPath({ operation, parameter }: Pick<Matched, 'operation' | 'parameter'>): string {
  const brace = operation.path.indexOf('{');
  return brace < 0
    ? operation.path
    : operation.path.slice(0, brace) + encodeURIComponent(parameter).replaceAll('%3A', ':');
}

/** Path prefixes of the dialects, longest first: the first match decides. */
const claims = dialects
  .flatMap((dialect) => dialect.paths.map((path) => ({ path, dialect })))
  .toSorted((a, b) => b.path.length - a.path.length);

const wordCharacter = /[A-Za-z0-9_-]/;

/** The dialect in which to refuse a call to this path. Also accepts raw and malformed paths. */
export function dialectOf(path: string): Dialect {
  const rest = path.startsWith('/k/') ? path.slice(path.indexOf('/', 3)) : path;
  for (const claim of claims)
    if (rest.startsWith(claim.path) && !wordCharacter.test(rest.charAt(claim.path.length))) return claim.dialect;
  return dialects[0];
}
