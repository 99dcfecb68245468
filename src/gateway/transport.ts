// Checks that the settings allow the transport of the request. Takes a valid head. If the gateway requires TLS, plain
// HTTP is refused and not redirected either, because the key was already sent unencrypted. The log names the key, so
// that it can be replaced.
import type { TLSSocket } from 'node:tls';
import { readKeyId } from '../domain/api-key.ts';
import { GatewayError } from '../domain/error.ts';
import { readCredential } from './identity/credential.ts';
import type { Received } from './receive.ts';

declare class Mark {
  protected readonly transported: true;
}
/** Proof that the transport is allowed. */
export interface Transported extends Received, Mark {}

/** `tlsOnly`: plain HTTP is refused. @throws GatewayError `tls_required`. */
export function refuseUnencrypted(received: Received, tlsOnly: boolean): Transported {
  if (!tlsOnly || (received.request.socket as Partial<TLSSocket>).encrypted === true) return received as Transported;
  let id: string | undefined;
  try {
    const credential = readCredential(
      received,
      received.target,
      () => false,
      () => undefined,
    );
    id = credential?.kind === 'key' ? readKeyId(credential.text) : undefined;
  } catch {
    // Not a valid credential.
  }
  throw new GatewayError(
    'tls_required',
    id === undefined ? {} : { cause: `the key ${id} was sent without encryption` },
  );
}
