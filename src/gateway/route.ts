// Which model server gets the call. Takes an admitted call; gives the servers to try, best first: the one whose slot
// it holds, and the others in case that one cannot be reached. A later one is tried only while no byte of the request
// has left for an earlier one.
import type { Upstream, UpstreamPool } from '../upstream/pool.ts';
import type { Admitted } from './admit.ts';
import type { Shaped } from './apply-plan.ts';

declare class Mark {
  protected readonly routed: true;
}
/** The call may leave for one of these. */
export interface Routed extends Shaped, Mark {
  readonly candidates: readonly Upstream[];
}

export function route({ call, server: held }: Admitted, pool: UpstreamPool): Routed {
  const found = pool.candidates(call.models[0]?.name?.canonical);
  const candidates =
    held === undefined || found[0] === held ? found : [held, ...found.filter((upstream) => upstream !== held)];
  return { ...call, candidates } as Routed;
}
