// Which servers can serve a call: those that have its route, then those for which it can be translated. The queue, the choice of
// a server and the refusal of a call that nobody can serve all ask here, so they agree.
import { GatewayError } from '../../domain/error.ts';
import type { ModelName } from '../../domain/model-name.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Upstream } from '../../upstream/server.ts';
import type { Operation } from '../dialects/dialect.ts';
import { hasRoute, type ModelFacts } from '../model-facts.ts';
import type { NamedModel } from '../model-names.ts';
import { CallTranslation, type Translatable } from './call-translation.ts';
import { translations } from './translations.ts';

/** What is read of a call. */
export interface Routable {
  readonly operation: Operation;
  readonly models: readonly NamedModel[];
  readonly translation: CallTranslation | undefined;
}

/** Arrays of servers are replaced and never edited, also when the kind of a server changes (registry.ts). */
const speaking = new WeakMap<readonly Upstream[], Map<string, readonly Upstream[]>>();
const together = new WeakMap<readonly Upstream[], Map<string, readonly Upstream[]>>();

/**
 * The servers in `reach` that can serve the call; `reach` itself where all of them have its route. Calls that the same servers can
 * serve get the same array. Where a policy ranks two servers alike, the one that has the route comes first.
 */
export function ableOf(reach: readonly Upstream[], { operation, translation }: Routable): readonly Upstream[] {
  const having = memo(speaking, reach, operation.path, () => {
    const found = reach.filter((server) => hasRoute(server, operation));
    return found.length === reach.length ? reach : found;
  });
  if (having === reach || !translation) return having;
  return translation.recall(reach) ?? translation.keep(reach, translatedToo(reach, having, translation));
}

function translatedToo(
  reach: readonly Upstream[],
  having: readonly Upstream[],
  translation: CallTranslation,
): readonly Upstream[] {
  const others = reach.filter((server) => !having.includes(server) && translation.refusalFor(server) === undefined);
  if (others.length === 0) return having;
  const found = [...having, ...others];
  // Interned: the queue compares arrays.
  return memo(together, reach, found.map((server) => reach.indexOf(server)).join(), () => found);
}

/**
 * Why none of these servers can serve the call; undefined if one can. A server that can, but does not have the model, does not
 * hide that those that have it cannot.
 */
export function inability(servers: readonly Upstream[], call: Routable): GatewayError | undefined {
  const able = ableOf(servers, call);
  if (able === servers) return undefined;
  const model = call.models[0]?.name?.canonical;
  const has = ({ models }: Upstream): boolean => model !== undefined && models.names?.has(model) === true;
  const refused = servers.filter((server) => !able.includes(server));
  const cause = refused.find(has) ?? (able.length === 0 ? refused[0] : undefined);
  if (!cause || able.some(has)) return undefined;
  return (
    call.translation?.refusalFor(cause) ?? (able.length === 0 ? new GatewayError('upstream_lacks_route') : undefined)
  );
}

/**
 * Whether the server can be expected to serve the model, without another machine unless the caller may use those. Whether a
 * single call can be translated does not matter here: a call that cannot is refused, for whatever model.
 */
export function canServe(server: Upstream, { canonical }: ModelName, operation: Operation, caller: Principal): boolean {
  const { health, models } = server;
  // One that is busy or loads its model will take calls soon.
  if (health.state === 'down' || health.state === 'refused') return false;
  if (models.names?.has(canonical) === false) return false;
  if (models.remote.has(canonical) && !caller.scopes.has('cloud')) return false;
  return hasRoute(server, operation) || translations.has(operation.path);
}

/**
 * How a shaped call can be served by those of the servers that lack its route; undefined if none lacks it, or if calls like it are
 * not translated. @throws GatewayError if no server can serve the call, with its own route or another one.
 */
export function translationFor(
  { operation, models, stream, usageInjected }: Omit<Translatable, 'body' | 'figured'>,
  body: Buffer | undefined,
  figured: Translatable['figured'],
  facts: ModelFacts,
): CallTranslation | undefined {
  if (facts.every((server) => server.mayHave(operation))) return undefined;
  const translation = CallTranslation.of({ operation, models, stream, usageInjected, body, figured });
  const servers = facts.map(({ server }) => server);
  const refusal = inability(servers, { operation, models, translation });
  if (refusal) throw refusal;
  return translation;
}

function memo(
  known: WeakMap<readonly Upstream[], Map<string, readonly Upstream[]>>,
  servers: readonly Upstream[],
  key: string,
  find: () => readonly Upstream[],
): readonly Upstream[] {
  let byKey = known.get(servers);
  if (!byKey) known.set(servers, (byKey = new Map()));
  let found = byKey.get(key);
  if (!found) byKey.set(key, (found = find()));
  return found;
}
