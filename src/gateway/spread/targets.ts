// Reads for which model servers a caller wants a change of models: `x-sekisho-servers: box1, box2`, or `all`. Without the
// header, such a call goes to one server, as any other.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import type { UpstreamRegistry } from '../../upstream/registry.ts';
import type { Upstream } from '../../upstream/server.ts';
import type { Shaped } from '../apply-plan.ts';
import { mayServe } from '../may-serve.ts';

export const serversHeader = 'x-sekisho-servers';

/** A server that gets the call, with the name that callers read. */
export interface Target {
  readonly server: Upstream;
  readonly label: string;
}

/** Changes of models. The upload of a blob is streamed, and a push leaves from where the model is: those go to one server. */
const severalScopes: ReadonlySet<string> = new Set(['models:pull', 'models:create', 'models:copy', 'models:delete']);
/** That a caller may name; `all` are all. */
const mostTargets = 200;
const nameForm = /^[a-z0-9][a-z0-9.:/[\]-]{0,254}$/;

/** The servers of the settings have no name: `upstream-1` is the first of them. */
export function labelOf(server: Upstream, all: readonly Upstream[]): string {
  const { terms } = server.entry;
  if (terms) return terms.name;
  return `upstream-${all.filter(({ entry }) => entry.terms === undefined).indexOf(server) + 1}`;
}

export const noTargets: readonly Target[] = [];

/**
 * The servers that the caller names; none for other calls, and where the caller leaves it to the gateway. `reach`: those that
 * the caller may use.
 * @throws GatewayError `invalid_request`; `upstream_lacks_route` if a named server cannot have the call.
 */
export function askedTargets(
  call: Shaped,
  headers: IncomingHttpHeaders,
  reach: readonly Upstream[],
  { all }: Pick<UpstreamRegistry, 'all'>,
): readonly Target[] {
  const { scope, body, methods, path } = call.operation;
  if (!scope.startsWith('models:')) return noTargets;
  const text = headers[serversHeader];
  if (text === undefined) return noTargets;
  const found = find(call, String(text), reach, all);
  if (found.length > 1 && !(severalScopes.has(scope) && body === 'json'))
    throw new GatewayError('invalid_request', {
      message: `${serversHeader} may name one server for ${methods[0]} ${path}`,
    });
  return found;
}

function find(call: Shaped, text: string, reach: readonly Upstream[], all: readonly Upstream[]): Target[] {
  const able = (server: Upstream): boolean => server.mayHave(call.operation.path);
  if (text.trim() === 'all') {
    const found = reach.filter((server) => able(server) && mayServe(server, call));
    if (found.length === 0) throw new GatewayError('upstream_lacks_route');
    return found.map((server) => ({ server, label: labelOf(server, all) }));
  }
  const names = new Set(text.split(',').map((name) => name.trim()));
  if (names.size > mostTargets || ![...names].every((name) => nameForm.test(name)))
    throw new GatewayError('invalid_request', {
      message: `${serversHeader} must be "all" or names of model servers, separated by commas`,
    });
  // The first of two with one name is that of the settings.
  const byLabel = new Map(reach.toReversed().map((server) => [labelOf(server, all), server]));
  const targets = [...names].map((name) => {
    const server = byLabel.get(name) ?? reach.find((each) => each.name === name || each.name + each.basePath === name);
    if (!server)
      throw new GatewayError('invalid_request', {
        message: `${serversHeader} names a model server that does not exist, takes no calls, or is not for this key: ${name}`,
      });
    if (!able(server) || !mayServe(server, call)) throw new GatewayError('upstream_lacks_route');
    return { server, label: labelOf(server, all) };
  });
  return targets.filter(({ server }, at) => targets.findIndex((each) => each.server === server) === at);
}
