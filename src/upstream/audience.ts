// Which servers a caller may reach, if some are restricted to certain plans or accounts. For everyone else such a server does not
// exist: it is in no list, gets none of their calls, and a model that no other server has is missing.
import { mayReach } from '../domain/model-server.ts';
import { unlimited } from '../domain/plan.ts';
import type { Principal } from '../domain/principal.ts';
import type { ServerTerms } from './server.ts';

/** What decides which servers a caller may reach. */
export type Reaching = Pick<Principal, 'accountId' | 'plan'>;

/** Whether the caller may reach this server. */
export const isReachable = ({ terms }: { readonly terms: ServerTerms }, { accountId, plan }: Reaching): boolean =>
  mayReach(terms, { accountId, plan: plan === unlimited ? undefined : plan.name });

/** Of the servers at one moment. */
export class Audiences<Server extends { readonly terms: ServerTerms }> {
  readonly #servers: readonly Server[];
  readonly #restricted: readonly Server[];
  /** By caller, and by the restricted servers that they may reach; callers who may reach the same servers share one array. */
  readonly #byCaller = new WeakMap<Reaching, readonly Server[]>();
  readonly #bySet = new Map<string, readonly Server[]>();

  constructor(servers: readonly Server[]) {
    this.#servers = servers;
    this.#restricted = servers.filter(({ terms: { plans, accounts } }) => plans !== null || accounts !== null);
  }

  /** The given array itself if the caller may reach all servers. */
  of(caller: Reaching): readonly Server[] {
    if (this.#restricted.length === 0) return this.#servers;
    let found = this.#byCaller.get(caller);
    if (!found) this.#byCaller.set(caller, (found = this.#find(caller)));
    return found;
  }

  #find(caller: Reaching): readonly Server[] {
    const hidden = this.#restricted.filter((server) => !isReachable(server, caller));
    if (hidden.length === 0) return this.#servers;
    const key = hidden.map((server) => this.#servers.indexOf(server)).join();
    let found = this.#bySet.get(key);
    if (!found) this.#bySet.set(key, (found = this.#servers.filter((server) => !hidden.includes(server))));
    return found;
  }
}
