// The interface of a translation: how a call for one route is served by a model server that lacks the route and has another
// one. A dialect that is translated has a folder here, and its translations an entry in the list (translations.ts), by the
// path that the caller uses. Everything else of the data plane knows only these types.
//
// How a translated call runs:
// 1. Shaping, limits, queue and routing are those of any call. Only if a server lacks the route does the gateway look for a
//    translation (call-translation.ts). `request` then says which servers the call can be translated for; if there is no
//    other server, its error is the answer, before the call takes anything from a limit or a queue.
// 2. `request` is called again when the call is sent, with the body as the plan shaped it for that server. So a plan's bounds
//    carry over, and a retry on another server gets that server's body. The gateway adds `model`, `stream` and
//    `stream_options` to what `request` returns (server-body.ts).
// 3. The meter of the server's route reads what the server really sends.
// 4. The answer is read piece by piece (translated-stream.ts) or as a whole (at most `mostWholeBytes`), and written by the
//    `Translated` that `request` returned, so whatever an answer depends on is kept there. Errors of the server are recognized
//    and written in the caller's dialect by the gateway, in an answer as well as in a stream.
import { GatewayError } from '../../domain/error.ts';
import type { Fields, Listed, OpenAiExtras } from '../../upstream/kind.ts';
import type { JsonValue } from '../payload/strict-json.ts';

/**
 * Reads the call, and refuses whatever cannot be translated. It reads by closed tables (closed-object.ts): a member that is not
 * known is refused like one whose value has no counterpart. It is called once per kind of server, and once more when the call
 * is sent, so it returns ranges of the body instead of copies.
 * @throws GatewayError `untranslatable` (see below), `invalid_request`; `not_json` or `ambiguous_json` of a deeper reading.
 */
export type Translation = (asked: Asked, target: Target) => Translated | OwnAnswer;

/** The caller's call. */
export interface Asked {
  /** The body as it would be forwarded: one JSON object, or nothing where the route takes no body. */
  readonly bytes: Buffer;
  readonly stream: boolean;
  /** The gateway, not the caller, asked for the usage of the stream in `bytes`. */
  readonly usageInjected: boolean;
  /** The model as the caller spelled it. */
  readonly model: string;
}

/** What matters of the server that gets the call. */
export interface Target {
  /** The context that the model is loaded with, in tokens; undefined if the server does not say. */
  readonly contextOf: () => number | undefined;
  /** How the routes of its kind differ from OpenAI's. */
  readonly takes: OpenAiExtras;
}

/** A range of the caller's body. */
export type Span = Pick<JsonValue, 'start' | 'end'>;

/** JSON text, a range of the caller's body, or several of both in a row. */
export type Written = string | Span | readonly (string | Span)[];

/** A call in the words of the server, and how to write its answer. */
export interface Translated {
  /** The route of the server: a path of the route table (`/v1/chat/completions`), or one that only its kind names. */
  readonly path: string;
  /** The members of the server's body, without `model`, `stream` and `stream_options`. */
  readonly members: ReadonlyMap<string, Written>;
  /** How the caller names what stands at this path of the server's body. Left out where nothing is translated further. */
  readonly nameOf?: (path: string) => string;
  /** Writes a whole answer, which has no error in it. @throws GatewayError `upstream_failed`. */
  readonly whole: (bytes: Buffer, answering: Answering) => string;
  /** Begins a stream. Undefined for a route that never streams. */
  readonly stream: ((answering: Answering) => StreamWriter) | undefined;
}

/** A call that needs no generation: the gateway answers it from what the server says of its models. */
export interface OwnAnswer {
  /** The JSON text of the answer. @throws GatewayError */
  readonly own: (asking: Asking) => Promise<string>;
}

/** How a call is answered without the server's routes for callers. */
export interface Asking {
  /** The model as the caller spelled it. */
  readonly model: string;
  /** When the request arrived, in milliseconds since 1970. */
  readonly at: number;
  /** What the server says of the model now; undefined if it does not list it. */
  readonly listed: () => Promise<Listed | undefined>;
  /** Whether the server says that the model is loaded. */
  readonly isLoaded: () => Promise<boolean>;
}

/** Writes one stream, event by event. What it returns is sent at once. */
export interface StreamWriter {
  /** One event of the server: a JSON object, without an error. Returns whole frames of the caller's dialect, or nothing. */
  event(value: Fields): string;
  /** The end mark has come: the last frames. Not called for a stream that breaks off or fails. */
  end(): string;
}

/** The answer on its way. */
export interface Answering {
  /** The model as the caller spelled it. */
  readonly model: string;
  readonly requestId: string;
  /** When the request arrived, in milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds since the call was sent to the server. */
  readonly elapsedMs: () => number;
  /** Charges memory that a stream collects to the budget of answers. @throws GatewayError `answers_too_many`. */
  readonly take: (bytes: number) => void;
}

/** A refusal of one field of the call. */
export class FieldRefused extends GatewayError {
  /** A path such as `options.num_ctx`. */
  readonly field: string;
  readonly #sentence: (field: string) => string;

  constructor(code: 'untranslatable' | 'invalid_request', field: string, sentence: (field: string) => string) {
    super(code, { message: sentence(field) });
    this.field = field;
    this.#sentence = sentence;
  }

  /** The same refusal, with another name for the field. */
  as(field: string): FieldRefused {
    return new FieldRefused(this.code as 'untranslatable', field, this.#sentence);
  }
}

/** The error for a member or a value that cannot be translated. */
export const untranslatable = (name: string, why = 'has no counterpart there'): FieldRefused =>
  new FieldRefused(
    'untranslatable',
    name,
    (field) => `The model server speaks another API, and ${shown(field)} ${why}.`,
  );

/** The error for a member that is not what it has to be, such as `must be a string`. */
export const unfit = (name: string, why: string): FieldRefused =>
  new FieldRefused('invalid_request', name, (field) => `${shown(field)} ${why}`);

/** A name can be the caller's text. */
const shown = (name: string): string => (/^[\w.[\]-]{1,80}$/.test(name) ? name : 'a field of the request');

/** The server's answer is not what its route promises. */
export const malformed = (what: string): GatewayError =>
  new GatewayError('upstream_failed', { message: `The model server answered with ${what}.` });
