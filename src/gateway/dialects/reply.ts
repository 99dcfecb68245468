// The answer of an operation: how it is metered, bounded and recognised. A dialect has one object for each kind of
// answer, created when its file is loaded; everything that handles answers reads these fields.
import type { Fields, Listed } from '../../upstream/kind.ts';
import type { OwnLength } from '../answer-length.ts';
import type { Meter, Prompt } from '../meter/token-counts.ts';
import type { Frames } from './frames.ts';
import { jsonTypes } from './media-types.ts';

export interface Reply {
  /** The media types that it may have. */
  readonly types: readonly string[];
  /** Meters a stream, and knows its end mark; undefined if it never streams. `nowMs` is monotonic. */
  readonly streamMeter: ((prompt: Prompt, nowMs: () => number) => Meter) | undefined;
  /** Meters a whole answer; undefined if it costs nothing. `failed`: it has the status of an error. */
  readonly wholeMeter: ((prompt: Prompt, nowMs: () => number, failed: boolean) => Meter) | undefined;
  /** Where a request limits the length of the answer; undefined if nothing is generated. */
  readonly length: OwnLength | undefined;
  /** The format of a model list; undefined for other answers. */
  readonly list: ModelList | undefined;
  /** The format of its streams, if it differs from its dialect's. */
  readonly frames: Frames | undefined;
  /** A stream reports its usage only if `stream_options.include_usage` requests it. */
  readonly usageOnRequest: boolean;
  /** Model servers may lack the route, so a 404 says nothing about the model. */
  readonly isOptional: boolean;
}

/** A model list in a dialect's format. */
export interface ModelList {
  /** Only loaded models. */
  readonly isOfLoaded: boolean;
  /** The member of the answer that holds the entries. */
  readonly member: string;
  /** The fields of an entry that name its model. */
  readonly nameFields: readonly string[];
  readonly entryOf: (model: Listed) => Fields;
  /** The answer around its entries, which are already joined with commas. */
  readonly write: (entries: string) => string;
}

/** An answer that costs nothing and is relayed unchanged. */
export const plain: Reply = {
  types: jsonTypes,
  streamMeter: undefined,
  wholeMeter: undefined,
  length: undefined,
  list: undefined,
  frames: undefined,
  usageOnRequest: false,
  isOptional: false,
};

/** A plain reply with these differences. All replies have the same shape, which keeps field access fast. */
export const defineReply = (special: Partial<Reply>): Reply => ({ ...plain, ...special });
