// May this caller use these models, and leave this machine with them? Takes a call that is no replay; proves that every model
// it names is within the key's patterns, and that whatever spends the operator's cloud account was granted.

import type { Claimed } from './identity/replay-guard.ts';
import { type ModelRules, refuseUnauthorized } from './model-access.ts';

declare class Mark {
  protected readonly authorized: true;
}
/** The caller may do exactly this. */
export interface Authorized extends Claimed, Mark {}

/** @throws GatewayError `model_not_found`, `missing_scope` (cloud), `registry_host_not_allowed`, `blob_not_found`. */
export function authorizeIntent(intent: Claimed, rules: ModelRules): Authorized {
  refuseUnauthorized(intent.caller.principal, intent, rules);
  return intent as Authorized;
}
