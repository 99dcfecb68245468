// The closed table of what can be asked, and the canonical form of the address it is asked with.
// Takes the raw request target; proves that exactly one known operation is meant. The raw target is never looked at
// again: policy, ledger and the upstream's address all use what stands here. Anything not in the table is refused.
import { GatewayError } from '../domain/error.ts';
import type { Scope } from '../domain/scope.ts';

export type Dialect = 'ollama' | 'openai' | 'anthropic';

/** What travels in the request body. `blob` is streamed through and never held. */
export type BodyKind = 'none' | 'json' | 'multipart' | 'blob';

/** Where the body names models, and how the names are to be read (ollama-api §2). */
export type ModelSource = 'none' | 'model' | 'model-or-name' | 'create' | 'copy' | 'path' | 'form';

/** How the answer is metered and, where a stream has one, by what mark its end is known. */
export type ReplyKind =
  | 'plain'
  | 'ollama-generation'
  | 'ollama-embedding'
  | 'ollama-progress'
  | 'ollama-models'
  | 'openai-completion'
  | 'openai-responses'
  | 'openai-embedding'
  | 'openai-transcription'
  | 'openai-models'
  | 'anthropic-messages'
  | 'anthropic-count';

/** Which set of time limits holds: a generation, a quick look, or a transfer that may take hours. */
export type TimeClass = 'inference' | 'metadata' | 'transfer';

export interface Operation {
  readonly name: string;
  readonly methods: readonly string[];
  /** Canonical path; `{…}` stands for one segment. */
  readonly path: string;
  readonly dialect: Dialect;
  readonly scope: Scope;
  readonly body: BodyKind;
  readonly model: ModelSource;
  /** What a missing `stream` means; null where the operation never streams. */
  readonly streamDefault: boolean | null;
  readonly reply: ReplyKind;
  readonly time: TimeClass;
}

type Row = readonly [
  name: string,
  methods: string,
  path: string,
  scope: Scope,
  body: BodyKind,
  model: ModelSource,
  streamDefault: boolean | null,
  reply: ReplyKind,
  time: TimeClass,
];

// The routes of Ollama's server (ollama-api §1). The table is the table of contents of the data plane: a new route of
// Ollama's is refused until somebody writes its line here.
const rows: readonly Row[] = [
  ['version', 'GET HEAD', '/api/version', 'metadata', 'none', 'none', null, 'plain', 'metadata'],
  ['tags', 'GET HEAD', '/api/tags', 'metadata', 'none', 'none', null, 'ollama-models', 'metadata'],
  ['ps', 'GET', '/api/ps', 'metadata', 'none', 'none', null, 'ollama-models', 'metadata'],
  ['show', 'POST', '/api/show', 'metadata', 'json', 'model-or-name', null, 'plain', 'metadata'],
  ['generate', 'POST', '/api/generate', 'inference:chat', 'json', 'model', true, 'ollama-generation', 'inference'],
  ['chat', 'POST', '/api/chat', 'inference:chat', 'json', 'model', true, 'ollama-generation', 'inference'],
  ['embed', 'POST', '/api/embed', 'inference:embed', 'json', 'model', null, 'ollama-embedding', 'inference'],
  ['embeddings', 'POST', '/api/embeddings', 'inference:embed', 'json', 'model', null, 'ollama-embedding', 'inference'],
  ['pull', 'POST', '/api/pull', 'models:pull', 'json', 'model-or-name', true, 'ollama-progress', 'transfer'],
  ['push', 'POST', '/api/push', 'models:push', 'json', 'model-or-name', true, 'ollama-progress', 'transfer'],
  ['create', 'POST', '/api/create', 'models:create', 'json', 'create', true, 'ollama-progress', 'transfer'],
  ['copy', 'POST', '/api/copy', 'models:copy', 'json', 'copy', null, 'plain', 'transfer'],
  ['delete', 'DELETE', '/api/delete', 'models:delete', 'json', 'model-or-name', null, 'plain', 'metadata'],
  ['blob-check', 'HEAD', '/api/blobs/{digest}', 'models:create', 'none', 'none', null, 'plain', 'metadata'],
  ['blob-upload', 'POST', '/api/blobs/{digest}', 'models:create', 'blob', 'none', null, 'plain', 'transfer'],
  ['status', 'GET', '/api/status', 'account', 'none', 'none', null, 'plain', 'metadata'],
  ['me', 'POST', '/api/me', 'account', 'none', 'none', null, 'plain', 'metadata'],
  ['signout', 'POST', '/api/signout', 'account', 'none', 'none', null, 'plain', 'metadata'],
  ['key-delete', 'DELETE', '/api/user/keys/{key}', 'account', 'none', 'none', null, 'plain', 'metadata'],
  ['web-search', 'POST', '/api/experimental/web_search', 'cloud', 'json', 'none', null, 'plain', 'inference'],
  ['web-fetch', 'POST', '/api/experimental/web_fetch', 'cloud', 'json', 'none', null, 'plain', 'inference'],
  [
    'recommendations',
    'GET',
    '/api/experimental/model-recommendations',
    'models:pull',
    'none',
    'none',
    null,
    'plain',
    'metadata',
  ],

  [
    'chat-completions',
    'POST',
    '/v1/chat/completions',
    'inference:chat',
    'json',
    'model',
    false,
    'openai-completion',
    'inference',
  ],
  [
    'completions',
    'POST',
    '/v1/completions',
    'inference:chat',
    'json',
    'model',
    false,
    'openai-completion',
    'inference',
  ],
  ['responses', 'POST', '/v1/responses', 'inference:chat', 'json', 'model', false, 'openai-responses', 'inference'],
  [
    'openai-embeddings',
    'POST',
    '/v1/embeddings',
    'inference:embed',
    'json',
    'model',
    null,
    'openai-embedding',
    'inference',
  ],
  [
    'transcriptions',
    'POST',
    '/v1/audio/transcriptions',
    'inference:audio',
    'multipart',
    'form',
    null,
    'openai-transcription',
    'inference',
  ],
  ['models', 'GET', '/v1/models', 'metadata', 'none', 'none', null, 'openai-models', 'metadata'],
  ['model', 'GET', '/v1/models/{model}', 'metadata', 'none', 'path', null, 'plain', 'metadata'],

  ['messages', 'POST', '/v1/messages', 'inference:chat', 'json', 'model', false, 'anthropic-messages', 'inference'],
  [
    'count-tokens',
    'POST',
    '/v1/messages/count_tokens',
    'inference:chat',
    'json',
    'model',
    null,
    'anthropic-count',
    'metadata',
  ],
];

export const operations: readonly Operation[] = rows.map(
  ([name, methods, path, scope, body, model, streamDefault, reply, time]) => ({
    name,
    methods: methods.split(' '),
    path,
    dialect: dialectOf(path),
    scope,
    body,
    model,
    streamDefault,
    reply,
    time,
  }),
);

// Routes without a parameter, by path; the three with one, by the text before it. A Map: `constructor` is no route.
const fixed = new Map<string, Operation[]>();
const parametric: { readonly prefix: string; readonly operation: Operation }[] = [];
for (const operation of operations) {
  const brace = operation.path.indexOf('{');
  if (brace >= 0) parametric.push({ prefix: operation.path.slice(0, brace), operation });
  else fixed.set(operation.path, [...(fixed.get(operation.path) ?? []), operation]);
}

/** An address in its one canonical form. */
export interface Target {
  /** Decoded path after any key was taken out of it; `/` at least. */
  readonly path: string;
  /** The key of /k/<key>/…, decoded. */
  readonly pathKey: string | undefined;
  /** Raw query without `?`; it is read for a signature's `ts` and for keys that do not belong there, and goes no further. */
  readonly query: string;
}

const maxPathLength = 4096;
/** Bytes that may stand in a path as they are: RFC 3986 pchar and `/`, but not `;`, which servers read in two ways. */
const plainPath = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/]*$/;

/** Where a name may hold a slash: a model of a namespace, which clients send as `%2F`. */
const modelPath = /^(?:\/k\/[^/]*)?\/v1\/models\//;

/**
 * Brings a request target into its one canonical form, or refuses it. Percent escapes are decoded once; one that decodes
 * to a slash, backslash, percent, control or non-ASCII byte is refused, and so are dot segments, fragments and
 * absolute-form: each has let two parsers see two paths (oauth2-proxy CVE-2026-41059, Envoy CVE-2021-29492, Oathkeeper
 * CVE-2026-33494). Slashes that a base URL doubled or left at the end are taken out first (Ollama redirects such paths,
 * and clients lose their body on the way): what is left is all that policy, ledger and upstream know.
 * @throws GatewayError `bad_target`.
 */
export function canonicalTarget(raw: string): Target {
  const mark = raw.indexOf('?');
  const rawPath = mark < 0 ? raw : raw.slice(0, mark);
  const query = mark < 0 ? '' : raw.slice(mark + 1);
  if (rawPath.length > maxPathLength || raw.includes('#')) throw new GatewayError('bad_target');
  const plain = withoutIdleSlashes(rawPath);
  const path = plain.includes('%') ? decodePath(plain) : plain;
  // Slashes that only decoding brought are no mistake of a base URL.
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

/** One row of the table, and the address that names it. */
export interface Matched {
  readonly operation: Operation;
  readonly target: Target;
  /** The value of the path's `{…}`, decoded; empty where the path has none. */
  readonly parameter: string;
}

/**
 * `webSocket`: the request asks to go on as one, which no route does.
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

/** One segment, or, where it is the name of a model, several. */
function isUnder(prefix: string, path: string, isName: boolean): boolean {
  return path.length > prefix.length && path.startsWith(prefix) && (isName || !path.includes('/', prefix.length));
}

function pickMethod(method: string, candidates: readonly Operation[], webSocket: boolean): Operation {
  for (const operation of candidates) if (operation.methods.includes(method)) return operation;
  if (webSocket) throw new GatewayError('no_web_socket');
  const allow = [...new Set(candidates.flatMap((operation) => operation.methods)), 'OPTIONS'].join(', ');
  throw new GatewayError('method_not_allowed', { allow });
}

/** The path that goes to the upstream: built from the table, never from the client's text. */
export function upstreamPath({ operation, parameter }: Pick<Matched, 'operation' | 'parameter'>): string {
  const brace = operation.path.indexOf('{');
  return brace < 0
    ? operation.path
    : operation.path.slice(0, brace) + encodeURIComponent(parameter).replaceAll('%3A', ':');
}

/** The family whose error shape a caller of this path can read. Works on raw and broken paths too. */
export function dialectOf(path: string): Dialect {
  const rest = path.startsWith('/k/') ? path.slice(path.indexOf('/', 3)) : path;
  if (/^\/v1\/messages(?![A-Za-z0-9_-])/.test(rest)) return 'anthropic';
  return rest.startsWith('/v1/') || rest === '/v1' ? 'openai' : 'ollama';
}
