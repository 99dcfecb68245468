// Keeps calls on the operator's own machines: without the scope `cloud`, none is sent to a server that has its model elsewhere.
import type { Upstream } from '../upstream/server.ts';
import type { Shaped } from './apply-plan.ts';

export function mayServe({ models: { remote } }: Upstream, { models, caller }: Shaped): boolean {
  if (remote.size === 0 || caller.principal.scopes.has('cloud')) return true;
  return !models.some(({ name }) => name !== undefined && remote.has(name.canonical));
}
