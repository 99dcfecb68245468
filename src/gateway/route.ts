// Which model server gets the call. Takes an admitted exchange; gives the servers to try, best first. A later one is
// tried only while no byte of the request has left for an earlier one.
import type { Upstream, UpstreamPool } from '../upstream/pool.ts';
import type { Admitted } from './admit.ts';

export interface Routed extends Admitted {
  readonly [routed]: true;
  readonly candidates: readonly Upstream[];
}
declare const routed: unique symbol;

export function route(admitted: Admitted, pool: UpstreamPool): Routed {
  const model = admitted.models[0]?.name?.canonical;
  return { ...admitted, candidates: pool.candidates(model) } as unknown as Routed;
}
