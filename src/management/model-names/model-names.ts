// The use cases of model names: add, change, remove. Every gateway on the store follows within a second, for new calls.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { type NameId, newNameId } from '../../domain/id.ts';
import { parseModelName } from '../../domain/model-name.ts';
import {
  canonicalOf,
  checkName,
  isAlias,
  modelsOf,
  mostNames,
  readName,
  type StoredName,
} from '../../domain/stored-name.ts';
import { iso } from '../../domain/time.ts';
import type { NameNotStored } from '../../store/ports/names.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import { requirePlan } from '../plans/plans.ts';
import type { modelNameSchema } from './schemas.ts';

/** The fields of a name; omitted ones stay unchanged. */
export interface NameFields {
  readonly name?: string | undefined;
  readonly target?: string | null | undefined;
  /** Null removes the model of a plan. */
  readonly plans?: Readonly<Record<string, string | null>> | undefined;
  readonly fallbacks?: readonly string[] | undefined;
}

/** By id, or by any spelling of the name. @throws Fault. */
export async function requireModelName(store: Store, named: string): Promise<StoredName> {
  const canonical = named.length > 200 ? undefined : parseModelName(named)?.canonical;
  const found =
    (await store.findModelName(named as NameId)) ??
    (canonical === undefined ? undefined : await store.findModelNameByCanonical(canonical));
  if (found) return found;
  throw new Fault('model_name_missing', { name: named.slice(0, 200) }, 'not_found');
}

/** @throws Fault. */
export function createModelName(
  store: Store,
  fields: NameFields & { readonly name: string },
  author: Author,
): Promise<StoredName> {
  return store.atomically(async (within) => {
    const { at } = author;
    const blank = { id: newNameId(), target: null, plans: {}, fallbacks: [], createdAt: at, changedAt: at, version: 1 };
    const others = await within.listModelNames();
    if (others.length >= mostNames) throw new Fault('model_names_full', { most: mostNames }, 'conflict');
    const named = { ...blank, ...reading(() => readName(fields.name)) };
    const stored = await withFields(within, named, fields, others);
    const event = auditEvent(author, 'model-name.create', stored.id, null, { ...stored });
    refuseNotStored(await within.putModelName(stored, event), stored);
    return stored;
  });
}

/** @throws Fault. */
export function changeModelName(store: Store, named: string, fields: NameFields, author: Author): Promise<StoredName> {
  return store.atomically(async (within) => {
    const before = await requireModelName(within, named);
    const others = (await within.listModelNames()).filter(({ id }) => id !== before.id);
    const after = {
      ...(await withFields(within, before, fields, others)),
      changedAt: author.at,
      version: before.version + 1,
    };
    const event = auditEvent(author, 'model-name.set', after.id, { ...before }, { ...after });
    refuseNotStored(await within.putModelName(after, event), after);
    return after;
  });
}

/** Running calls keep their model. @throws Fault. */
export function deleteModelName(store: Store, named: string, author: Author): Promise<StoredName> {
  return store.atomically(async (within) => {
    const stored = await requireModelName(within, named);
    await within.deleteModelName(stored.id, auditEvent(author, 'model-name.delete', stored.id, { ...stored }, null));
    return stored;
  });
}

/** @throws Fault. */
async function withFields(
  store: Store,
  before: StoredName,
  { name, target, plans, fallbacks }: NameFields,
  others: readonly StoredName[],
): Promise<StoredName> {
  const byPlan = new Map(Object.entries(before.plans));
  for (const [plan, model] of Object.entries(plans ?? {})) {
    if (model === null) byPlan.delete(plan);
    else byPlan.set((await requirePlan(store, plan)).name, model.trim());
  }
  const after: StoredName = {
    ...before,
    ...(name === undefined ? {} : reading(() => readName(name))),
    target: target === undefined ? before.target : (target?.trim() ?? null),
    plans: Object.fromEntries(byPlan),
    fallbacks: fallbacks === undefined ? before.fallbacks : fallbacks.map((model) => model.trim()),
  };
  reading(() => checkName(after));
  refuseChains(after, others);
  return after;
}

/** An alias leads to models and never to an alias, so there are no loops, and one lookup resolves a name. */
function refuseChains(stored: StoredName, others: readonly StoredName[]): void {
  const aliases = new Set(others.filter(isAlias).map(({ canonical }) => canonical));
  const chained = modelsOf(stored).find((model) => aliases.has(canonicalOf(model)));
  if (chained !== undefined) throw new Fault('alias_to_alias', { name: chained }, 'conflict');
  if (!isAlias(stored)) return;
  const leading = others.find((other) => modelsOf(other).some((model) => canonicalOf(model) === stored.canonical));
  if (leading) throw new Fault('alias_of_alias', { leading: leading.name, name: stored.name }, 'conflict');
}

function refuseNotStored(why: NameNotStored | undefined, { name }: StoredName): void {
  if (why === 'taken') throw new Fault('model_name_taken', { name }, 'conflict');
  if (why === 'gone') throw new Fault('model_name_changed', { name }, 'conflict');
}

/** As people and programs read it. */
export const showModelName = ({
  plans,
  fallbacks,
  createdAt,
  changedAt,
  ...rest
}: StoredName): z.output<typeof modelNameSchema> => ({
  ...rest,
  plans: { ...plans },
  fallbacks: [...fallbacks],
  createdAt: iso(createdAt),
  changedAt: iso(changedAt),
});
