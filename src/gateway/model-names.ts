// What the model names of calls mean: a name can be an alias, which stands for a model, and a model can have fallbacks,
// which take its place while no server can serve it. Takes the names that operators have stored; says for each call which
// model it means, and how to spell that for the model server. Which models a caller may use is decided in model-access.ts.
import { type ModelName, parseModelName } from '../domain/model-name.ts';
import { unlimited } from '../domain/plan.ts';
import type { Principal } from '../domain/principal.ts';
import { isAlias, type StoredName } from '../domain/stored-name.ts';
import type { Operation } from './dialects/dialect.ts';

/** A model as an operator spells it: servers other than Ollama distinguish upper and lower case. */
export interface Target {
  readonly text: string;
  readonly name: ModelName;
}

/** What operators say about a name, for the callers of one plan. */
export interface Meaning {
  /** The canonical form of the name. */
  readonly asked: string;
  /** The name stands for another model. Otherwise it is the model's own name, and only has fallbacks. */
  readonly isAlias: boolean;
  readonly model: Target;
  readonly fallbacks: readonly Target[];
}

export interface NamedModel {
  /** As the caller spelled it; a "not found" error repeats it. */
  readonly text: string;
  /** The model that is meant. Undefined if the spelling is outside Ollama's grammar: such a model cannot exist. */
  readonly name: ModelName | undefined;
  /** Undefined if no operator has said anything about the name. */
  readonly meaning: Meaning | undefined;
  /** The spelling to forward; undefined: as the caller spelled it. */
  readonly sent: string | undefined;
}

/** The name means the model of that name. */
export const plainName = (text: string): NamedModel => ({
  text,
  name: parseModelName(text),
  meaning: undefined,
  sent: undefined,
});

/** The model that takes the place of `meaning.model` in a call. */
export const isFallback = ({ name, meaning }: NamedModel): boolean =>
  meaning !== undefined && name?.canonical !== meaning.model.name.canonical;

/** Says which model a text means in a call for this operation. */
export interface Meanings {
  meant(text: string, operation: Operation, caller: Principal): NamedModel;
}

/** Every name means the model of that name: for bodies in which names were replaced already. */
export const replacedNames: Meanings = { meant: plainName };

export interface ServedModels {
  /** Whether a server that the caller may reach can serve the model now, on this route. */
  readonly isServed: (model: ModelName, operation: Operation, caller: Principal) => boolean;
  /** Whether the model is on another machine. */
  readonly isRemote: (canonical: string, caller: Principal) => boolean;
}

interface Entry {
  readonly stored: StoredName;
  /** For callers whose plan has no model of its own; undefined: for them, the name has no meaning of its own. */
  readonly usual: Meaning | undefined;
  readonly byPlan: ReadonlyMap<string, Meaning>;
}

export class ModelNames implements Meanings {
  readonly #served: ServedModels;
  #entries: ReadonlyMap<string, Entry> = new Map();

  constructor(served: ServedModels) {
    this.#served = served;
  }

  /** Replaces all names. */
  setNames(stored: readonly StoredName[]): void {
    const own = new Map(stored.filter((each) => !isAlias(each)).map((each) => [each.canonical, each.fallbacks]));
    this.#entries = new Map(stored.map((each) => [each.canonical, entryOf(each, own)]));
  }

  /** Looks a name up once: an alias never leads to another one. */
  meant(text: string, operation: Operation, caller: Principal): NamedModel {
    const plain = plainName(text);
    if (this.#entries.size === 0 || !operation.takesAliases || !plain.name) return plain;
    const meaning = this.#meaningOf(plain.name.canonical, caller);
    if (!meaning) return plain;
    return this.choose(asked(text, meaning), operation, caller);
  }

  /**
   * The same model while a server can serve it, else the first of the model and its fallbacks that can be served and that the
   * caller may use. Only a caller who may use the model itself gets a fallback: others must not learn that it exists.
   */
  choose(model: NamedModel, operation: Operation, caller: Principal): NamedModel {
    const { meaning, text } = model;
    if (!meaning || meaning.fallbacks.length === 0 || !model.name) return model;
    if (this.#served.isServed(model.name, operation, caller)) return model;
    const first = asked(text, meaning);
    if (!this.#mayHave(first, caller)) return model;
    for (const next of [first, ...meaning.fallbacks.map((fallback) => replaced(text, meaning, fallback))])
      if (next.name && this.#served.isServed(next.name, operation, caller) && this.#mayHave(next, caller)) return next;
    return model;
  }

  /**
   * The first of the fallbacks after this model that can be served and that the caller may use; undefined if there is none. For a
   * call whose servers turn out to be away.
   */
  after({ meaning, text, name }: NamedModel, operation: Operation, caller: Principal): NamedModel | undefined {
    if (!meaning || meaning.fallbacks.length === 0 || !name || !this.#mayHave(asked(text, meaning), caller))
      return undefined;
    const at = meaning.fallbacks.findIndex((fallback) => fallback.name.canonical === name.canonical);
    return meaning.fallbacks
      .slice(at + 1)
      .map((fallback) => replaced(text, meaning, fallback))
      .find((next) => next.name && this.#served.isServed(next.name, operation, caller) && this.#mayHave(next, caller));
  }

  /** Whether the caller's patterns allow the model, or name the alias by which the call reaches it. */
  allows({ models }: Principal, { name, meaning }: NamedModel): boolean {
    if (!name) return false;
    if (models.allow(name)) return true;
    return meaning?.isAlias === true && this.#entries.has(meaning.asked) && models.allowAs(name, meaning.asked);
  }

  /** The aliases that these callers can use, in order of their names. */
  aliasesFor(caller: Principal): readonly (Meaning & { readonly shown: string })[] {
    const found: (Meaning & { readonly shown: string })[] = [];
    for (const { stored } of this.#entries.values()) {
      const meaning = this.#meaningOf(stored.canonical, caller);
      if (meaning?.isAlias === true) found.push({ ...meaning, shown: stored.name });
    }
    return found;
  }

  #meaningOf(canonical: string, { plan }: Principal): Meaning | undefined {
    const entry = this.#entries.get(canonical);
    return entry && ((plan === unlimited ? undefined : entry.byPlan.get(plan.name)) ?? entry.usual);
  }

  #mayHave(model: NamedModel, caller: Principal): boolean {
    if (!model.name || !this.allows(caller, model)) return false;
    return caller.scopes.has('cloud') || !(model.name.cloud || this.#served.isRemote(model.name.canonical, caller));
  }
}

const asked = (text: string, meaning: Meaning): NamedModel => ({
  text,
  name: meaning.model.name,
  meaning,
  sent: meaning.isAlias ? meaning.model.text : undefined,
});

const replaced = (text: string, meaning: Meaning, fallback: Target): NamedModel => ({
  text,
  name: fallback.name,
  meaning,
  sent: fallback.text,
});

/** `own`: the fallbacks of models, for aliases without any. */
function entryOf(stored: StoredName, own: ReadonlyMap<string, readonly string[]>): Entry {
  const { name, canonical, target, plans, fallbacks } = stored;
  const alias = isAlias(stored);
  const meaningOf = (text: string): Meaning | undefined => {
    const model = targetOf(text);
    if (!model) return undefined;
    const after = alias && fallbacks.length === 0 ? (own.get(model.name.canonical) ?? fallbacks) : fallbacks;
    const others = after.map(targetOf).filter((each) => each !== undefined);
    return { asked: canonical, isAlias: alias, model, fallbacks: others };
  };
  const byPlan = new Map<string, Meaning>();
  for (const [plan, text] of Object.entries(plans)) {
    const meaning = meaningOf(text);
    if (meaning) byPlan.set(plan, meaning);
  }
  const usual = target ?? (alias ? undefined : name);
  return { stored, usual: usual === undefined ? undefined : meaningOf(usual), byPlan };
}

function targetOf(text: string): Target | undefined {
  const name = parseModelName(text);
  return name && { text, name };
}
