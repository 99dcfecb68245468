// The models that a server last listed, by canonical name, in the form in which calls look them up.
import { parseModelName } from '../domain/model-name.ts';
import type { Listed } from './kind.ts';

export interface KnownModels {
  /** Canonical names; undefined until a list has been read. */
  readonly names: ReadonlySet<string> | undefined;
  /** Those of `names` that the server has from another machine. */
  readonly remote: ReadonlySet<string>;
  /** As the server spells them. */
  readonly listed: readonly { readonly name: string; readonly size: number | null }[];
  /** Digests of local models by canonical name; a digest changes with the contents of its model. */
  readonly digests: ReadonlyMap<string, string>;
  /** The contexts that models are loaded with, by canonical name, where the list says them. */
  readonly contexts: ReadonlyMap<string, number>;
}

export const noneKnown: KnownModels = {
  names: undefined,
  remote: new Set(),
  listed: [],
  digests: new Map(),
  contexts: new Map(),
};

export function knownFrom(list: readonly Listed[]): KnownModels {
  const names = new Set<string>();
  const remote = new Set<string>();
  const digests = new Map<string, string>();
  const contexts = new Map<string, number>();
  const listed: { name: string; size: number | null }[] = [];
  for (const { name: spelled, size, isRemote, digest, context } of list) {
    const name = parseModelName(spelled);
    if (name === undefined) continue;
    const { canonical } = name;
    names.add(canonical);
    listed.push({ name: spelled, size });
    if (context !== undefined) contexts.set(canonical, context);
    if (isRemote) remote.add(canonical);
    // For details of a cloud model, Ollama would ask ollama.com on the operator's account.
    else if (digest !== undefined && !name.cloud) digests.set(canonical, digest.slice(0, 100));
  }
  return { names, remote, listed, digests, contexts };
}
