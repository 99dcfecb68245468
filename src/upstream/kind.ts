// The interface of a kind of model server: how it is probed, what it says about its models and its queue, which routes it has,
// how the usage of its streams is asked for, how a call is cancelled, and which fields of a body it reads. Each kind is an object in a folder of kinds/. The
// gateway asks the object of the server that has the call, and names no kind.
import type { Dispatcher } from 'undici';

/** What a kind needs of a server to send it a request. */
export interface Reached {
  readonly dispatcher: Pick<Dispatcher, 'request'>;
  /** Prefix of every path; usually empty. */
  readonly basePath: string;
  readonly credentials: { readonly headers: readonly string[] };
  /** What routes have answered while the kind of a server is looked for: several kinds ask for the same list. */
  readonly read?: Map<string, Promise<unknown>>;
}

export type Fields = Readonly<Record<string, unknown>>;

/** A model as a server lists it: the facts that the gate reads, and its entry in Ollama's and in OpenAI's list format. */
export interface Listed {
  /** As the server spells it. */
  readonly name: string;
  /** In bytes; null if the server does not report it. */
  readonly size: number | null;
  /** The server gets its answers from another host. */
  readonly isRemote: boolean;
  /** Changes with the model's contents; undefined if the server does not report it. */
  readonly digest: string | undefined;
  /** The context that it is loaded with, in tokens; left out where the list does not say. */
  readonly context?: number | undefined;
  /** It is in memory; left out where the list does not say. */
  readonly isLoaded?: boolean | undefined;
  /** What it can do, in Ollama's words (`completion`, `vision`, `tools`, `embedding`); left out where the list does not say. */
  readonly capabilities?: readonly string[] | undefined;
  readonly ollama: Fields;
  readonly openai: Fields;
}

/** What a server says about single models, beyond its list. It is asked after a probe, never for a call. */
export interface ModelDetails {
  /** The context length that the model is loaded with, in tokens. */
  contextOf(canonical: string): number | undefined;
  /** The longest answer that the model's own parameters allow, in tokens. */
  answerTokensOf(canonical: string): number | undefined;
  /** How many calls the server works on at once for the model. */
  slotsOf(canonical: string): number | undefined;
  /** The models in memory, by canonical name, with their bytes or 0; undefined if the server does not say. */
  readonly loaded: ReadonlyMap<string, number> | undefined;
  /** The calls of all its clients, also of those that do not come through the gate; undefined where it does not say. */
  readonly queue: ServerQueue | undefined;
  /**
   * `known`: the list that was just read; `works`: calls of the gateway run there. Never rejects, never has anything generated, and
   * wakes no sleeping model.
   */
  look(server: Reached, known: Known, works: boolean): Promise<void>;
}

export interface ServerQueue {
  readonly running: number;
  readonly waiting: number;
}

/** What details need of the list of models, by canonical name. */
export interface Known {
  /** Of the local models. */
  readonly digests: ReadonlyMap<string, string>;
  readonly contexts: ReadonlyMap<string, number>;
  /** Undefined if the list does not say. */
  readonly loaded: ReadonlyMap<string, number> | undefined;
}

/** How to get the usage of a stream on the routes where OpenAI's API reports it only on request. */
export interface StreamUsage {
  /** The server understands `stream_options.include_usage`. Otherwise the gate leaves the field out. */
  readonly takesStreamOptions: boolean;
  /** Is this answer a refusal because of that field? */
  readonly refusesStreamOptions: (status: number, body: Buffer) => boolean;
}

/** Fields of a body by what they do. Every body is bounded by the fields of all kinds, since it can go to any server. */
export interface BodyFields {
  /** The length of an answer in tokens; also inside `options`. */
  readonly lengths: readonly string[];
  /** How many answers are generated for a prompt, even if fewer are returned; also inside `options`. */
  readonly choices: readonly string[];
  /** Inside `options`: the server reloads the model for the next caller whose values differ. */
  readonly reloadOptions: readonly string[];
  /** The same, outside `options`. */
  readonly reloads: readonly string[];
  /** They bypass the template of the model. */
  readonly templates: readonly string[];
  /** Objects whose members become variables of the template, or arguments of the function that applies it. */
  readonly templateArguments: readonly string[];
  /** The server compiles them into a grammar: a schema, a regular expression, or the grammar itself. */
  readonly grammars: readonly string[];
  /** If true, the server answers at once and generates later, where nothing is counted. */
  readonly deferred: readonly string[];
  /** They expose internals of the server. */
  readonly debug: readonly string[];
  /**
   * They reach what callers share (a slot, a prompt cache, an adapter, the order of a queue) or another machine, or they keep
   * an answer from ending when it is complete.
   */
  readonly shared: readonly string[];
  /** Whole numbers that no plan limits, with the largest value that the gate forwards. */
  readonly capped: readonly (readonly [name: string, most: number])[];
}

/** How OpenAI's routes of a kind differ from OpenAI's own, for calls that are translated to them. */
export interface OpenAiExtras {
  /** Fields for sampling beside OpenAI's: its name, by that of Ollama's option. */
  readonly sampling: Readonly<Record<string, string>>;
  /** The member of a message in a request that holds the reasoning of an earlier answer. */
  readonly reasoning?: string;
  /** `chat_template_kwargs` reach the template of the model, where reasoning can be switched on and off. */
  readonly takesTemplateArguments?: boolean;
  /** Fields and values of OpenAI's chat that it does not take, or ignores. */
  readonly lacks?: ReadonlySet<'json_object' | 'logprobs' | 'reasoning_effort'>;
  /** The field that bounds the tokens of reasoning. */
  readonly reasoningBudget?: string;
  /** The values of `reasoning_effort`, if it takes the field and they are not OpenAI's. */
  readonly efforts?: readonly string[];
  /** `reasoning_effort` is an argument of the template. */
  readonly effortIsTemplateArgument?: boolean;
  /**
   * An answer that a last message of the assistant begins is continued: with `continue_final_message`, always with the
   * beginning repeated, or always.
   */
  readonly continuesAnswers?: 'asked' | 'repeated' | 'always';
}

/** A call that a server works on. */
export interface Running {
  abort(reason: Error): void;
}

/** How a server is asked to load a model without generating. */
export interface ModelLoads {
  /** What is to be loaded for a call; undefined if the call needs no model in memory. */
  wants(call: { readonly path: string; readonly body: Fields | undefined }): Fields | undefined;
  /**
   * Resolves when the model is in memory, or with false if the server does not load it on request, so that calls have to. Has
   * nothing generated. @throws LoadFailed, or whatever a request throws. `via`: as for `models`.
   */
  load(server: Reached, model: string, wants: Fields, via: readonly string[], signal: AbortSignal): Promise<boolean>;
}

/** A line of the progress of a pull. */
export interface PullLine {
  readonly status: string;
  /** The digest of the layer that the figures are about; undefined if the line is about no layer. */
  readonly layer: string | undefined;
  /** In bytes; 0 if the line does not say. */
  readonly total: number;
  readonly completed: number;
}

/** What operators can have done with the models of a server. @throws ManagementFailed, or whatever a request throws. */
export interface ModelControl {
  /** As the server describes the model. */
  describe(server: Reached, model: string): Promise<Fields>;
  /** Takes the model out of memory. */
  unload(server: Reached, model: string): Promise<void>;
  /** Ends when the model is there. Ending it earlier, or `signal`, ends the pull at the server. */
  pull(server: Reached, model: string, signal: AbortSignal): AsyncIterable<PullLine>;
}

export interface UpstreamKind {
  /** The name of its folder, and what people see. */
  readonly name: string;
  /**
   * Checks that the server answers, and reads its models. Undefined if it is of another kind.
   * @throws if it cannot be reached or answers with an error; NoList if it answers without a list.
   */
  readonly probe: (server: Reached, signal: AbortSignal) => Promise<readonly Listed[] | undefined>;
  /** The same list for a caller. `via`: header lines that name the gates through which the request has come. */
  readonly models: (
    server: Reached,
    signal: AbortSignal,
    via: readonly string[],
  ) => Promise<readonly Listed[] | undefined>;
  /** The models that are loaded; none if the server has no such list. @throws as `models`. */
  readonly loaded: (server: Reached, signal: AbortSignal, via: readonly string[]) => Promise<readonly Listed[]>;
  /** Canonical paths of the routes that it has; undefined where servers of the kind differ. */
  readonly paths: { has(path: string): boolean } | undefined;
  /** Names of the dialects in which it has lists of models itself. The gate passes such a list on as it is. */
  readonly listDialects: readonly string[];
  /** Undefined if calls load models themselves, or models are always in memory. */
  readonly loads?: ModelLoads;
  /** Undefined if its models cannot be managed through it. */
  readonly control?: ModelControl;
  /** Called once for each server of this kind. */
  readonly openDetails: () => ModelDetails;
  readonly usage: StreamUsage;
  /** Ends a call whose answer is no longer needed. */
  readonly cancel: (call: Running, reason: Error) => void;
  /** It closes a kept connection after a stream without announcing it; a next call on it would break. */
  readonly closesAfterStreams?: boolean;
  /** Whether an answer with status 200 says that the server lacks the route. Left out where a status says it. */
  readonly lacksRoute?: (answer: string) => boolean;
  /** Header lines that its routes require, for calls that are translated to them: its own clients send them. */
  readonly requestHeaders?: readonly string[];
  /** Left out where its routes are OpenAI's, or where it has none of them. */
  readonly extras?: OpenAiExtras;
  /** Lists that are left out are empty. */
  readonly fields: Partial<BodyFields>;
}
