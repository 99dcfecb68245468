// Sends a call to a server of its model and, if none can be reached although health does not know it yet, to one of a fallback that an
// operator has written. Takes a routed call. Nothing is repeated once a byte of the call has left, nor after the head of the
// answer, where a fallback is announced.
import { type AdmitTools, admitInstead } from './admit.ts';
import type { Exchange } from './exchange.ts';
import type { NamedModel } from './model-names.ts';
import type { Settled } from './record.ts';
import { type RelayTools, relay, relayOrLeave } from './relay.ts';
import { type Routed, route } from './route.ts';

export type FallBackTools = AdmitTools & { readonly registry: Parameters<typeof route>[1] };

const isModel = (found: Settled | NamedModel): found is NamedModel => !('response' in found);

/** A call without fallbacks is relayed as it is. */
export function relayOrFallBack(
  routed: Routed,
  exchange: Exchange,
  relaying: RelayTools,
  tools: FallBackTools,
): Promise<Settled> {
  const hasFallbacks = (routed.models[0]?.meaning?.fallbacks.length ?? 0) > 0 && routed.operation.time === 'inference';
  return hasFallbacks ? fallBack(routed, exchange, relaying, tools) : relay(routed, exchange, relaying);
}

async function fallBack(
  routed: Routed,
  exchange: Exchange,
  relaying: RelayTools,
  tools: FallBackTools,
): Promise<Settled> {
  const model = routed.models[0] as NamedModel;
  const next = (): NamedModel | undefined =>
    tools.draining ? undefined : tools.names.after(model, routed.operation, routed.caller.principal);
  const found = await relayOrLeave(routed, exchange, relaying, next);
  if (!isModel(found)) return found;
  const admitted = await admitInstead(found, routed, exchange, tools);
  return fallBack(route(admitted, tools.registry, exchange.request.headers), exchange, relaying, tools);
}
