// How long a model server says that it took for an answer: Ollama in the fields of the answer, llama.cpp in `timings`. Kept as
// whole microseconds, so that an answer costs no memory for them.
import type { Timings } from '../../upstream/estimate/timings.ts';

type Data = Readonly<Record<string, unknown>>;

/** 35 minutes; what is longer counts as that. */
const mostMicros = 2 ** 31 - 1;

/** Anything but a positive number is 0, which says nothing. */
const micros = (value: unknown, perMicro: number): number =>
  typeof value === 'number' && value > 0 ? Math.min(mostMicros, Math.round(value / perMicro)) : 0;

const tokens = (value: unknown): number =>
  typeof value === 'number' && value > 0 && value <= mostMicros ? Math.round(value) : 0;

export class ReportedTimes {
  #load = 0;
  #prompt = 0;
  #promptTokens = 0;
  #answer = 0;
  #answerTokens = 0;
  #isFresh = false;

  /** Of Ollama's last line or whole answer, in nanoseconds. */
  takeDurations(value: Data): void {
    this.#load = micros(value['load_duration'], 1_000);
    this.#prompt = micros(value['prompt_eval_duration'], 1_000);
    this.#promptTokens = tokens(value['prompt_eval_count']);
    this.#answer = micros(value['eval_duration'], 1_000);
    this.#answerTokens = tokens(value['eval_count']);
  }

  /** Of llama.cpp, in milliseconds: `prompt_n` are the tokens that were not in its cache. */
  takeMillis(timings: unknown): void {
    if (typeof timings !== 'object' || timings === null) return;
    const value = timings as Data;
    this.#prompt = micros(value['prompt_ms'], 0.001);
    this.#promptTokens = tokens(value['prompt_n']);
    this.#answer = micros(value['predicted_ms'], 0.001);
    this.#answerTokens = tokens(value['predicted_n']);
    this.#isFresh = true;
  }

  /** Undefined if the server says nothing. */
  timings(): Timings | undefined {
    if (this.#load + this.#prompt + this.#answer === 0) return undefined;
    return {
      loadMs: this.#load / 1_000,
      promptMs: this.#prompt / 1_000,
      promptTokens: this.#promptTokens,
      isFresh: this.#isFresh,
      answerMs: this.#answer / 1_000,
      answerTokens: this.#answerTokens,
    };
  }
}
