// Decides which model server gets the call. Takes an admitted call; returns the servers to try, best first: the one
// whose slot the call holds, then the others in case it cannot be reached. A later server is tried only while no byte
// of the request has been sent to an earlier one. Servers out of the caller's reach are left out, and for callers
// without the scope `cloud` those that would forward the call to another host.
import type { IncomingHttpHeaders } from 'node:http';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Admitted } from './admit.ts';
import type { Shaped } from './apply-plan.ts';
import { missingScope } from './check-access.ts';
import { mayServe } from './may-serve.ts';
import { noServer } from './model-facts.ts';
import { askedTargets, noTargets, type Target } from './spread/targets.ts';
import { ableOf, inability } from './translate/able.ts';

declare class Mark {
  protected readonly routed: true;
}
/** Proof that the call may be sent to one of these servers. */
export interface Routed extends Shaped, Mark {
  readonly candidates: readonly Upstream[];
  /** The servers to try after these; undefined if there are none. Found only when they are needed. */
  readonly others: (() => readonly Upstream[]) | undefined;
  /** The servers that all get the call, because the caller names several; otherwise none. */
  readonly targets: readonly Target[];
}

/**
 * `headers`: in which the caller may name servers.
 * @throws GatewayError `upstream_unreachable` if no server within the caller's reach takes calls; `upstream_lacks_route` if
 * none of them has the route; `missing_scope` (cloud) if all of them have the model on another host by now.
 */
export function route(
  { call, server: held, demand }: Admitted,
  registry: Pick<UpstreamRegistry, 'candidates' | 'reachableBy' | 'all'>,
  headers: IncomingHttpHeaders,
): Routed {
  const reach = registry.reachableBy(call.caller.principal);
  if (reach.length === 0) throw noServer();
  const asked = askedTargets(call, headers, reach, registry);
  if (asked.length > 0) {
    const targets = asked.length > 1 ? asked : noTargets;
    return { ...call, candidates: asked.map(({ server }) => server), others: undefined, targets } as unknown as Routed;
  }
  const able = ableOf(reach, call);
  const refusal = able === reach ? undefined : inability(reach, call);
  if (refusal) throw refusal;
  const model = call.models[0]?.name?.canonical;
  if (held && able.length > 1 && isSure(held, able, call, model)) {
    const others = (): readonly Upstream[] => {
      const now = ableOf(registry.reachableBy(call.caller.principal), call);
      return havingModel(registry.candidates(model, now, demand), call, model).filter((server) => server !== held);
    };
    return { ...call, candidates: [held], others, targets: noTargets } as unknown as Routed;
  }
  const having = havingModel(registry.candidates(model, able, demand), call, model);
  if (having.length === 0) throw missingScope('cloud');
  const isFirst = held === undefined || having[0] === held || !having.includes(held);
  const candidates: readonly Upstream[] = isFirst ? having : [held, ...having.filter((upstream) => upstream !== held)];
  return { ...call, candidates, others: undefined, targets: noTargets } as unknown as Routed;
}

/** The server that the queue has chosen for the call can have it still, as far as is known. */
function isSure(held: Upstream, able: readonly Upstream[], call: Shaped, model: string | undefined): boolean {
  return model !== undefined && held.models.names?.has(model) === true && able.includes(held) && mayServe(held, call);
}

function havingModel(ranked: readonly Upstream[], call: Shaped, model: string | undefined): readonly Upstream[] {
  const found = ranked.filter((upstream) => mayServe(upstream, call));
  return found.length > 1 ? withModel(found, model) : found;
}

/**
 * If a server lists the model, those that list others cannot have the call: while it is down, they would answer that there is
 * no such model.
 */
function withModel(servers: readonly Upstream[], model: string | undefined): readonly Upstream[] {
  if (model === undefined || !servers.some(({ models: { names } }) => names?.has(model))) return servers;
  return servers.filter(({ models: { names } }) => names?.has(model) !== false);
}
