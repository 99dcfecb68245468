// What a kind of model server is: how it is probed, what it says of its models, how the usage of its streams is asked for,
// how a call on it ends, and which fields of a body it reads. One object for each kind, each in a folder of kinds/; the
// gateway asks the object of the server at hand and names no kind.
import type { Dispatcher } from 'undici';

/** What a kind needs of a server to ask it something. */
export interface Reached {
  readonly dispatcher: Pick<Dispatcher, 'request'>;
  /** Stands before every path; usually empty. */
  readonly basePath: string;
  readonly credentials: { readonly headers: readonly string[] };
}

export type Fields = Readonly<Record<string, unknown>>;

/** A model as a server lists it: the facts that the gate reads, and the entry in the words of both families of lists. */
export interface Listed {
  /** As the server spells it. */
  readonly name: string;
  /** In bytes; null where the server does not say. */
  readonly size: number | null;
  /** The server has it from another machine. */
  readonly isRemote: boolean;
  /** Changes with the contents of the model; undefined where the server does not say. */
  readonly digest: string | undefined;
  readonly ollama: Fields;
  readonly openai: Fields;
}

/** What a server says of single models, beyond their list. It is asked beside the probe, never for a call. */
export interface ModelDetails {
  /** The context that the model is loaded with. */
  contextOf(canonical: string): number | undefined;
  /** The length of an answer that the model's own parameters set. */
  answerTokensOf(canonical: string): number | undefined;
  /** Calls that the server works on at once for the model. */
  slotsOf(canonical: string): number | undefined;
  /** `digests`: of the local models of the list that was just read, by canonical name. Never rejects. */
  look(server: Reached, digests: ReadonlyMap<string, string>): Promise<void>;
}

/** How a server comes to say what a stream used, where OpenAI's API leaves that out unless it is asked for. */
export interface StreamUsage {
  /** It takes `stream_options.include_usage`; otherwise the gate leaves the field out. */
  readonly takesStreamOptions: boolean;
  /** Has it refused a call because of that field? */
  readonly refusesStreamOptions: (status: number, body: Buffer) => boolean;
}

/** Names of fields by what they do. A body is bounded by the names of all kinds, since it can go to any server. */
export interface BodyFields {
  /** How long an answer may become, in tokens; also in `options`. */
  readonly lengths: readonly string[];
  /** How many answers are generated for a prompt, also where fewer are returned; also in `options`. */
  readonly choices: readonly string[];
  /** Of `options`: they make a server load the model again for the next caller who asks for others. */
  readonly reloadOptions: readonly string[];
  /** The same, beside `options`. */
  readonly reloads: readonly string[];
  /** They go past the template of the model. */
  readonly templates: readonly string[];
  /** They show what is inside the server. */
  readonly debug: readonly string[];
  /** Whole numbers that no plan speaks of, each with its most. */
  readonly capped: readonly (readonly [name: string, most: number])[];
}

/** A call that a server works on. */
export interface Running {
  abort(reason: Error): void;
}

export interface UpstreamKind {
  /** For people, and for settings. */
  readonly name: string;
  /**
   * Does it answer, and with which models? Undefined where the server is of another kind.
   * @throws where it cannot be reached or answers with an error; NoList where it answers, but with no list.
   */
  readonly probe: (server: Reached, signal: AbortSignal) => Promise<readonly Listed[] | undefined>;
  /** The same list for a caller. `via`: header lines that say which way the question has come. */
  readonly models: (
    server: Reached,
    signal: AbortSignal,
    via: readonly string[],
  ) => Promise<readonly Listed[] | undefined>;
  /** The models that are loaded. A server that keeps no such list has none. @throws as `models`. */
  readonly loaded: (server: Reached, signal: AbortSignal, via: readonly string[]) => Promise<readonly Listed[]>;
  /** Dialects in whose words it keeps lists of models itself, so that the gate can pass them on as they are. */
  readonly listDialects: readonly string[];
  /** One for each server. */
  readonly openDetails: () => ModelDetails;
  readonly usage: StreamUsage;
  /** Ends a call that nobody waits for any more. */
  readonly cancel: (call: Running, reason: Error) => void;
  /** What is not named is empty. */
  readonly fields: Partial<BodyFields>;
}
