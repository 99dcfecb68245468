// Why a model server's answer did not come, from undici's and OpenSSL's codes into our words.
import { GatewayError } from '../../domain/error.ts';

/** What OpenSSL and Node call a certificate that does not pass, and a handshake that fails. */
const distrusted = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(TLS|SSL)_|^EPROTO$/;

/** `sent`: the connection was there, and the request may have gone out. */
export function readFailure(error: Error, sent: boolean): GatewayError {
  const code = (error as { code?: string }).code ?? '';
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
    return new GatewayError('upstream_timeout', { cause: error });
  if (!sent && distrusted.test(code)) return new GatewayError('upstream_untrusted', { cause: error });
  if (!sent) return new GatewayError('upstream_unreachable', { cause: error });
  return new GatewayError('upstream_failed', { cause: error });
}

/** The connection was there, perhaps kept from an earlier call, and ended before anything of an answer came. */
export function isStale(error: Error): boolean {
  const { code = '' } = error as { code?: string };
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}
