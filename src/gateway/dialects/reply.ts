// What an operation is answered with: how it is counted, bounded and recognized. A dialect has an object for each kind of
// answer, made once when its file is loaded; everything that handles answers reads these fields.
import type { Fields, Listed } from '../../upstream/kind.ts';
import type { OwnLength } from '../answer-length.ts';
import type { Meter, Prompt } from '../meter/token-counts.ts';
import type { Frames } from './frames.ts';
import { jsonTypes } from './media-types.ts';

export interface Reply {
  /** Media types that it may have. */
  readonly types: readonly string[];
  /** Counts a stream, and knows the mark of its end; undefined where there is no stream. `nowMs` is monotonic. */
  readonly streamMeter: ((prompt: Prompt, nowMs: () => number) => Meter) | undefined;
  /** Counts an answer in one piece; undefined where it costs nothing. `failed`: it has the status of an error. */
  readonly wholeMeter: ((prompt: Prompt, nowMs: () => number, failed: boolean) => Meter) | undefined;
  /** Where a request says how long the answer may become; undefined where nothing is generated. */
  readonly length: OwnLength | undefined;
  /** What it is where it lists models. */
  readonly list: ModelList | undefined;
  /** The form of its streams where it is not that of its dialect. */
  readonly frames: Frames | undefined;
  /** A stream reports its usage only if `stream_options.include_usage` asks for it. */
  readonly usageOnRequest: boolean;
  /** Model servers may lack the route, and then their 404 says nothing of the model. */
  readonly isOptional: boolean;
}

/** A list of models as a dialect writes it. */
export interface ModelList {
  /** Only models that are loaded. */
  readonly isOfLoaded: boolean;
  /** The member of the answer that holds the entries. */
  readonly member: string;
  /** The fields of an entry that name its model. */
  readonly nameFields: readonly string[];
  readonly entryOf: (model: Listed) => Fields;
  /** The answer around its entries, which are written and joined with commas. */
  readonly write: (entries: string) => string;
}

/** An answer that costs nothing and is passed on as it is. */
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

/** A plain reply but for what is said here. All replies have the same shape, so that reading their fields stays fast. */
export const defineReply = (special: Partial<Reply>): Reply => ({ ...plain, ...special });
