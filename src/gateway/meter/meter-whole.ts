// Measures the cost of an answer that is a single JSON value, not a stream: by the figures at its top level, so text
// inside it is never taken for a figure, or by its bytes if it reports none. A long answer is not held; its figures are
// read as it passes.

import type { Timings } from '../../upstream/estimate/timings.ts';
import { Pieces } from '../payload/chunk-buffer.ts';
import { JsonFigures, type Wanted } from '../payload/json-scalars.ts';
import type { ReportedTimes } from './reported-times.ts';
import {
  type Figures,
  type Meter,
  nothingRead,
  type Prompt,
  parseObject,
  type Reading,
  ReportedFigures,
  reportsError,
  timingFigures,
  usageFigures,
} from './token-counts.ts';

/** How to read the cost of one kind of answer. Each dialect has one shared object. */
export interface WholeWords {
  /** The kind of answer, which determines the estimate from its bytes if it reports no figures. */
  readonly kind: 'generates' | 'embeds' | 'transcribes';
  readonly wanted: Wanted;
  /** The figures at the top level; undefined if there are none. */
  readonly figuresIn: (answer: Readonly<Record<string, unknown>>) => Figures | undefined;
  /** How long the server says that it took; left out where it says nothing. */
  readonly timesIn?: (answer: Readonly<Record<string, unknown>>, times: ReportedTimes) => void;
}

/** Answers up to this size are held and parsed at once. */
const heldBytes = 64 * 1024;
/** The body of an error is shorter than this. */
const errorBytes = 4 * 1024;

/** Wanted for their own values. */
const each = (...names: readonly string[]): [string, true][] => names.map((name) => [name, true]);

const wantedInput: Wanted = new Map(each('cached_tokens', 'cache_write_tokens'));
const wantedOutput: Wanted = new Map(each('reasoning_tokens', 'thinking_tokens'));

export const wantedUsage: Wanted = new Map<string, Wanted | true>([
  ...each(
    'prompt_tokens',
    'completion_tokens',
    'input_tokens',
    'output_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
    'prompt_cache_hit_tokens',
    'cached_tokens',
    'reasoning_tokens',
  ),
  ['prompt_tokens_details', wantedInput],
  ['input_tokens_details', wantedInput],
  ['completion_tokens_details', wantedOutput],
  ['output_tokens_details', wantedOutput],
]);

export const wantedTimings: Wanted = new Map(each('cache_n', 'prompt_n', 'predicted_n', 'prompt_ms', 'predicted_ms'));

/** Fields with generated text, in any family: a server may fail in another dialect than the caller's. */
const generated = ['choices', 'response', 'message', 'output', 'content'] as const;

/** What to read of a long answer: its figures, and whether it is an error or holds generated text. */
export function wantedAnswer(figures: readonly (readonly [string, Wanted | true])[]): Wanted {
  return new Map<string, Wanted | true>([...figures, ...each('error', ...generated)]);
}

export class WholeMeter implements Meter {
  readonly done = false;
  readonly errorSeen = false;
  readonly #words: WholeWords;
  readonly #failed: boolean;
  readonly #figures: ReportedFigures;
  #held: Pieces | undefined = new Pieces();
  #scan: JsonFigures | undefined;
  #reported = false;
  /** Completion tokens, estimated from the bytes so far. */
  #seen = 0;
  /** Whether the answer has a cost. The body of an error has none until it is read. */
  #costs: boolean;

  /** `failed`: the answer has the status of an error. */
  constructor(words: WholeWords, prompt: Prompt, nowMs: () => number, failed: boolean) {
    this.#words = words;
    this.#figures = new ReportedFigures(prompt, nowMs);
    this.#failed = failed;
    this.#costs = !failed;
  }

  see(chunk: Buffer): void {
    this.#figures.bytes += chunk.length;
    if (this.#words.kind !== 'embeds') this.#seen = Math.ceil(this.#figures.bytes / 4);
    if (this.#scan) this.#scan.push(chunk);
    else if (this.#held) {
      if (this.#held.length + chunk.length <= heldBytes) {
        this.#held.add(chunk);
        return;
      }
      this.#scan = new JsonFigures(this.#words.wanted);
      this.#scan.push(this.#held.bytes());
      this.#scan.push(chunk);
      this.#held = undefined;
    }
  }

  end(): boolean {
    const answer = this.#scan ? this.#scan.end() : this.#held && parseObject(this.#held.bytes());
    if (this.#scan ?? this.#held) this.#judge(answer);
    this.#held = undefined;
    this.#scan = undefined;
    return true;
  }

  #judge(answer: Readonly<Record<string, unknown>> | undefined): void {
    const figures = answer && this.#words.figuresIn(answer);
    this.#figures.take(figures);
    if (answer) this.#words.timesIn?.(answer, this.#figures);
    this.#reported = figures !== undefined;
    if (this.#failed) this.#costs = this.#reported || (answer ? isGenerated(answer) : this.#figures.bytes > errorBytes);
    if (this.#words.kind === 'transcribes' && typeof answer?.['text'] === 'string')
      this.#seen = Math.ceil(Buffer.byteLength(answer['text']) / 4);
  }

  timings(): Timings | undefined {
    return this.#figures.timings();
  }

  read(): Reading {
    return this.#costs ? this.#figures.read(this.#reported, this.#seen) : nothingRead;
  }
}

/** Whether the answer holds generated text, not only an error message. */
function isGenerated(answer: Readonly<Record<string, unknown>>): boolean {
  if (reportsError(answer['error'])) return false;
  return generated.some((name) => {
    const value = answer[name];
    // Some servers put an error's text into `message`.
    return typeof value === 'object' ? value !== null : name === 'response' && value !== undefined;
  });
}

/** For answers of generated text that report a `usage` object. */
export const generatedUsage: WholeWords = {
  kind: 'generates',
  wanted: wantedAnswer([
    ['usage', wantedUsage],
    ['timings', wantedTimings],
  ]),
  figuresIn: (answer) => usageFigures(answer['usage']) ?? timingFigures(answer['timings']),
  timesIn: (answer, times) => times.takeMillis(answer['timings']),
};
