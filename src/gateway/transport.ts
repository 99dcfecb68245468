// Did the request come over a transport that the settings allow? Takes a plain head. Where the gate demands TLS, nothing is
// answered over plain HTTP, and nobody is led away from it either: by then the caller has shown their key. Whose key it
// was goes into the log, so that somebody can replace it.
import type { TLSSocket } from 'node:tls';
import { readKeyId } from '../domain/api-key.ts';
import { GatewayError } from '../domain/error.ts';
import { readCredential } from './identity/credential.ts';
import type { Received } from './receive.ts';

declare class Mark {
  protected readonly transported: true;
}
/** The request came over a transport that is allowed here. */
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
    // Whatever it was, it was no key of ours.
  }
  throw new GatewayError(
    'tls_required',
    id === undefined ? {} : { cause: `the key ${id} was sent without encryption` },
  );
}
