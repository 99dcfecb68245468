// Decides which model server gets the call. Takes an admitted call; gives the servers to try, best first: the one whose slot
// the call holds, then the others in case that one cannot be reached. A later server is tried only while no byte of the
// request has left for an earlier one. Servers that would forward the call to another machine are left out for callers
// without the scope `cloud`.
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Admitted } from './admit.ts';
import type { Shaped } from './apply-plan.ts';
import { missingScope } from './check-access.ts';
import { noServer } from './model-facts.ts';

declare class Mark {
  protected readonly routed: true;
}
/** The call may leave for one of these. */
export interface Routed extends Shaped, Mark {
  readonly candidates: readonly Upstream[];
}

/**
 * @throws GatewayError `upstream_unreachable` where no server takes calls; `missing_scope` (cloud) where every one has the model
 * from another machine by now.
 */
export function route({ call, server: held }: Admitted, registry: Pick<UpstreamRegistry, 'candidates'>): Routed {
  const ranked = registry.candidates(call.models[0]?.name?.canonical);
  if (ranked.length === 0) throw noServer();
  const found: readonly Upstream[] = ranked.filter((upstream) => mayServe(upstream, call));
  if (found.length === 0) throw missingScope('cloud');
  const isFirst = held === undefined || found[0] === held || !found.includes(held);
  const candidates: readonly Upstream[] = isFirst ? found : [held, ...found.filter((upstream) => upstream !== held)];
  return { ...call, candidates } as Routed;
}

/** Without the scope `cloud`, nothing of a call goes to a server that has its model from another machine. */
function mayServe({ models: { remote } }: Upstream, { models, caller }: Shaped): boolean {
  if (remote.size === 0 || caller.principal.scopes.has('cloud')) return true;
  return !models.some(({ name }) => name !== undefined && remote.has(name.canonical));
}
