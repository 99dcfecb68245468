// The words of the WebSocket protocol (RFC 6455) that the gateway itself uses: opcodes, close codes, and the frames that it
// sends. It reads nothing.
import { randomFillSync } from 'node:crypto';

/** Opcodes (RFC 6455 §5.2). */
export const opcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Reasons for an end (RFC 6455 §7.4.1, and the IANA registry for 1012 to 1014). */
export const closeCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  notUtf8: 1007,
  policy: 1008,
  tooBig: 1009,
  upstreamFailed: 1011,
  tryAgainLater: 1013,
} as const;

export type CloseCode = (typeof closeCode)[keyof typeof closeCode];

/** The longest payload of a control frame (RFC 6455 §5.5). */
export const maxControlBytes = 125;

/**
 * May this code stand in a close frame? 1004 to 1006 and 1015 must not (RFC 6455 §7.4.1), and neither may codes that nobody has
 * registered.
 */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/**
 * A close frame. The one that goes to a server must be masked (RFC 6455 §5.3), because there the gateway is the client. A longer
 * reason is cut.
 */
export function closeFrame(code: CloseCode, reason: string, to: 'client' | 'server'): Buffer {
  const text = Buffer.from(asciiOf(reason)).subarray(0, maxControlBytes - 2);
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  const head = 0x80 | opcode.close;
  if (to === 'client') return Buffer.concat([Buffer.from([head, payload.length]), payload]);
  const mask = randomFillSync(Buffer.allocUnsafe(4));
  for (let at = 0; at < payload.length; at++) payload[at] = (payload[at] as number) ^ (mask[at & 3] as number);
  return Buffer.concat([Buffer.from([head, 0x80 | payload.length]), mask, payload]);
}

/** A reason is cut at a byte, which must not be within a character. */
const asciiOf = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');
