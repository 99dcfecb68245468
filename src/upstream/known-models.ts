// The models that a server last listed, by canonical name, in the form in which calls look them up.
import { parseModelName } from '../domain/model-name.ts';
import { isCount, mostBytes } from './counts.ts';
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
  /** In bytes, by canonical name, where the list says them. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Those in memory, with their sizes or 0; undefined if the list does not say. */
  readonly loaded: ReadonlyMap<string, number> | undefined;
}

export const noneKnown: KnownModels = {
  names: undefined,
  remote: new Set(),
  listed: [],
  digests: new Map(),
  contexts: new Map(),
  sizes: new Map(),
  loaded: undefined,
};

export function knownFrom(list: readonly Listed[]): KnownModels {
  const names = new Set<string>();
  const remote = new Set<string>();
  const digests = new Map<string, string>();
  const contexts = new Map<string, number>();
  const sizes = new Map<string, number>();
  let loaded: Map<string, number> | undefined;
  const listed: { name: string; size: number | null }[] = [];
  for (const { name: spelled, size, isRemote, digest, context, isLoaded } of list) {
    const name = parseModelName(spelled);
    if (name === undefined) continue;
    const { canonical } = name;
    names.add(canonical);
    listed.push({ name: spelled, size });
    if (context !== undefined) contexts.set(canonical, context);
    if (isCount(size, mostBytes)) sizes.set(canonical, size);
    if (isLoaded !== undefined) loaded ??= new Map();
    if (isLoaded === true) loaded?.set(canonical, sizes.get(canonical) ?? 0);
    if (isRemote) remote.add(canonical);
    // For details of a cloud model, Ollama would ask ollama.com on the operator's account.
    else if (digest !== undefined && !name.cloud) digests.set(canonical, digest.slice(0, 100));
  }
  return { names, remote, listed, digests, contexts, sizes, loaded };
}
