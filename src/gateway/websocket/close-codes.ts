// How the end of a WebSocket is spelled: the close code and the reason for an error of the gateway (RFC 6455 §7.4).
import type { GatewayError } from '../../domain/error.ts';
import { type CloseCode, closeCode } from './frames.ts';

/** Clients reconnect after 1001 and 1013, and not after 1008. */
export function closeCodeOf({ code, owner }: GatewayError): CloseCode {
  switch (code) {
    case 'draining':
    case 'connection_idle':
    case 'connection_over':
      return closeCode.goingAway;
    default:
  }
  switch (owner) {
    case 'client':
    case 'policy':
      return closeCode.policy;
    case 'upstream':
      return closeCode.upstreamFailed;
    case 'capacity':
    case 'gateway':
      return closeCode.tryAgainLater;
  }
}

/** The code of the error, for programs, and its sentence as far as it fits. */
export const reasonOf = ({ code, message }: GatewayError): string => `${code}: ${message}`;
