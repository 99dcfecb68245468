// The opening handshake of a WebSocket (RFC 6455 §4): what a caller must have sent, what the gateway sends to the service, and
// what the service must have answered. Nothing of the caller's handshake is copied but the names of subprotocols.
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { GatewayError } from '../../domain/error.ts';

/** RFC 6455 §1.3. */
const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Sixteen bytes in base64 (RFC 6455 §4.1). */
const keyShape = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
/** A token (RFC 9110 §5.6.2). */
const tokenShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const maxProtocols = 16;
const maxProtocolLength = 256;

/** Subprotocols whose names begin so are the gateway's own, and no service sees them. */
const ownPrefix = 'sekisho';
const ticketPrefix = 'sekisho.ticket.';
/** A page with a ticket offers this too: a browser needs one of its offers accepted, and the service may know none. */
export const plainProtocol = ownPrefix;

export interface Handshake {
  /** What the answer has to prove that it was read. */
  readonly accept: string;
  /** Subprotocols that the service may choose from, in the caller's order. */
  readonly protocols: readonly string[];
  /** The caller takes `sekisho` as an answer. */
  readonly takesPlain: boolean;
}

/**
 * Does the request ask for a WebSocket, and for nothing else? A body would be read as the first frames; another token, or
 * several, are not understood, and the request is answered as if it had none, as is one of HTTP/1.0 (RFC 9110 §7.8).
 */
export function asksForWebSocket({
  method,
  headers,
  httpVersion,
}: Pick<IncomingMessage, 'method' | 'headers' | 'httpVersion'>): boolean {
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['transfer-encoding'] === undefined &&
    (headers['content-length'] ?? '0') === '0'
  );
}

/** @throws GatewayError `bad_web_socket`. */
export function readHandshake(headers: IncomingHttpHeaders): Handshake {
  const key = headers['sec-websocket-key'];
  if (headers['sec-websocket-version'] !== '13' || key === undefined || !keyShape.test(key))
    throw new GatewayError('bad_web_socket');
  const offered = offeredProtocols(headers);
  return {
    accept: acceptOf(key),
    protocols: offered.filter((name) => !isOwn(name)),
    takesPlain: offered.includes(plainProtocol),
  };
}

/** The ticket among the offered subprotocols. @throws GatewayError `bad_web_socket`, also for two of them. */
export function shownTicket(headers: IncomingHttpHeaders): string | undefined {
  if (headers['sec-websocket-protocol']?.includes(ticketPrefix) !== true) return undefined;
  const [ticket, ...others] = offeredProtocols(headers).filter((name) => name.startsWith(ticketPrefix));
  if (others.length > 0) throw new GatewayError('conflicting_credentials');
  return ticket?.slice(ticketPrefix.length);
}

/** What a page offers to show this ticket. */
export const protocolsFor = (ticket: string): readonly string[] => [plainProtocol, ticketPrefix + ticket];

const isOwn = (name: string): boolean => name === ownPrefix || name.toLowerCase().startsWith(`${ownPrefix}.`);

/** RFC 6455 §4.1: tokens, each once. Several header lines count as one. */
function offeredProtocols(headers: IncomingHttpHeaders): string[] {
  const value = headers['sec-websocket-protocol'];
  if (value === undefined) return [];
  const names = value.split(',').map((name) => name.trim());
  const isValid =
    names.length <= maxProtocols &&
    new Set(names).size === names.length &&
    names.every((name) => name.length <= maxProtocolLength && tokenShape.test(name));
  if (!isValid) throw new GatewayError('bad_web_socket');
  return names;
}

/** Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2). */
export const acceptOf = (key: string): string => createHash('sha1').update(`${key}${magic}`).digest('base64');

/** The gateway's own handshake with a service. */
export interface OwnHandshake {
  /** Header lines, as name, value, name, value; without Connection and Upgrade. */
  readonly lines: readonly string[];
  /** @throws GatewayError `upstream_failed` unless the head of its 101 answers exactly this handshake. */
  check(headers: IncomingHttpHeaders): { readonly protocol: string | undefined };
}

/** With a key of the gateway's own. No extension is offered, because the gateway reads the frames. */
export function ownHandshake(protocols: readonly string[]): OwnHandshake {
  const key = randomBytes(16).toString('base64');
  const lines = ['sec-websocket-version', '13', 'sec-websocket-key', key];
  if (protocols.length > 0) lines.push('sec-websocket-protocol', protocols.join(', '));
  return {
    lines,
    check: (headers) => {
      const protocol = headers['sec-websocket-protocol'];
      if (
        headers.upgrade?.toLowerCase() !== 'websocket' ||
        headers['sec-websocket-accept'] !== acceptOf(key) ||
        headers['sec-websocket-extensions'] !== undefined ||
        // A 101 has neither (RFC 9110 §8.6, RFC 9112 §6.1): another reader would not begin with frames where the gateway does.
        headers['content-length'] !== undefined ||
        headers['transfer-encoding'] !== undefined ||
        (protocol !== undefined && !protocols.includes(protocol))
      )
        throw new GatewayError('upstream_failed', { message: wrongHandshake });
      return { protocol };
    },
  };
}

const wrongHandshake = 'The service did not answer the WebSocket handshake as RFC 6455 requires.';
