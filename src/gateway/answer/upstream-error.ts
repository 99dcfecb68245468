// Maps undici's and OpenSSL's error codes to the gateway's errors.
import { GatewayError } from '../../domain/error.ts';

/** Codes of OpenSSL and Node for a rejected certificate or a failed handshake. */
const distrusted = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(TLS|SSL)_|^EPROTO$/;

/** `sent`: a connection existed, and the request may have been sent. */
export function readFailure(error: Error, sent: boolean): GatewayError {
  const code = (error as { code?: string }).code ?? '';
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
    return new GatewayError('upstream_timeout', { cause: error });
  if (!sent && distrusted.test(code)) return new GatewayError('upstream_untrusted', { cause: error });
  if (!sent) return new GatewayError('upstream_unreachable', { cause: error });
  return new GatewayError('upstream_failed', { cause: error });
}

/** The connection, perhaps kept from an earlier call, ended before any part of an answer arrived. */
export function isStale(error: Error): boolean {
  const { code = '' } = error as { code?: string };
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}
