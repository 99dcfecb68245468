// May this caller use this operation at all, from this address? Takes a principal; needs only the head of the request,
// so that a caller who may not never makes us read a body. A suspension is said with its reason and end; a missing scope or
// a wrong address is said plainly (403): both are the caller's own, and nothing about anybody else's models can be learned
// from them.
import { shownCertificate } from '../domain/certificate.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { WallMs } from '../domain/time.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Exchange } from './exchange.ts';
import type { Accounted } from './metering.ts';

declare class Mark {
  protected readonly permitted: true;
}
/** The caller may use the operation, from this address. Only this file can make one. */
export interface Permitted extends Accounted, Mark {}

type Place = Pick<Exchange, 'address' | 'at' | 'request'>;

/** Where a preview asks from: it has no connection, and is answered as if it came from where the key may be used. */
export interface Anywhere {
  readonly at: WallMs;
  readonly request: 'none';
}

/** @throws GatewayError `suspended`, `certificate_required`, `address_not_allowed`, `missing_scope`. */
export function permit(accounted: Accounted, from: Place | Anywhere, appealContact: string): Permitted {
  refuseUnpermitted(accounted.caller.principal, accounted.operation, from, from.at, appealContact);
  return accounted as Permitted;
}

/** The same for a caller as they are at some time. @throws as `permit`. */
export function refuseUnpermitted(
  principal: Principal,
  operation: Operation,
  from: Omit<Place, 'at'> | Omit<Anywhere, 'at'>,
  at: WallMs,
  appealContact: string,
): void {
  refuseSuspended(principal, at, appealContact);
  if (from.request !== 'none') refuseElsewhere(principal, from, at);
  if (!principal.scopes.has(operation.scope)) throw missingScope(operation.scope, appealContact);
}

/** Is it the certificate that the key is bound to, and an address that it may be used from? */
function refuseElsewhere(
  { boundCertificate, addresses }: Principal,
  { address, request }: Pick<Exchange, 'address' | 'request'>,
  at: WallMs,
): void {
  if (boundCertificate !== null && shownCertificate(request.socket, at) !== boundCertificate)
    throw new GatewayError('certificate_required');
  if (!addresses.empty && !addresses.contains(address)) throw new GatewayError('address_not_allowed');
}

/** Asked at the start of a call, and again while it runs whenever a step of the ladder was taken. */
export function refuseSuspended(principal: Principal, now: WallMs, appealContact: string): void {
  const { refused } = restrictionsOf(principal.suspensions, now);
  if (!refused) return;
  const { id, keyId, step, reason, endsAt } = refused;
  if (step === 'revoke') throw new GatewayError('key_revoked');
  const until = endsAt === null ? 'until it is reviewed' : `until ${new Date(endsAt).toISOString().slice(0, 19)}Z`;
  const appeal = appealContact === '' ? 'Appeal to whoever runs this gate' : `Appeal to ${appealContact}`;
  const options = {
    message: `This ${keyId === null ? 'account' : 'API key'} is suspended ${until}: ${reason} ${appeal}, naming ${id}.`,
  };
  throw new GatewayError(
    'suspended',
    endsAt === null ? options : { ...options, retryAfterSeconds: Math.max(1, Math.ceil((endsAt - now) / 1000)) },
  );
}

/** `contact`: who may be asked, empty where nobody is named. */
export function missingScope(scope: Scope, contact = ''): GatewayError {
  const whom = contact === '' ? 'whoever runs this gate' : contact;
  // `ollama run` pulls what was not found and shows this alone; missing and hidden models are not told apart here either.
  const pull =
    scope === 'models:pull'
      ? ` A model that was not found does not exist on this gate, or not for this key; ask ${whom} to pull it.`
      : '';
  return new GatewayError('missing_scope', {
    message: `This API key does not have the scope "${scope}", which this call needs.${pull}`,
  });
}
