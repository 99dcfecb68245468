// Takes a message to an MCP server: its headers agree with its body, and its caller may use the tool. From here on, a refusal is an
// error of JSON-RPC.
import { GatewayError } from '../../../domain/error.ts';
import type { Principal } from '../../../domain/principal.ts';
import type { ServiceMcp, ServiceRoute } from '../../../domain/service-route.ts';
import type { Operation } from '../../dialects/dialect.ts';
import type { Exchange } from '../../exchange.ts';
import { isPublished } from '../published.ts';
import { mcpDialect } from './mcp-dialect.ts';
import { checkHeaders, type McpCall, readMcp, refuseTool } from './read-mcp.ts';

export interface McpRoute extends ServiceMcp, Pick<ServiceRoute, 'bodyBytes'> {}

/** Undefined for every other call. */
export function mcpOf(operation: Operation): McpRoute | undefined {
  if (!isPublished(operation)) return undefined;
  const { mcp, bodyBytes } = operation.service.route;
  return mcp ? { ...mcp, bodyBytes } : undefined;
}

/** @throws GatewayError `unsupported_encoding`, `mcp_header_mismatch`, `unknown_tool`, and what `readMcp` throws. */
export function takeMcp(mcp: McpRoute, bytes: Buffer, exchange: Exchange, principal: Principal): McpCall {
  const { headers } = exchange.request;
  exchange.dialect = mcpDialect(undefined);
  if (headers['content-encoding'] !== undefined) throw new GatewayError('unsupported_encoding');
  const { call, body } = readMcp(bytes);
  exchange.dialect = mcpDialect(call.id);
  checkHeaders(headers, bytes, body, call);
  refuseTool(call, mcp, principal);
  return call;
}
