// The figures with which an answer of Ollama ends: tokens as the server reports them, and times from the server's own clock where
// it says them (llama.cpp's `timings`), or else from the gateway's. A figure that nobody knows is left out, as Ollama does.
import type { Fields } from '../../../upstream/kind.ts';
import { timingFigures, usageFigures } from '../../meter/token-counts.ts';
import type { Answering } from '../translation.ts';

export class Figures {
  readonly #answering: Answering;
  #prompt: number | undefined;
  #completion: number | undefined;
  /** Of the answer. */
  #beganMs: number | undefined;
  #promptMs: number | undefined;
  #completionMs: number | undefined;

  constructor(answering: Answering) {
    this.#answering = answering;
  }

  /** Reads the figures of an event or of a whole answer. */
  note(value: Fields): void {
    const { usage, timings } = value;
    const found = usageFigures(usage) ?? timingFigures(timings);
    if (found) {
      this.#prompt = found.prompt ?? this.#prompt;
      this.#completion = found.completion ?? this.#completion;
    }
    if (typeof timings !== 'object' || timings === null) return;
    const { prompt_ms: promptMs, predicted_ms: completionMs } = timings as Fields;
    if (isTime(promptMs)) this.#promptMs = promptMs;
    if (isTime(completionMs)) this.#completionMs = completionMs;
  }

  /** The first piece of the answer has come. */
  begin(): void {
    this.#beganMs ??= this.#answering.elapsedMs();
  }

  /** The figures of embeddings, which have no end. */
  ofEmbedding(): string {
    const count = this.#prompt ? `,"prompt_eval_count":${this.#prompt}` : '';
    return `,"total_duration":${nanoseconds(this.#answering.elapsedMs())}${count}`;
  }

  /** The last members of the answer, without braces. */
  tail(reason: string): string {
    const totalMs = this.#answering.elapsedMs();
    const began = this.#beganMs;
    const figures: [string, number | undefined][] = [
      ['total_duration', nanoseconds(totalMs)],
      ['prompt_eval_count', this.#prompt],
      ['prompt_eval_duration', nanoseconds(this.#promptMs ?? began)],
      ['eval_count', this.#completion],
      ['eval_duration', nanoseconds(this.#completionMs ?? (began === undefined ? undefined : totalMs - began))],
    ];
    const given = figures.flatMap(([name, figure]) => (figure ? [`,"${name}":${figure}`] : []));
    return `"done":true,"done_reason":${JSON.stringify(reason)}${given.join('')}`;
  }
}

const isTime = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < 1e9;

const nanoseconds = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 1e6);
