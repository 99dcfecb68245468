// What a dialect is: an API family as callers speak it. Each has a folder of its own and a place in the list (dialects.ts).
// The rest of the data plane works with these types and names no dialect (test/house/dialects.test.ts).
import type { GatewayError } from '../../domain/error.ts';
import type { Scope } from '../../domain/scope.ts';
import type { WallMs } from '../../domain/time.ts';
import { toUpstream } from '../../upstream/headers.ts';
import type { ModelError } from '../answer/model-error.ts';
import type { Frames } from './frames.ts';
import type { Reply } from './reply.ts';

export interface Dialect {
  /** The name of its folder, by which kinds of servers say whose lists they keep. */
  readonly name: string;
  /**
   * Paths that it speaks for, each with everything below. Of all dialects the longest such path decides in which words a
   * caller is refused, also where no operation is meant.
   */
  readonly paths: readonly string[];
  readonly operations: readonly Operation[];
  /** The body of a refusal. */
  readonly spellError: (error: GatewayError, requestId: string) => string;
  /** What a model server of this family says of a model that it does not have, to the byte, and as which media type. */
  readonly spellMissingModel: (model: string, requestId: string) => string;
  readonly missingModelType: string;
  /** The body of a model server's own error, spelled anew. */
  readonly spellModelError: (error: ModelError, status: number, requestId: string) => string;
  /** The form of its streams. */
  readonly frames: Frames;
  readonly headers: HeaderNames;
  /** All request headers that go on to a model server. */
  readonly onward: readonly string[];
  /** Adds its own fields about a limit; undefined where it has none. */
  readonly addLimitFields: AddLimitFields | undefined;
}

/** Names of headers of a dialect's own. */
export interface HeaderNames {
  /** Of a request: they go on to the model server. Never one that can hold a credential. */
  readonly onward: readonly string[];
  /** Of a request: its clients send them from pages too, and they stay here. */
  readonly ofPages: readonly string[];
  /** Of an answer: what `addLimitFields` adds. Pages may read it. */
  readonly limits: readonly string[];
}

/**
 * Adds to `lines`, as name, value, name, value, what is left of the tightest limit on a measure. It is called for each
 * measure of each call, and so takes arguments rather than an object.
 */
export type AddLimitFields = (
  lines: string[],
  measure: 'requests' | 'tokens',
  most: string,
  left: string,
  resetSeconds: number,
  resetsAt: WallMs,
) => void;

/** What travels in the request body. `blob` is streamed through and never held. */
export type BodyKind = 'none' | 'json' | 'multipart' | 'blob';

/**
 * Where a call names models, and how the names are to be read (ollama-api §2). `registry` is `model-or-name`, and the server
 * contacts the registry host of the name.
 */
export type ModelSource = 'none' | 'model' | 'model-or-name' | 'registry' | 'create' | 'copy' | 'path' | 'form';

/** Which set of time limits holds: a generation, a quick look, or a transfer that may take hours. */
export type TimeClass = 'inference' | 'metadata' | 'transfer';

/** What can be asked for: one row of a dialect's table. */
export interface Operation {
  readonly name: string;
  readonly methods: readonly string[];
  /** Canonical path; `{…}` stands for one segment. */
  readonly path: string;
  readonly dialect: Dialect;
  readonly scope: Scope;
  readonly body: BodyKind;
  readonly model: ModelSource;
  /** What a missing `stream` means; null where the operation never streams. */
  readonly streamDefault: boolean | null;
  readonly reply: Reply;
  /** The form of its stream. */
  readonly frames: Frames;
  readonly time: TimeClass;
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

/** Makes a dialect of its words and its table. Called once for each, when its file is loaded. */
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
      streamDefault,
      reply,
      frames: reply.frames ?? words.frames,
      time,
    });
  return dialect;
}
