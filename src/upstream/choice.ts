// Which model server gets a call: the interface of the policy. The registry asks it only if there is more than one server.
import type { Demand } from '../domain/demand.ts';
import type { ModelFigures } from '../domain/server-status.ts';
import type { Assignment } from './estimate/assignment.ts';
import type { LoadTimes } from './estimate/load-times.ts';
import type { Ranked } from './estimate/ranked.ts';

/** `servers` are at least two, in the order in which they were added, and the same array for the same servers. */
export interface Choice<Server extends Ranked> {
  /** Learned also where there is only one server. */
  readonly loadTimes: LoadTimes<Server>;
  /** All servers, in the order in which to try them. `demand`: undefined for a call that takes no turn at a model. */
  order(servers: readonly Server[], model: string | undefined, demand?: Demand<Server>): readonly Server[];
  /**
   * The servers that the call should go to if they have a free slot, best first; at least one. `ahead`: the number of calls
   * that get their turn before it.
   */
  ready(servers: readonly Server[], demand: Demand<Server>, ahead: number): readonly Server[];
  /** Counts the call at the server from now on, until the assignment ends. */
  assign(server: Server, demand: Demand<Server>): Assignment<Server>;
  /** A server lists other models than before. */
  listsChanged(): void;
  /** The server gets no more calls. Those that run there are counted to their end. */
  forget(server: Server): void;
  /** What the choice of a server for the model depends on; for people. Undefined if the server does not have the model. */
  explain(server: Server, model: string): ModelFigures | undefined;
}
