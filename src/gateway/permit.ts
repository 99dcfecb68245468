// May this caller use this operation at all, from this address? Takes a principal; needs only the head of the request,
// so that a caller who may not never makes us read a body. A suspension is said with its reason and end; a missing scope or a wrong address is said plainly (403):
// both are the caller's own, and nothing about anybody else's models can be learned from them.
import { shownCertificate } from '../domain/certificate.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { WallMs } from '../domain/time.ts';
import type { Exchange } from './exchange.ts';
import type { Identified } from './identify.ts';

/** The caller may use the operation, from this address. Only this file can make one. */
export interface Permitted extends Identified {
  readonly [permitted]: true;
}
declare const permitted: unique symbol;

/** @throws GatewayError `suspended`, `certificate_required`, `address_not_allowed`, `missing_scope`. */
export function permit(
  caller: Identified,
  { address, at, request }: Pick<Exchange, 'address' | 'at' | 'request'>,
  appealContact: string,
): Permitted {
  const { principal, operation } = caller;
  refuseSuspended(principal, at, appealContact);
  if (principal.boundCertificate !== null && shownCertificate(request.socket, at) !== principal.boundCertificate)
    throw new GatewayError('certificate_required');
  if (!principal.addresses.empty && !principal.addresses.contains(address))
    throw new GatewayError('address_not_allowed');
  if (!principal.scopes.has(operation.scope)) throw missingScope(operation.scope, appealContact);
  return caller as Permitted;
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
