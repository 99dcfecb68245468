// What a model server last listed, in the form in which calls ask about it: by the canonical names of models.
import { parseModelName } from '../domain/model-name.ts';
import type { Listed } from './kind.ts';

export interface KnownModels {
  /** Canonical names; undefined where no list has been read yet. */
  readonly names: ReadonlySet<string> | undefined;
  /** Of these, the names that stand for a model on another machine. */
  readonly remote: ReadonlySet<string>;
  /** As the server spells them. */
  readonly listed: readonly { readonly name: string; readonly size: number | null }[];
  /** Of local models by canonical name, what changes with their contents. */
  readonly digests: ReadonlyMap<string, string>;
}

export const noneKnown: KnownModels = { names: undefined, remote: new Set(), listed: [], digests: new Map() };

export function knownFrom(list: readonly Listed[]): KnownModels {
  const names = new Set<string>();
  const remote = new Set<string>();
  const digests = new Map<string, string>();
  const listed: { name: string; size: number | null }[] = [];
  for (const { name: spelled, size, isRemote, digest } of list) {
    const name = parseModelName(spelled);
    if (name === undefined) continue;
    const { canonical } = name;
    names.add(canonical);
    listed.push({ name: spelled, size });
    if (isRemote) remote.add(canonical);
    // Ollama asks ollama.com for the details of a cloud model, on the operator's account.
    else if (digest !== undefined && !name.cloud) digests.set(canonical, digest.slice(0, 100));
  }
  return { names, remote, listed, digests };
}
