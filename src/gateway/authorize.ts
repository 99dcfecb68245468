// Checks whether the caller may use these models, and send data to other hosts. Takes a call that is not a replay;
// proves that every model it names matches the key's patterns, and that any use of the operator's cloud account is
// granted.

import type { Claimed } from './identity/replay-guard.ts';
import { type ModelRules, refuseUnauthorized } from './model-access.ts';

declare class Mark {
  protected readonly authorized: true;
}
/** Proof that the caller may do exactly this. */
export interface Authorized extends Claimed, Mark {}

/** @throws GatewayError `model_not_found`, `missing_scope` (cloud), `registry_host_not_allowed`, `blob_not_found`. */
export function authorizeIntent(intent: Claimed, rules: ModelRules): Authorized {
  refuseUnauthorized(intent.caller.principal, intent, rules);
  return intent as Authorized;
}
