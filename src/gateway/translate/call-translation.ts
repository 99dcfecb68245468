// The translation of one call: for which servers it is possible, and the body and the answer for the one that gets it. Made
// only if a server lacks the call's route.
import { GatewayError, toGatewayError } from '../../domain/error.ts';
import { parseModelName } from '../../domain/model-name.ts';
import type { OpenAiExtras } from '../../upstream/kind.ts';
import type { KnownModels } from '../../upstream/known-models.ts';
import type { Upstream } from '../../upstream/server.ts';
import type { Operation } from '../dialects/dialect.ts';
import type { NamedModel } from '../model-names.ts';
import { operations } from '../operation.ts';
import { type Figured, writeFigures } from '../server-figures.ts';
import { ServerBody } from './server-body.ts';
import type { Asked, OwnAnswer, Translated, Translation } from './translation.ts';
import { translations } from './translations.ts';
import { translateTwice } from './twice.ts';

/** What is read of a server. */
export type Translating = Pick<Upstream, 'kind' | 'routes' | 'mayHave' | 'models' | 'details' | 'health'>;

/** What is read of a shaped call. */
export interface Translatable {
  readonly operation: Operation;
  readonly models: readonly NamedModel[];
  readonly stream: boolean;
  readonly usageInjected: boolean;
  readonly body: Buffer | undefined;
  readonly figured: Figured | undefined;
}

/** How a call is sent to one server. It holds nothing of a body. */
export interface Sending {
  /** The operation of the server. */
  readonly served: Operation;
  /** How to write the answer. */
  readonly writing: Pick<Translated, 'whole' | 'stream'>;
  readonly asksForUsage: boolean;
}

const byPath = new Map(
  operations.filter(({ body }) => body === 'json').map((operation) => [operation.path, operation]),
);

const nothing = Buffer.alloc(0);
const lacksRoute = new GatewayError('upstream_lacks_route');
const noExtras: OpenAiExtras = { sampling: {} };

interface Spellings {
  readonly exact: ReadonlySet<string>;
  readonly byCanonical: ReadonlyMap<string, string>;
}

/** Read once for each list that a server has shown. */
const spellings = new WeakMap<KnownModels, Spellings>();

/** A server of another kind compares names letter by letter: it gets the name as it spells it itself. */
function spelledBy(models: KnownModels, canonical: string | undefined, text: string): string {
  if (canonical === undefined) return text;
  let known = spellings.get(models);
  if (!known) {
    const byCanonical = new Map<string, string>();
    for (const { name } of models.listed) byCanonical.set(parseModelName(name)?.canonical ?? name, name);
    known = { exact: new Set(models.listed.map(({ name }) => name)), byCanonical };
    spellings.set(models, known);
  }
  // Names of two models can differ in case only.
  return known.exact.has(text) ? text : (known.byCanonical.get(canonical) ?? text);
}

export class CallTranslation {
  readonly #translation: Translation;
  readonly #call: Translatable;
  /** By the routes of a server, and by context where the translation depends on it. */
  readonly #verdicts = new Map<object, Map<number | undefined, GatewayError | undefined>>();
  #readsContext = false;
  #able: { readonly reach: readonly Upstream[]; readonly found: readonly Upstream[] } | undefined;

  private constructor(translation: Translation, call: Translatable) {
    this.#translation = translation;
    this.#call = call;
  }

  /** Undefined if calls of this operation are not translated. */
  static of(call: Translatable): CallTranslation | undefined {
    const translation = translations.get(call.operation.path);
    return translation ? new CallTranslation(translation, call) : undefined;
  }

  /** Why the call cannot be translated for a server that lacks its route; undefined if it can. */
  refusalFor(server: Translating): GatewayError | undefined {
    let verdicts = this.#verdicts.get(server.routes);
    if (!verdicts) this.#verdicts.set(server.routes, (verdicts = new Map()));
    const context = this.#readsContext ? this.#contextOn(server) : undefined;
    if (verdicts.has(context)) return verdicts.get(context);
    const refusal = this.#tryFor(server);
    verdicts.set(this.#readsContext ? this.#contextOn(server) : undefined, refusal);
    return refusal;
  }

  /** The servers of `reach` that can serve the call, if that was found out and cannot have changed. */
  recall(reach: readonly Upstream[]): readonly Upstream[] | undefined {
    return this.#able?.reach === reach ? this.#able.found : undefined;
  }

  /** Contexts change while the array stays the same; kinds do not. */
  keep(reach: readonly Upstream[], found: readonly Upstream[]): readonly Upstream[] {
    if (!this.#readsContext) this.#able = { reach, found };
    return found;
  }

  /** @throws GatewayError if the call cannot be translated for this server. */
  openFor(server: Translating, takesStreamOptions: boolean): { readonly sending: Sending; readonly body: ServerBody } {
    const { stream } = this.#call;
    const asked = this.#asked(server);
    const translated = this.#translate(server, asked);
    if ('own' in translated) throw lacksRoute;
    const to = this.#servedAt(translated.path);
    const streams = to.streamDefault === null ? undefined : stream;
    const asksForUsage = streams === true && to.reply.usageOnRequest && takesStreamOptions;
    const model = spelledBy(server.models, this.#model, asked.model);
    const body = new ServerBody(asked.bytes, translated, { model, stream: streams, asksForUsage });
    const { whole, stream: open } = translated;
    return { sending: { served: to, writing: { whole, stream: open }, asksForUsage }, body };
  }

  /** A route that no caller can name is answered, and timed, like the caller's. */
  #servedAt(path: string): Operation {
    return byPath.get(path) ?? { ...this.#call.operation, path };
  }

  /** The answer, if the call needs no generation. @throws GatewayError if the call cannot be translated for this server. */
  ownFor(server: Translating): OwnAnswer | undefined {
    const translated = this.#translate(server, this.#asked(server));
    return 'own' in translated ? translated : undefined;
  }

  get #model(): string | undefined {
    return this.#call.models[0]?.name?.canonical;
  }

  #contextOn({ health, details }: Translating): number | undefined {
    return health.up === true && this.#model !== undefined ? details.contextOf(this.#model) : undefined;
  }

  #asked(server: object): Asked {
    const { body, stream, usageInjected, models } = this.#call;
    writeFigures(this.#call, server);
    const [model] = models;
    return { bytes: body ?? nothing, stream, usageInjected, model: model?.sent ?? model?.text ?? '' };
  }

  #translate(server: Translating, asked: Asked): Translated | OwnAnswer {
    const contextOf = (): number | undefined => {
      this.#readsContext = true;
      return this.#contextOn(server);
    };
    const target = { contextOf, takes: server.kind.extras ?? noExtras };
    const translated = this.#translation(asked, target);
    if ('own' in translated) return translated;
    const further = server.mayHave(translated.path) ? undefined : translations.get(translated.path);
    return further ? translateTwice(translated, further, asked, target) : translated;
  }

  #tryFor(server: Translating): GatewayError | undefined {
    try {
      const translated = this.#translate(server, this.#asked(server));
      if ('own' in translated) return undefined;
      const { path } = translated;
      // A kind says so of a route that no caller can name.
      const isKnown = byPath.has(path) || server.kind.paths?.has(path) === true;
      return isKnown && server.mayHave(path) ? undefined : lacksRoute;
    } catch (error) {
      return toGatewayError(error);
    }
  }
}
