// What defines a dialect: an API family that callers use. Each has a folder and an entry in the list (dialects.ts). The
// rest of the data plane uses these types and names no dialect (test/house/dialects.test.ts).
import type { GatewayError } from '../../domain/error.ts';
import type { Scope } from '../../domain/scope.ts';
import type { WallMs } from '../../domain/time.ts';
import { toUpstream } from '../../upstream/headers.ts';
import type { ModelError } from '../answer/model-error.ts';
import type { Frames } from './frames.ts';
import type { Reply } from './reply.ts';

export interface Dialect {
  /** The name of its folder; kinds of servers refer to it for their lists. */
  readonly name: string;
  /**
   * Path prefixes of the dialect. The longest matching prefix of all dialects decides the format of a refusal, also for
   * unknown operations.
   */
  readonly paths: readonly string[];
  readonly operations: readonly Operation[];
  /** The body of a refusal. */
  readonly spellError: (error: GatewayError, requestId: string) => string;
  /** The body, byte for byte, and the media type with which a server of this family reports a missing model. */
  readonly spellMissingModel: (model: string, requestId: string) => string;
  readonly missingModelType: string;
  /** The body of a model server's error, rewritten. */
  readonly spellModelError: (error: ModelError, status: number, requestId: string) => string;
  /** The format of its streams. */
  readonly frames: Frames;
  readonly headers: HeaderNames;
  /** All request headers that are forwarded to a model server. */
  readonly onward: readonly string[];
  /** Adds its own fields about a limit; undefined if it has none. */
  readonly addLimitFields: AddLimitFields | undefined;
}

/** Names of the dialect's own headers. */
export interface HeaderNames {
  /** Request headers to forward to the model server; never one that can hold a credential. */
  readonly onward: readonly string[];
  /** Request headers that its clients also send from web pages; not forwarded. */
  readonly ofPages: readonly string[];
  /** Response headers that `addLimitFields` adds; web pages may read them. */
  readonly limits: readonly string[];
}

/**
 * Adds what remains of the tightest limit on a measure to `lines`, as name, value, name, value. Called for each measure
 * of each call, so it takes arguments instead of an object.
 */
export type AddLimitFields = (
  lines: string[],
  measure: 'requests' | 'tokens',
  most: string,
  left: string,
  resetSeconds: number,
  resetsAt: WallMs,
) => void;

/** The request body. `blob` and `stream` are streamed and never held; a `stream` has the limits of its service. */
export type BodyKind = 'none' | 'json' | 'multipart' | 'blob' | 'stream';

/**
 * Where a call names models, and how to read the names (ollama-api §2). `registry` is like `model-or-name`, and the
 * server contacts the registry host in the name.
 */
export type ModelSource = 'none' | 'model' | 'model-or-name' | 'registry' | 'create' | 'copy' | 'path' | 'form';

/** Which time limits apply: a generation, a quick query, or a transfer that may take hours. */
export type TimeClass = 'inference' | 'metadata' | 'transfer';

/** An operation: one row of a dialect's table. */
export interface Operation {
  readonly name: string;
  readonly methods: readonly string[];
  /** Canonical path; `{…}` stands for one segment. */
  readonly path: string;
  readonly dialect: Dialect;
  readonly scope: Scope;
  readonly body: BodyKind;
  readonly model: ModelSource;
  /** Names may be aliases. Not where models are managed: there, a name is that of the model. */
  readonly takesAliases: boolean;
  /** The meaning of a missing `stream`; null if the operation never streams. */
  readonly streamDefault: boolean | null;
  readonly reply: Reply;
  /** The format of its stream. */
  readonly frames: Frames;
  readonly time: TimeClass;
  /** The published service that it calls (services/published.ts); undefined for models. */
  readonly service: object | undefined;
}

export type Row = readonly [
  name: string,
  methods: string,
  path: string,
  scope: Scope,
  body: BodyKind,
  model: ModelSource,
  streamDefault: boolean | null,
  reply: Reply,
  time: TimeClass,
];

/** Builds a dialect from its formats and its table. Called once for each, when its file is loaded. */
export function defineDialect(words: Omit<Dialect, 'operations' | 'onward'>, rows: readonly Row[]): Dialect {
  const operations: Operation[] = [];
  const dialect = { ...words, operations, onward: [...toUpstream, ...words.headers.onward].toSorted() };
  for (const [name, methods, path, scope, body, model, streamDefault, reply, time] of rows)
    operations.push({
      name,
      methods: methods.split(' '),
      path,
      dialect,
      scope,
      body,
      model,
      takesAliases: !scope.startsWith('models:'),
      streamDefault,
      reply,
      frames: reply.frames ?? words.frames,
      time,
      service: undefined,
    });
  return dialect;
}
