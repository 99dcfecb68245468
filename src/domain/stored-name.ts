// What operators say about a model name: which model it stands for (an alias), also per plan, and which models take the
// place of the model when no server can serve it (fallbacks). Validates one such name by itself; src/management checks it
// against the others, and src/gateway/model-names.ts looks names up for calls.

import type { NameId } from './id.ts';
import { parseModelName } from './model-name.ts';
import { Unreadable } from './sentences.ts';

export interface StoredName {
  readonly id: NameId;
  /** As the operator spells it, and as lists of models show it. */
  readonly name: string;
  /** By which it is found: no two names are the same in this form. */
  readonly canonical: string;
  /** The model that it stands for, as its servers spell it. Null: the name is an alias for some plans only, or for none. */
  readonly target: string | null;
  /** Other models for callers with these plans, by the name of the plan. */
  readonly plans: Readonly<Record<string, string>>;
  /** Models to try in this order while no server can serve the model. */
  readonly fallbacks: readonly string[];
  readonly createdAt: number;
  readonly changedAt: number;
  readonly version: number;
}

/** The most names that can be stored. */
export const mostNames = 1_000;
const mostFallbacks = 10;
const mostPlans = 200;
const longestName = 200;

export const isAlias = ({ target, plans }: Pick<StoredName, 'target' | 'plans'>): boolean =>
  target !== null || Object.keys(plans).length > 0;

/** Every model that the name leads to, as it was given. */
export const modelsOf = ({ target, plans, fallbacks }: StoredName): readonly string[] => [
  ...(target === null ? [] : [target]),
  ...Object.values(plans),
  ...fallbacks,
];

/** The canonical form of a name in the grammar of models. @throws a sentence. */
export function canonicalOf(text: string): string {
  const name = text.length > longestName ? undefined : parseModelName(text);
  if (!name) throw new Unreadable('model_name_shape', { name: text.slice(0, 60) });
  return name.canonical;
}

/** The name as it is stored. @throws a sentence if it cannot be the name of a model, or names another machine. */
export function readName(text: string): Pick<StoredName, 'name' | 'canonical'> {
  const name = text.trim();
  const canonical = canonicalOf(name);
  if (parseModelName(name)?.cloud === true) throw new Unreadable('model_name_cloud', {});
  return { name, canonical };
}

/**
 * Checks a name and the models that it leads to. `readName` must have read the name.
 * @throws a sentence if it says nothing, or leads to itself, or names something that cannot be a model.
 */
export function checkName(stored: StoredName): StoredName {
  const { name, canonical, fallbacks, plans } = stored;
  const models = modelsOf(stored);
  if (models.length === 0) throw new Unreadable('model_name_empty', { name });
  if (fallbacks.length > mostFallbacks) throw new Unreadable('fallbacks_full', { most: mostFallbacks });
  if (Object.keys(plans).length > mostPlans) throw new Unreadable('model_name_plans_full', { most: mostPlans });
  for (const model of models) if (canonicalOf(model) === canonical) throw new Unreadable('model_name_loop', { name });
  if (new Set(fallbacks.map(canonicalOf)).size < fallbacks.length) throw new Unreadable('fallback_twice', {});
  return stored;
}
