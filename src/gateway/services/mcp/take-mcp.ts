// Takes a request to an MCP server: the headers of a message agree with its body, its caller may use the tool, and the session is its
// own. From here on, a refusal is an error of JSON-RPC.
import { GatewayError } from '../../../domain/error.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { ServiceMcp, ServiceRoute } from '../../../domain/service-route.ts';
import type { Operation } from '../../dialects/dialect.ts';
import type { Exchange } from '../../exchange.ts';
import { bodiesOf } from '../../limits/account-usage.ts';
import type { BodyLimits } from '../../payload/body.ts';
import { readBody } from '../../payload/read-body.ts';
import type { Prechecked } from '../../precheck.ts';
import { isPublished, type Published } from '../published.ts';
import { hasBody } from '../request-body.ts';
import { mcpDialect } from './mcp-dialect.ts';
import type { McpSession } from './mcp-sessions.ts';
import { checkHeaders, hasSessions, type McpMessage, readMcp, refuseTool } from './read-mcp.ts';

/** A message, or a GET or DELETE of a session, which has none. */
export interface McpCall extends McpMessage {
  readonly session: McpSession | undefined;
  /** It waits for news for as long as the client likes, and is no work: it holds none of the slots. */
  readonly waits: boolean;
}

export interface McpRoute extends ServiceMcp, Pick<ServiceRoute, 'bodyBytes'> {
  readonly service: Published;
}

/** Undefined for every other call. */
export function mcpOf(operation: Operation): McpRoute | undefined {
  if (!isPublished(operation)) return undefined;
  const { mcp, bodyBytes } = operation.service.route;
  return mcp ? { ...mcp, bodyBytes, service: operation.service } : undefined;
}

/**
 * @throws GatewayError `method_not_allowed`, `unsupported_encoding`, `mcp_header_mismatch`, `unknown_tool`, `unknown_session`, and what
 * `readMcp` and `readBody` throw.
 */
export async function takeMcp(
  mcp: McpRoute,
  exchange: Exchange,
  { caller: { principal }, metering }: Prechecked,
  limits: BodyLimits,
): Promise<{ readonly mcp: McpCall; readonly body: Buffer | undefined }> {
  const { request } = exchange;
  const isEarlier = hasSessions(request.headers['mcp-protocol-version']);
  if (request.method !== 'POST') {
    if (!isEarlier) throw new GatewayError('method_not_allowed', { allow: 'POST, OPTIONS' });
    exchange.dialect = mcpDialect(undefined);
    if (hasBody(request)) throw new GatewayError('invalid_request', { message: 'This request has no body.' });
    const session = sessionOf(exchange, mcp, principal);
    const waits = request.method === 'GET';
    return { mcp: { method: undefined, tool: undefined, id: undefined, session, waits }, body: undefined };
  }
  const bodyBytes = Math.min(limits.bodyBytes, mcp.bodyBytes);
  const bytes = await readBody(exchange, bodiesOf(metering), { ...limits, bodyBytes });
  exchange.dialect = mcpDialect(undefined);
  if (request.headers['content-encoding'] !== undefined) throw new GatewayError('unsupported_encoding');
  const { message, body } = readMcp(bytes);
  exchange.dialect = mcpDialect(message.id);
  checkHeaders(request.headers, bytes, body, message);
  if (message.method === undefined && !isEarlier)
    throw new GatewayError('invalid_request', { message: 'A message to an MCP server names its method.' });
  refuseTool(message, mcp, principal);
  const session = isEarlier ? sessionOf(exchange, mcp, principal) : undefined;
  return { mcp: { ...message, session, waits: message.method === 'subscriptions/listen' }, body: bytes };
}

/** Undefined if none is named. @throws GatewayError `unknown_session`: the client begins a new one. */
function sessionOf({ request }: Exchange, { service }: McpRoute, { lineage }: Principal): McpSession | undefined {
  const shown = request.headers['mcp-session-id'];
  if (shown === undefined) return undefined;
  const session = service.sessions.find(String(shown), service.servers, { route: service.name, lineage });
  if (!session) throw new GatewayError('unknown_session');
  return session;
}
