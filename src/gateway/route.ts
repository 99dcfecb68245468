// Which model server gets the call. Takes an admitted exchange; gives the servers to try, best first: the one whose slot
// it holds, and the others in case that one cannot be reached. A later one is tried only while no byte of the request
// has left for an earlier one.
import type { Upstream, UpstreamPool } from '../upstream/pool.ts';
import type { Admitted } from './admit.ts';

export interface Routed extends Admitted {
  readonly [routed]: true;
  readonly candidates: readonly Upstream[];
}
declare const routed: unique symbol;

export function route(admitted: Admitted, pool: UpstreamPool, held: Upstream | undefined): Routed {
  const found = pool.candidates(admitted.models[0]?.name?.canonical);
  const candidates =
    held === undefined || found[0] === held ? found : [held, ...found.filter((upstream) => upstream !== held)];
  return Object.assign(admitted, { candidates }) as unknown as Routed;
}
