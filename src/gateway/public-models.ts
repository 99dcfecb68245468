// The models that every member could reach, and whether a server answers that has them: what the public status page shows.
// Servers for certain plans or accounts, addresses and reasons stay out of it.
import { parseModelName } from '../domain/model-name.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';

export interface PublicModel {
  /** As a server spells it. */
  readonly name: string;
  /** As the ledger has it. */
  readonly canonical: string;
  /** Null: not known yet. */
  readonly up: boolean | null;
}

export function publicModels({ all }: Pick<UpstreamRegistry, 'all'>): PublicModel[] {
  const found = new Map<string, PublicModel>();
  for (const { terms, models, health, takesCalls } of all) {
    if (terms.plans !== null || terms.accounts !== null) continue;
    const up = takesCalls ? (health.up ?? null) : false;
    for (const { name } of models.listed) {
      const canonical = parseModelName(name)?.canonical;
      if (canonical === undefined) continue;
      const known = found.get(canonical);
      if (!known || (known.up !== true && up !== false)) found.set(canonical, { name, canonical, up });
    }
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
