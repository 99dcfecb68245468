// Decides which models a caller may name, and whether a call may send data to other hosts, when a call begins
// (authorize.ts) and again while it runs (decide-again.ts). A model outside the key's patterns is not "forbidden" but
// "not found", byte for byte like a missing one: the caller must not learn whether it exists.
import { GatewayError } from '../domain/error.ts';
import type { AccountId } from '../domain/id.ts';
import type { Principal } from '../domain/principal.ts';
import { missingScope } from './check-access.ts';
import type { Intended } from './intent.ts';
import type { NamedModel } from './model-names.ts';

/** A missing or hidden model; has the caller's spelling, which the dialect echoes. */
export class ModelNotFound extends GatewayError {
  readonly model: string;
  constructor(model: string) {
    super('model_not_found', { message: `model '${model}' not found` });
    this.model = model;
  }
}

export interface ModelRules {
  readonly registryHosts: ReadonlySet<string>;
  /** Whether the caller's patterns allow a model, also as what an alias stands for. */
  readonly names: { allows(caller: Principal, model: NamedModel): boolean };
  /** Whether the model server reports this local name as a model on another host. */
  readonly isRemote: (canonical: string, caller: Principal) => boolean;
  /** False if servers take calls and the caller may reach none of them. */
  readonly reachesServer: (caller: Principal) => boolean;
  /** Whether the account has uploaded this blob through the gateway. */
  readonly hasShown: (account: AccountId, digest: string) => boolean;
}

/** @throws GatewayError `model_not_found`, `missing_scope` (cloud), `registry_host_not_allowed`, `blob_not_found`. */
export function refuseUnauthorized(principal: Principal, intent: Intended, rules: ModelRules): void {
  for (const model of intent.models) {
    if (!model.name || !rules.names.allows(principal, model) || !rules.reachesServer(principal))
      throw new ModelNotFound(model.text);
    const cloud = model.name.cloud || rules.isRemote(model.name.canonical, principal);
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
