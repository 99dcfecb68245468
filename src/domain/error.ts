// The one registry of errors: code, status, owner, and the public sentence in English. error-japanese.ts has the
// Japanese. Dialects decide the format of an error, never its text. Internal causes appear only in the log.
// docs/errors.md lists the same codes with both sentences; a house test compares them.
import type { Detail } from './refusal-details.ts';

/** Who can resolve it: the caller, the operator who set a rule, time (capacity), the model server, or the gateway. */
export type Owner = 'client' | 'policy' | 'capacity' | 'upstream' | 'gateway';

interface Entry {
  readonly status: number;
  readonly owner: Owner;
  readonly message: string;
  /** Seconds after which a retry can help; absent if waiting has no effect. */
  readonly retryAfterSeconds?: number;
}

export const registry = {
  // The request itself, before authentication.
  bad_request_head: { status: 400, owner: 'client', message: 'The request head is not valid HTTP.' },
  bad_host: { status: 400, owner: 'client', message: 'Send exactly one well-formed Host header.' },
  bad_target: {
    status: 400,
    owner: 'client',
    message:
      'The path is ambiguous: encoded slashes outside a model name, dot segments and absolute addresses are not accepted.',
  },
  too_many_headers: {
    status: 431,
    owner: 'client',
    message: 'The request has too many headers, or they are too large.',
  },
  request_timeout: { status: 408, owner: 'client', message: 'The request did not arrive in time.' },
  http_version: { status: 505, owner: 'client', message: 'Use HTTP/1.1 or HTTP/1.0.' },
  unknown_route: { status: 404, owner: 'client', message: 'There is no such route here.' },
  method_not_allowed: { status: 405, owner: 'client', message: 'This route does not accept that method.' },
  no_web_socket: {
    status: 426,
    owner: 'client',
    message: 'This route does not support WebSocket. Send the request with POST.',
  },
  bad_web_socket: {
    status: 400,
    owner: 'client',
    message: 'The WebSocket handshake is not valid: it needs version 13, a key, and well-formed subprotocols.',
  },
  bad_frame: { status: 400, owner: 'client', message: 'A WebSocket frame was not valid.' },
  origin_not_allowed: { status: 403, owner: 'policy', message: 'Pages of this origin cannot use this route.' },
  tls_required: {
    status: 403,
    owner: 'client',
    message:
      'This gateway only answers over https://. A key that was sent unencrypted may have been read: have it replaced.',
  },
  no_pages_here: {
    status: 403,
    owner: 'client',
    message: 'This address is for programs. A browser cannot open it as a page.',
  },
  foreign_page: {
    status: 403,
    owner: 'client',
    message: "A page of another site must not use this service with its user's key.",
  },
  loop_detected: { status: 508, owner: 'gateway', message: 'The request has already passed through this gateway.' },

  // Authentication.
  invalid_api_key: { status: 401, owner: 'client', message: 'Invalid API key' },
  key_expired: { status: 401, owner: 'policy', message: 'This API key has expired.' },
  key_revoked: { status: 401, owner: 'policy', message: 'This API key has been revoked.' },
  key_in_query: {
    status: 400,
    owner: 'client',
    message: 'Do not put the key in the query string. Send it as x-api-key or Authorization: Bearer.',
  },
  conflicting_credentials: {
    status: 400,
    owner: 'client',
    message: 'The request carries several different credentials. Send one.',
  },
  path_key_not_allowed: {
    status: 403,
    owner: 'policy',
    message: 'This API key cannot be used in an address. Send it as x-api-key, or create a key with --allow-path.',
  },
  certificate_required: {
    status: 403,
    owner: 'policy',
    message: 'This API key only works together with its client certificate.',
  },
  address_not_allowed: { status: 403, owner: 'policy', message: 'This API key cannot be used from your address.' },
  mcp_header_mismatch: {
    status: 400,
    owner: 'client',
    message: 'A header of the message to the MCP server does not say what its body says.',
  },
  invalid_token: {
    status: 401,
    owner: 'client',
    message: 'The access token is not valid here: its issuer, its audience, its time or its signature is wrong.',
  },
  unknown_subject: {
    status: 403,
    owner: 'policy',
    message:
      'No account here has the identity of this access token. Sign in to the portal with it, or ask the operator.',
  },
  unknown_session: {
    status: 404,
    owner: 'client',
    message: 'This API key has no such session at the MCP server. Begin a new one.',
  },
  unknown_tool: { status: 400, owner: 'policy', message: 'Unknown tool' },
  invalid_ticket: {
    status: 401,
    owner: 'client',
    message: 'This ticket does not work: it was used, has expired, or is for another route or page.',
  },
  tickets_too_many: {
    status: 503,
    owner: 'capacity',
    message: 'The gateway is holding as many unused tickets as it can.',
    retryAfterSeconds: 30,
  },
  identity_unavailable: {
    status: 503,
    owner: 'gateway',
    message: 'API keys cannot be checked right now.',
    retryAfterSeconds: 5,
  },
  ledger_unavailable: {
    status: 503,
    owner: 'gateway',
    message: 'Usage cannot be recorded right now, so new requests are refused.',
    retryAfterSeconds: 10,
  },

  too_many_failures: {
    status: 429,
    owner: 'policy',
    message: 'Too many wrong API keys were sent from your address.',
    retryAfterSeconds: 60,
  },
  suspended: { status: 403, owner: 'policy', message: 'This account is suspended.' },

  // What is requested, and whether it is allowed.
  missing_scope: {
    status: 403,
    owner: 'policy',
    message: 'This API key does not have the scope that this call needs.',
  },
  registry_host_not_allowed: {
    status: 403,
    owner: 'policy',
    message: 'Models cannot be pulled from or pushed to that registry host.',
  },
  model_not_found: { status: 404, owner: 'client', message: 'model not found' },
  blob_not_found: {
    status: 404,
    owner: 'client',
    message: 'This account has not uploaded that blob since the gateway started. Upload it, then create from it.',
  },
  body_too_large: { status: 413, owner: 'client', message: 'The request body is too large.' },
  not_json: { status: 400, owner: 'client', message: 'The request body is not valid JSON.' },
  ambiguous_json: { status: 400, owner: 'client', message: 'The request body can be read in two ways.' },
  invalid_request: { status: 400, owner: 'client', message: 'The request is not valid.' },
  untranslatable: {
    status: 400,
    owner: 'client',
    message: 'The model server speaks another API, in which this request cannot be expressed.',
  },
  unsupported_encoding: {
    status: 415,
    owner: 'client',
    message: 'Send the body uncompressed or in gzip, deflate or zstd; send blobs uncompressed.',
  },
  unsupported_media_type: { status: 415, owner: 'client', message: 'This route does not accept that Content-Type.' },

  bodies_too_many: {
    status: 503,
    owner: 'capacity',
    message: 'The gateway is holding as many request bodies as it can.',
    retryAfterSeconds: 2,
  },

  answers_too_many: {
    status: 503,
    owner: 'capacity',
    message: 'The gateway is holding as many answers as it can.',
    retryAfterSeconds: 2,
  },

  // Limits.
  limits_unavailable: {
    status: 503,
    owner: 'gateway',
    message: 'Limits cannot be checked right now.',
    retryAfterSeconds: 5,
  },
  rate_limited: {
    status: 429,
    owner: 'policy',
    message: 'The limit for this minute is used up.',
    retryAfterSeconds: 60,
  },
  quota_exceeded: { status: 429, owner: 'policy', message: 'The quota is used up.', retryAfterSeconds: 3600 },
  too_many_concurrent: {
    status: 429,
    owner: 'policy',
    message: 'Too many calls of this account are running.',
    retryAfterSeconds: 1,
  },
  beyond_plan: { status: 400, owner: 'policy', message: 'The call asks for more than the plan of this key allows.' },
  queue_full: {
    status: 503,
    owner: 'capacity',
    message: 'Too many calls are waiting for this model.',
    retryAfterSeconds: 5,
  },
  queue_timeout: {
    status: 503,
    owner: 'capacity',
    message: 'The call waited too long for its turn.',
    retryAfterSeconds: 10,
  },
  turns_unavailable: {
    status: 503,
    owner: 'gateway',
    message: 'The gateway cannot give calls their turns at this model right now.',
    retryAfterSeconds: 2,
  },

  // The model server.
  upstream_unreachable: {
    status: 503,
    owner: 'upstream',
    message: 'The model server cannot be reached.',
    retryAfterSeconds: 5,
  },
  upstream_untrusted: {
    status: 502,
    owner: 'upstream',
    message: 'The gateway does not trust the certificate of the model server.',
  },
  upstream_refused: { status: 502, owner: 'upstream', message: 'The model server refused the gateway.' },
  upstream_failed: { status: 502, owner: 'upstream', message: 'The model server broke off or sent an invalid answer.' },
  upstream_incomplete: {
    status: 502,
    owner: 'upstream',
    message: 'The model server stopped before the answer was complete.',
  },
  upstream_lacks_route: {
    status: 501,
    owner: 'upstream',
    message: 'No model server has this route. Where it would count tokens, estimate them, or send the message.',
  },
  upstream_timeout: { status: 504, owner: 'upstream', message: 'The model server took too long.' },

  // The gateway.
  maintenance: {
    status: 503,
    owner: 'gateway',
    message: 'The gateway is under maintenance.',
    retryAfterSeconds: 60,
  },
  draining: { status: 503, owner: 'gateway', message: 'The gateway is shutting down.', retryAfterSeconds: 5 },
  connection_idle: { status: 408, owner: 'client', message: 'Nothing came over the connection for too long.' },
  connection_over: { status: 408, owner: 'policy', message: 'The connection was open as long as this route allows.' },
  reader_stalled: { status: 408, owner: 'client', message: 'The client stopped reading the answer.' },
  client_closed: { status: 499, owner: 'client', message: 'The client closed the connection.' },
  internal: { status: 500, owner: 'gateway', message: 'An internal error occurred in the gateway.' },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof registry;
export const errorCodes = Object.keys(registry) as ErrorCode[];

/** The longest that the official SDKs wait by themselves. */
const idleAfterSeconds = 60;

interface Options {
  cause?: unknown;
  allow?: string;
  retryAfterSeconds?: number;
  by?: string;
  figures?: Figures;
}

const keptOwners = ['policy', 'capacity'] as const;
type KeptCode = {
  [Code in ErrorCode]: (typeof registry)[Code]['owner'] extends (typeof keptOwners)[number] ? Code : never;
}[ErrorCode];

export interface Figures {
  readonly needed: number;
  readonly most: number;
}

/**
 * A failure that is reported to the caller. `message` is public: never put a secret, a prompt or an internal name in
 * it. `cause` is for the log only.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly owner: Owner;
  readonly retryAfterSeconds: number | undefined;
  /** The methods that this route accepts; only with method_not_allowed (RFC 9110 §15.5.6 requires Allow). */
  readonly allow: string | undefined;
  /** Retrying within seconds cannot succeed, so SDKs are told not to retry by themselves. */
  readonly retryIsIdle: boolean;
  /** For the ledger: the limit or step that refused, such as `account tokensPerDay` or the id of a suspension. */
  readonly by: string | undefined;
  /** How much the call asks for and how much is allowed, where that is why it is refused. */
  readonly figures: Figures | undefined;

  /** The ledger keeps what a refusal says, and pages say it in their language: such codes take sentences of one table only. */
  constructor(code: KeptCode, options?: Options & { message?: Detail });
  constructor(code: Exclude<ErrorCode, KeptCode>, options?: Options & { message?: string });
  constructor(code: ErrorCode, options?: Options);
  constructor(code: ErrorCode, options: Options & { message?: string } = {}) {
    const entry: Entry = registry[code];
    // The code says where a refusal comes from. Its stack would cost a tenth of the time that a flood of wrong keys takes.
    const { stackTraceLimit } = Error;
    if (entry.status < 500) Error.stackTraceLimit = 0;
    super(options.message ?? entry.message, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'GatewayError';
    this.code = code;
    this.status = entry.status;
    this.owner = entry.owner;
    this.retryAfterSeconds = options.retryAfterSeconds ?? entry.retryAfterSeconds;
    // Claude Code silently retries for minutes unless a 401 says otherwise.
    this.retryIsIdle =
      entry.status === 401 ||
      (entry.status >= 500 && this.retryAfterSeconds === undefined) ||
      ((entry.status === 429 || code === 'maintenance') && (this.retryAfterSeconds ?? 0) > idleAfterSeconds);
    this.allow = options.allow;
    this.figures = options.figures;
    this.by = options.by;
  }
}

const longestDetail = 1000;

/**
 * The sentence of a refusal for the ledger, if it says more than its code: which limit, how much of it is used. Those for what
 * the call itself contains may repeat parts of it, which the ledger does not hold.
 */
export function detailOf({ code, owner, message }: GatewayError): string | undefined {
  if (!keptOwners.some((kept) => kept === owner) || message === registry[code].message) return undefined;
  return message.slice(0, longestDetail);
}

/** Converts anything thrown to a GatewayError; unexpected errors become `internal` with a fixed sentence. */
export function toGatewayError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError ? thrown : new GatewayError('internal', { cause: thrown });
}
