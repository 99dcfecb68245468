// A published service ("route"): any HTTP service that callers reach through the gate under a path prefix or a host name,
// behind the same keys, plans, queue and ledger as models. The type and its defaults; read-service-route.ts reads one.
import type { McpTools, ToolPrice } from './mcp-tools.ts';
import type { RouteScope } from './scope.ts';

/** What a caller's address must have: the path prefix, or the host name, which has every path to itself. */
export type ServiceMatch =
  | { readonly kind: 'path' /** Begins with `/`, and does not end with one. */; readonly prefix: string }
  | { readonly kind: 'host' /** In lower case, without a port. */; readonly hostName: string };

export const serviceMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type ServiceMethod = (typeof serviceMethods)[number];

/** Where a caller may put the key: a header, the path (/k/<key>/…), or a single-use ticket for a browser's WebSocket. */
export const credentialWays = ['header', 'path', 'ticket'] as const;
export type CredentialWay = (typeof credentialWays)[number];

/** In seconds. */
export interface ServiceTimes {
  readonly connectSeconds: number;
  /** From the end of the request to the head of the answer. */
  readonly headSeconds: number;
  /** The longest silence inside a request body or an answer. */
  readonly idleSeconds: number;
  /** Null: as long as it takes. */
  readonly totalSeconds: number | null;
}

export interface ServiceWebSocket {
  /** Origins of the pages that may open one, such as `https://app.example.com`. Programs send none and need none. */
  readonly origins: readonly string[];
  readonly maxFrameBytes: number;
  readonly idleSeconds: number;
  readonly maxSeconds: number;
  /** Open connections of one key; null: as many as its plan allows. */
  readonly perKey: number | null;
}

/** An MCP server (Streamable HTTP of 2026-07-28, and of the versions with sessions before it). */
export interface ServiceMcp {
  readonly tools: readonly McpTools[];
  /** Null: keys are the only credentials. */
  readonly issuer: McpIssuer | null;
}

/** An authorization server whose access tokens the service takes beside keys. */
export interface McpIssuer {
  readonly url: string;
  /** Whose account a subject of the issuer is; people who signed in here by the same issuer need no entry. */
  readonly subjects: readonly { readonly subject: string; readonly account: string }[];
}

/** What a call costs, in whole units of the route's own. */
export type ServiceCost =
  | {
      readonly kind: 'fixed';
      readonly unit: string;
      readonly units: number;
      /** Of an MCP server: tools whose calls cost something else. */
      readonly tools: readonly ToolPrice[];
    }
  | { readonly kind: 'second'; readonly unit: string; readonly units: number }
  /** From a response header of the service, never more than `cap`; also `cap` if the header cannot be read. */
  | { readonly kind: 'header'; readonly unit: string; readonly header: string; readonly cap: number };

export interface ServiceTls {
  readonly caFile: string | null;
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
}

export interface ServiceRoute {
  /** A word in lower case; the ledger has `route:<name>`. */
  readonly name: string;
  readonly match: ServiceMatch;
  /** Addresses of equal servers, each an origin and perhaps a path. */
  readonly upstreams: readonly string[];
  /** The prefix is removed before the call is sent, and named in X-Forwarded-Prefix. */
  readonly strip: boolean;
  readonly methods: readonly ServiceMethod[];
  readonly scope: RouteScope;
  readonly credential: readonly CredentialWay[];
  /** Header names that pass besides the usual ones, in lower case; `x-name-*` stands for every name that begins so. */
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  /** The Host that the service sees; null: the one in its own address. */
  readonly host: string | null;
  /** The largest request body; 0: none. */
  readonly bodyBytes: number;
  readonly times: ServiceTimes;
  readonly webSocket: ServiceWebSocket | null;
  /** It is an MCP server. */
  readonly mcp: ServiceMcp | null;
  /** Names of cookies that pass both ways; all others are dropped. */
  readonly cookies: readonly string[];
  /** `rewrite`: redirects within the service lead under the prefix. Redirects to other hosts are refused in any case. */
  readonly redirects: 'rewrite' | 'refuse';
  readonly cost: ServiceCost | null;
  /** Calls of one account that may run at once; further ones are refused. Null: as many as its plan allows. */
  readonly concurrent: number | null;
  /** Calls that one server works on at once; further ones wait in the fair queue. Null: no queue. */
  readonly slots: number | null;
  readonly tls: ServiceTls;
  /** A file with what the gate shows to the service: a key, or header lines. */
  readonly secretFile: string | null;
  /** A GET of this path says whether a server is up; null: only calls show it. */
  readonly healthPath: string | null;
  /** Origins of web pages that may read answers. */
  readonly cors: readonly string[];
  /** `template`: the log has the path with its variable segments left out. */
  readonly recordPath: 'no' | 'template';
}

/** What the queue, the ledger and the log call it. */
export const operationNameOf = ({ name }: Pick<ServiceRoute, 'name'>): string => `route:${name}`;

/** Everything that a route need not say. */
export const serviceDefaults = {
  strip: true,
  methods: ['GET', 'HEAD', 'POST'],
  credential: ['header', 'path'],
  requestHeaders: [],
  responseHeaders: [],
  host: null,
  bodyBytes: 32 * 1024 * 1024,
  times: { connectSeconds: 5, headSeconds: 120, idleSeconds: 300, totalSeconds: 3_600 },
  webSocket: null,
  mcp: null,
  cookies: [],
  redirects: 'rewrite',
  cost: null,
  concurrent: null,
  slots: null,
  tls: { caFile: null, certificateFile: null, keyFile: null },
  secretFile: null,
  healthPath: null,
  cors: [],
  recordPath: 'no',
} as const satisfies Partial<ServiceRoute>;

export const webSocketDefaults = {
  origins: [],
  maxFrameBytes: 1024 * 1024,
  idleSeconds: 300,
  maxSeconds: 3_600,
  perKey: null,
} as const satisfies ServiceWebSocket;

/** The path of the caller's address under which the service stands; empty for one with a host name of its own. */
export const prefixOf = ({ match }: Pick<ServiceRoute, 'match'>): string => (match.kind === 'path' ? match.prefix : '');
