// How refusals of a call to an MCP server are written: as errors of JSON-RPC, with the id of the message.
import type { ErrorCode, GatewayError } from '../../../domain/error.ts';
import type { Dialect } from '../../dialects/dialect.ts';
import { servicesDialect } from '../services-dialect.ts';

/** HeaderMismatch is of MCP 2026-07-28, the session's as the MCP SDK's servers answer; the rest is of JSON-RPC 2.0 §5.1. */
const codes: Partial<Record<ErrorCode, number>> = {
  mcp_header_mismatch: -32_020,
  unknown_tool: -32_602,
  unknown_session: -32_001,
  invalid_request: -32_600,
  not_json: -32_700,
  ambiguous_json: -32_600,
};
const serverError = -32_000;

/** `id`: as JSON; undefined if the message has none or could not be read. */
export const mcpDialect = (id: string | undefined): Dialect => ({
  ...servicesDialect,
  spellError: ({ code, message }: GatewayError, requestId: string): string => {
    const error = { code: codes[code] ?? serverError, message, data: { code, request_id: requestId } };
    return `{"jsonrpc":"2.0","id":${id ?? 'null'},"error":${JSON.stringify(error)}}`;
  },
});
