// Reads a message to an MCP server (Streamable HTTP: each message is one POST). Servers and the proxies before them may decide by the
// headers Mcp-Method and Mcp-Name, which 2026-07-28 requires, so these must say what the body says; the gateway decides by the body.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../../domain/error.ts';
import { mayUseTool } from '../../../domain/mcp-tools.ts';
import type { Principal } from '../../../domain/principal.ts';
import { detail } from '../../../domain/refusal-details.ts';
import type { ServiceMcp } from '../../../domain/service-route.ts';
import { type JsonBody, type JsonValue, type Outline, scanObject, textOf } from '../../payload/strict-json.ts';

export interface McpMessage {
  /** Undefined for the client's answer to a request of the server, which versions before 2026-07-28 have. */
  readonly method: string | undefined;
  /** Of a tools/call. */
  readonly tool: string | undefined;
  /** As JSON; undefined for a notification. */
  readonly id: string | undefined;
}

/** The first version without sessions, with headers that repeat the message. */
const withoutSessions = '2026-07-28';

const versionMember = 'io.modelcontextprotocol/protocolVersion';
const outline: Outline = {
  known: new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']),
  inside: {
    params: {
      known: new Set(['name', 'uri', 'taskId', '_meta']),
      inside: { _meta: { known: new Set([versionMember]) } },
    },
  },
};

/** The member of `params` that Mcp-Name repeats, by method (SEP-2243, SEP-2663). */
const named = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** Whether this version of the protocol has sessions; requests without a version are of such a one. */
export const hasSessions = (version: string | string[] | undefined): boolean =>
  version === undefined ||
  (typeof version === 'string' && /^\d{4}-\d\d-\d\d$/.test(version) && version < withoutSessions);

/** @throws GatewayError `not_json`, `ambiguous_json`, `invalid_request`. */
export function readMcp(bytes: Buffer): { readonly message: McpMessage; readonly body: JsonBody } {
  const body = scanObject(bytes, outline);
  const method = textIn(bytes, body.members.get('method'));
  const isAnswer = !body.members.has('method') && (body.members.has('result') || body.members.has('error'));
  if (method === undefined && !isAnswer)
    throw new GatewayError('invalid_request', { message: 'A message to an MCP server names its method.' });
  const id = body.members.get('id');
  const params = body.members.get('params')?.members;
  return {
    body,
    message: {
      method,
      tool: method === 'tools/call' ? textIn(bytes, params?.get('name')) : undefined,
      id: id && (id.kind === 'string' || id.kind === 'number') ? bytes.toString('utf8', id.start, id.end) : undefined,
    },
  };
}

/** @throws GatewayError `mcp_header_mismatch`. */
export function checkHeaders(
  headers: IncomingHttpHeaders,
  bytes: Buffer,
  body: JsonBody,
  { method, id }: McpMessage,
): void {
  const version = headers['mcp-protocol-version'];
  const params = body.members.get('params')?.members;
  const stated = textIn(bytes, params?.get('_meta')?.members?.get(versionMember));
  if (stated !== undefined && stated !== version && (version !== undefined || id !== undefined))
    throw mismatch('MCP-Protocol-Version');
  // A notification need not repeat anything, and neither does a message of a version that has no such headers.
  const isRequest = id !== undefined && !(stated === undefined && hasSessions(version));
  if (!says(headers['mcp-method'], method, isRequest)) throw mismatch('Mcp-Method');
  const member = named.get(method ?? '');
  const name = member === undefined ? undefined : textIn(bytes, params?.get(member));
  if (!says(decoded(headers['mcp-name']), name, isRequest && name !== undefined)) throw mismatch('Mcp-Name');
}

/** @throws GatewayError `unknown_tool`, in the words of a server that has no such tool. */
export function refuseTool({ method, tool }: McpMessage, { tools }: ServiceMcp, { scopes }: Principal): void {
  if (method === 'tools/call' && (tool === undefined || !mayUseTool(tools, scopes, tool)))
    throw new GatewayError('unknown_tool', { message: detail('unknown_tool', { tool: (tool ?? '').slice(0, 200) }) });
}

const mismatch = (header: string): GatewayError =>
  new GatewayError('mcp_header_mismatch', { message: `The header ${header} does not say what the message says.` });

const says = (header: string | string[] | undefined, text: string | undefined, isNeeded: boolean): boolean =>
  header === undefined ? !isNeeded : header === text;

/** A name that a header cannot carry comes in base64 (SEP-2243); one that cannot be read equals nothing. */
function decoded(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  const coded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(header)?.[1];
  if (coded === undefined) return header;
  const bytes = Buffer.from(coded, 'base64');
  return bytes.toString('base64') === coded ? bytes.toString('utf8') : '\0';
}

const textIn = (bytes: Buffer, value: JsonValue | undefined): string | undefined =>
  value?.kind === 'string' ? textOf(bytes, value) : undefined;
