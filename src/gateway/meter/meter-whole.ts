// Counts what an answer cost that is one JSON value and no stream: its own figures at its end, from the top level only,
// so that no text inside it can pass for one; where it gives none, by its bytes. Of a long answer nothing is held: it is
// read for its figures as it goes by.

import { Pieces } from '../payload/chunk-buffer.ts';
import { JsonFigures, type Wanted } from '../payload/json-scalars.ts';
import {
  type Figures,
  isSaid,
  type Meter,
  nothingRead,
  type Prompt,
  parseObject,
  type Reading,
  Said,
  usageFigures,
} from './token-counts.ts';

/** What an answer of some kind says of its cost; an object of a dialect's, made once. */
export interface WholeWords {
  /** What the answer is, and so what its bytes say where it reports no figure. */
  readonly kind: 'generates' | 'embeds' | 'transcribes';
  readonly wanted: Wanted;
  /** The figures at its top level; undefined where it reports none. */
  readonly figuresIn: (answer: Readonly<Record<string, unknown>>) => Figures | undefined;
}

/** Below this an answer is held and simply parsed. */
const heldBytes = 64 * 1024;
/** The sentence of an error and what stands around it are shorter. */
const errorBytes = 4 * 1024;

export const wantedUsage: Wanted = new Map<string, Wanted | true>([
  ...[
    'prompt_tokens',
    'completion_tokens',
    'input_tokens',
    'output_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
  ].map((name) => [name, true] as const),
  ['prompt_tokens_details', new Map([['cached_tokens', true]])],
  ['input_tokens_details', new Map([['cached_tokens', true]])],
]);

/** Where generated text stands, in any family: a server may break in the words of another than the caller's. */
const generated = ['choices', 'response', 'message', 'output', 'content'] as const;

/** What is read of a long answer: where its figures stand, and whether it is an error or holds generated text. */
export function wantedAnswer(figures: readonly (readonly [string, Wanted | true])[]): Wanted {
  return new Map<string, Wanted | true>([...figures, ...['error', ...generated].map((name) => [name, true] as const)]);
}

export class WholeMeter implements Meter {
  readonly done = false;
  readonly errorSeen = false;
  readonly #words: WholeWords;
  readonly #failed: boolean;
  readonly #said: Said;
  #held: Pieces | undefined = new Pieces();
  #scan: JsonFigures | undefined;
  #reported = false;
  /** Completion tokens by the bytes that came. */
  #seen = 0;
  /** It cost something, as far as is known; of an error's body that is to be seen first. */
  #costs: boolean;

  /** `failed`: it has the status of an error. */
  constructor(words: WholeWords, prompt: Prompt, nowMs: () => number, failed: boolean) {
    this.#words = words;
    this.#said = new Said(prompt, nowMs);
    this.#failed = failed;
    this.#costs = !failed;
  }

  see(chunk: Buffer): void {
    this.#said.bytes += chunk.length;
    if (this.#words.kind !== 'embeds') this.#seen = Math.ceil(this.#said.bytes / 4);
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
    this.#said.take(figures);
    this.#reported = figures !== undefined;
    if (this.#failed) this.#costs = this.#reported || (answer ? isGenerated(answer) : this.#said.bytes > errorBytes);
    if (this.#words.kind === 'transcribes' && typeof answer?.['text'] === 'string')
      this.#seen = Math.ceil(Buffer.byteLength(answer['text']) / 4);
  }

  read(): Reading {
    return this.#costs ? this.#said.read(this.#reported, this.#seen) : nothingRead;
  }
}

/** Generated text, and not only the sentence of an error. */
function isGenerated(answer: Readonly<Record<string, unknown>>): boolean {
  if (isSaid(answer['error'])) return false;
  return generated.some((name) => {
    const value = answer[name];
    // A `message` that is a text is how some servers spell an error.
    return typeof value === 'object' ? value !== null : name === 'response' && value !== undefined;
  });
}

/** An answer of generated text that reports a `usage` object. */
export const generatedUsage: WholeWords = {
  kind: 'generates',
  wanted: wantedAnswer([['usage', wantedUsage]]),
  figuresIn: (answer) => usageFigures(answer['usage']),
};
