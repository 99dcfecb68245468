// Extracts the credential of a request. One function reads every place, so the same checks apply wherever it is (Open
// WebUI CVE-2026-45339: limits applied to Bearer but not to x-api-key). It proves nothing: identify.ts verifies the
// credential. Cookies are not read: a browser session never opens the data plane.
import { readSshPublicKey } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import type { Target } from '../operation.ts';
import type { Received } from '../receive.ts';
import type { ResourceServer } from '../services/mcp/resource-server.ts';
import { shownTicket } from '../websocket/handshake.ts';

export type Credential =
  | { readonly kind: 'key'; readonly text: string; readonly inPath: boolean }
  | { readonly kind: 'certificate'; readonly digest: string }
  | { readonly kind: 'ticket'; readonly text: string }
  /** An access token; only of a service that trusts an issuer. */
  | { readonly kind: 'token'; readonly text: string; readonly resource: ResourceServer }
  | { readonly kind: 'signature'; readonly publicKey: Buffer; readonly signature: Buffer; readonly at: number };

/**
 * The only extractor. Returns `undefined` if there is no credential; empty values are ignored. Clients that must send
 * some key put a placeholder there (`ollama`, `EMPTY`, `sk-no-key`) and the real key elsewhere: a value that is not
 * shaped like a key is ignored next to one that is, or next to another proof. Two keys are refused, and a ticket beside a key.
 */
export function readCredential(
  received: Received,
  target: Target,
  isOperators: (text: string) => boolean,
  certificate: () => Credential | undefined,
): Credential | undefined {
  const { repeated, request } = received;
  for (const name of credentialHeaders) if (repeated.has(name)) throw new GatewayError('conflicting_credentials');
  const { headers } = request;
  const { authorization } = headers;
  const ticket = headers['sec-websocket-protocol'] === undefined ? undefined : shownTicket(headers);
  const signed = authorization === undefined ? undefined : readSignature(authorization, target);
  const texts = new Set<string>();
  for (const text of [
    target.pathKey,
    headers['x-api-key'],
    headers['api-key'],
    signed ? undefined : readAuthorization(authorization),
  ])
    if (typeof text === 'string' && text.trim() !== '') texts.add(text.trim());
  let key: string | undefined;
  for (const text of texts) {
    if (!text.startsWith('sekisho_') && !isOperators(text)) continue;
    if (key !== undefined || signed) throw new GatewayError('conflicting_credentials');
    key = text;
  }
  const resource = received.published?.resource;
  const token = resource && shownToken(authorization);
  if (resource && token !== undefined) {
    if (key !== undefined || ticket !== undefined) throw new GatewayError('conflicting_credentials');
    return { kind: 'token', text: token, resource };
  }
  if (ticket !== undefined) {
    if (key !== undefined || signed) throw new GatewayError('conflicting_credentials');
    return { kind: 'ticket', text: ticket };
  }
  if (signed) return signed;
  if (key === undefined) {
    const proof = certificate();
    if (proof) return proof;
  }
  const text = key ?? texts.values().next().value;
  return text === undefined ? undefined : { kind: 'key', text, inPath: text === target.pathKey };
}

/**
 * The value after `Bearer` or `Token`, the password of Basic (RFC 7617), or a key without a scheme. The case of the
 * scheme and the number of spaces do not matter (RFC 9110 §11.1, §11.4).
 */
function readAuthorization(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, scheme = '', rest = ''] = /^(\S*)[ \t]*(.*)$/s.exec(value) as RegExpExecArray;
  if (/^(?:bearer|token)$/i.test(scheme)) return rest;
  if (!/^basic$/i.test(scheme)) return value;
  const pair = Buffer.from(rest, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

/** A signed JWT (RFC 7515 §3.1) after `Bearer`, the only place of an access token (MCP 2026-07-28, "Token Requirements"). */
const shownToken = (value: string | undefined): string | undefined =>
  value === undefined ? undefined : /^bearer +(eyJ[\w-]*\.[\w-]+\.[\w-]+)$/i.exec(value)?.[1];

function readSignature(value: string, target: Target): Credential | undefined {
  const match = /^(AAAAC3NzaC1lZDI1NTE5[A-Za-z0-9+/]+={0,2}):([A-Za-z0-9+/]{86}==)$/.exec(value);
  if (!match) return undefined;
  const publicKey = readSshPublicKey(match[1] as string);
  const at = /^ts=(\d{1,12})$/.exec(target.query)?.[1];
  const signature = Buffer.from(match[2] as string, 'base64');
  // The last base64 digit has four unused bits; accepting them would allow fifteen more spellings of the signature.
  if (!publicKey || at === undefined || signature.toString('base64') !== match[2])
    throw new GatewayError('invalid_api_key');
  return { kind: 'signature', publicKey, signature, at: Number(at) };
}

/** The headers that can hold a credential; `api-key` is Azure's. */
const credentialHeaders: readonly string[] = ['authorization', 'x-api-key', 'api-key'];
