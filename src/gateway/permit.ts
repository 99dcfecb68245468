// May this caller use this operation at all, from this address? Takes a principal; needs only the head of the request,
// so that a caller who may not never makes us read a body. A missing scope or a wrong address is said plainly (403):
// both are the caller's own, and nothing about anybody else's models can be learned from them.
import { GatewayError } from '../domain/error.ts';
import type { Scope } from '../domain/scope.ts';
import type { Identified } from './identify.ts';

/** The caller may use the operation, from this address. Only this file can make one. */
export interface Permitted extends Identified {
  readonly [permitted]: true;
}
declare const permitted: unique symbol;

/** @throws GatewayError `address_not_allowed`, `missing_scope`. */
export function permit(caller: Identified, address: string): Permitted {
  const { principal, operation } = caller;
  if (!principal.addresses.empty && !principal.addresses.contains(address))
    throw new GatewayError('address_not_allowed');
  if (!principal.scopes.has(operation.scope)) throw missingScope(operation.scope);
  return caller as Permitted;
}

export function missingScope(scope: Scope): GatewayError {
  return new GatewayError('missing_scope', {
    message: `This API key does not have the scope "${scope}", which this call needs.`,
  });
}
