// Which models a caller may name, and whether a call may leave this machine with them. It decides for a call that begins
// (authorize.ts) and again while it is here (decide-again.ts).
// A model outside the key's patterns is not "forbidden" but "not found", in the very bytes of a missing one: whether it
// exists is nothing this caller may learn.
import { GatewayError } from '../domain/error.ts';
import type { AccountId } from '../domain/id.ts';
import type { Principal } from '../domain/principal.ts';
import { missingScope } from './check-access.ts';
import type { Intended } from './intent.ts';

/** A model that is missing or hidden; carries the caller's own spelling, which the dialect echoes. */
export class ModelNotFound extends GatewayError {
  readonly model: string;
  constructor(model: string) {
    super('model_not_found', { message: `model '${model}' not found` });
    this.model = model;
  }
}

export interface ModelRules {
  readonly registryHosts: ReadonlySet<string>;
  /** Does the model server say that this local name stands for a model on somebody else's machine? */
  readonly isRemote: (canonical: string) => boolean;
  /** Has the account shown the bytes of this blob here? */
  readonly hasShown: (account: AccountId, digest: string) => boolean;
}

/** @throws GatewayError `model_not_found`, `missing_scope` (cloud), `registry_host_not_allowed`, `blob_not_found`. */
export function refuseUnauthorized(principal: Principal, intent: Intended, rules: ModelRules): void {
  for (const model of intent.models) {
    if (!model.name || !principal.models.allow(model.name)) throw new ModelNotFound(model.text);
    const cloud = model.name.cloud || rules.isRemote(model.name.canonical);
    if (cloud && !principal.scopes.has('cloud')) throw missingScope('cloud');
  }
  if (intent.leavesTheBox && !principal.scopes.has('cloud')) throw missingScope('cloud');
  for (const { name } of intent.registryModels) {
    if (!name || !rules.registryHosts.has(name.host)) throw new GatewayError('registry_host_not_allowed');
  }
  // A blob may be the weights of a model that this caller must not use; a caller who may use all models needs no proof.
  if (!principal.models.all)
    for (const digest of intent.blobs)
      if (!rules.hasShown(principal.accountId, digest)) throw new GatewayError('blob_not_found');
}
