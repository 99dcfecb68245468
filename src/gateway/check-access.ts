// Checks whether the caller may use this operation at all, from this address. Takes a principal and needs only the head
// of the request, so the body of a refused request is never read. A suspension is reported with its reason and end, a
// missing scope or a wrong address with a plain 403: they concern only the caller and reveal nothing about others'
// models.
import { shownCertificate } from '../domain/certificate.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import { detail } from '../domain/refusal-details.ts';
import type { Scope } from '../domain/scope.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { WallMs } from '../domain/time.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Exchange } from './exchange.ts';
import type { Accounted } from './metering.ts';

declare class Mark {
  protected readonly permitted: true;
}
/** Proof that the caller may use the operation, from this address. Only this file can make one. */
export interface Permitted extends Accounted, Mark {}

type Place = Pick<Exchange, 'address' | 'at' | 'request'>;

/** Where a preview is made from: it has no connection, and counts as made from an allowed address. */
export interface Anywhere {
  readonly at: WallMs;
  readonly request: 'none';
}

/** @throws GatewayError `suspended`, `certificate_required`, `address_not_allowed`, `missing_scope`. */
export function permit(accounted: Accounted, from: Place | Anywhere, appealContact: string): Permitted {
  refuseUnpermitted(accounted.caller.principal, accounted.operation, from, from.at, appealContact);
  return accounted as Permitted;
}

/** The same check for a principal at a given time. @throws as `permit`. */
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

/** Checks the certificate that the key is bound to, and the address. */
function refuseElsewhere(
  { boundCertificate, addresses }: Principal,
  { address, request }: Pick<Exchange, 'address' | 'request'>,
  at: WallMs,
): void {
  if (boundCertificate !== null && shownCertificate(request.socket, at) !== boundCertificate)
    throw new GatewayError('certificate_required');
  if (!addresses.empty && !addresses.contains(address)) throw new GatewayError('address_not_allowed');
}

/** Checked at the start of a call, and again while it runs whenever the store has changed. */
export function refuseSuspended(principal: Principal, now: WallMs, appealContact: string): void {
  const { refused } = restrictionsOf(principal.suspensions, now);
  if (!refused) return;
  const { id, keyId, step, reason, endsAt } = refused;
  if (step === 'revoke') throw new GatewayError('key_revoked', { by: id });
  const values = {
    subject: keyId === null ? 'account' : 'API key',
    reason,
    whom: appealContact === '' ? 'the operator of this gateway' : appealContact,
    id,
  };
  const options = {
    message:
      endsAt === null
        ? detail('suspended', values)
        : detail('suspended_until', { ...values, moment: `${new Date(endsAt).toISOString().slice(0, 19)}Z` }),
    by: id,
  };
  throw new GatewayError(
    'suspended',
    endsAt === null ? options : { ...options, retryAfterSeconds: Math.max(1, Math.ceil((endsAt - now) / 1000)) },
  );
}

/** `contact`: whom to ask; empty if none is configured. */
export function missingScope(scope: Scope, contact = ''): GatewayError {
  const whom = contact === '' ? 'the operator of this gateway' : contact;
  // `ollama run` pulls a missing model and shows only this error; it does not distinguish missing and hidden models
  // either.
  const message = scope === 'models:pull' ? detail('lacks_pull', { scope, whom }) : detail('lacks_scope', { scope });
  return new GatewayError('missing_scope', { message });
}
