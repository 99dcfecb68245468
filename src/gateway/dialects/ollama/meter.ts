// Where Ollama's API reports the cost of an answer. Its streams are NDJSON, one JSON object per line: generations, and
// the progress of transfers, which cost no tokens. It never changes a stream.

import type { Timings } from '../../../upstream/estimate/timings.ts';
import { type WholeWords, wantedAnswer } from '../../meter/meter-whole.ts';
import type { ReportedTimes } from '../../meter/reported-times.ts';
import {
  countIn,
  type Figures,
  isErrorLine,
  type Meter,
  nothingRead,
  ofBytes,
  ofEntries,
  type Prompt,
  parseObject,
  type Reading,
  ReportedFigures,
  reportsError,
  spoiled,
  tokensIn,
} from '../../meter/token-counts.ts';
import { JsonFigures, type Wanted } from '../../payload/json-scalars.ts';
import { LineReader, type LongLine } from '../../payload/line-reader.ts';

const durations = ['load_duration', 'prompt_eval_duration', 'eval_duration'];

const wantedLine: Wanted = new Map(
  ['done', 'done_reason', 'prompt_eval_count', 'eval_count', 'error', 'logprobs', 'context', ...durations].map(
    (name) => [name, true] as const,
  ),
);

/** Meters a generation: the line with `"done":true` has the figures and is the end mark. */
export class LinesMeter implements Meter {
  readonly #lines: LineReader;
  readonly #figures: ReportedFigures;
  #pieces = 0;
  done = false;
  errorSeen = false;

  constructor(prompt: Prompt, nowMs: () => number) {
    this.#figures = new ReportedFigures(prompt, nowMs);
    this.#lines = new LineReader((line) => this.#line(line), { onLong: () => this.#long() });
  }

  see(chunk: Buffer): void {
    this.#figures.bytes += chunk.length;
    this.#lines.push(chunk);
  }

  #line(line: Buffer): void {
    // Only the first done line counts; whatever follows does not belong to the answer.
    if (line.length < 3 || this.done) return;
    if (line.includes('"done":true') || line.includes('"done": true')) {
      const value = parseObject(line);
      if (value?.['done'] === true) this.#end(value);
      if (reportsError(value?.['error'])) this.errorSeen = true;
      else this.#pieces += tokensIn(line);
    } else if (isErrorLine(line)) this.done = this.errorSeen = true;
    else this.#pieces += tokensIn(line);
  }

  #long(): LongLine {
    return longLine(wantedLine, (value, length) => {
      if (this.done) return;
      if (reportsError(value?.['error'])) this.done = this.errorSeen = true;
      else if (value?.['logprobs'] !== undefined) this.#pieces += ofEntries(length);
      else this.#pieces += value?.['context'] === undefined ? ofBytes(length) : 1;
      if (value?.['done'] === true) this.#end(value);
    });
  }

  #end(value: Readonly<Record<string, unknown>>): void {
    this.done = true;
    this.#figures.take(figuresIn(value));
    this.#figures.takeDurations(value);
  }

  end(): boolean {
    this.#lines.end();
    return this.done;
  }

  read(): Reading {
    return this.#figures.read(this.done, this.#pieces);
  }

  timings(): Timings | undefined {
    return this.#figures.timings();
  }
}

/** Meters the progress of a pull, push or create; `{"status":"success"}` is the end mark. No tokens. */
export class ProgressMeter implements Meter {
  readonly #lines = new LineReader((line) => this.#line(line));
  done = false;
  errorSeen = false;

  see(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  #line(line: Buffer): void {
    if (isErrorLine(line)) this.done = this.errorSeen = true;
    else if (line.includes('"success"') && parseObject(line)?.['status'] === 'success') this.done = true;
  }

  end(): boolean {
    this.#lines.end();
    return this.done;
  }

  read(): Reading {
    return nothingRead;
  }
}

/** Scans a line that is not held for its figures; `over` receives what was found. */
function longLine(
  wanted: Wanted,
  over: (value: Readonly<Record<string, unknown>> | undefined, length: number) => void,
): LongLine {
  const scan = new JsonFigures(wanted);
  let length = 0;
  return {
    push(piece) {
      length += piece.length;
      scan.push(piece);
    },
    end: () => over(scan.end(), length),
  };
}

const wantedWhole = wantedAnswer(
  ['prompt_eval_count', 'eval_count', 'done_reason', ...durations].map((name) => [name, true] as const),
);

/** A generation in one piece. */
export const generated: WholeWords = { kind: 'generates', wanted: wantedWhole, figuresIn, timesIn };
/** Embeddings, in the newer and the older format. */
export const embedded: WholeWords = { kind: 'embeds', wanted: wantedWhole, figuresIn, timesIn };

function timesIn(answer: Readonly<Record<string, unknown>>, times: ReportedTimes): void {
  times.takeDurations(answer);
}

/** The figures of a stream's last line, or of a whole answer. */
function figuresIn(answer: Readonly<Record<string, unknown>>): Figures | undefined {
  const loading = answer['done_reason'] === 'load' || answer['done_reason'] === 'unload';
  // /api/embeddings reports no figures, which is not zero, while a load or unload really costs zero.
  if (!loading && answer['prompt_eval_count'] === undefined && answer['eval_count'] === undefined) return undefined;
  // Ollama omits figures of zero (`omitempty`).
  const prompt = countIn(answer, 'prompt_eval_count') ?? 0;
  const completion = countIn(answer, 'eval_count') ?? 0;
  if (prompt === spoiled || completion === spoiled) return undefined;
  return { prompt, completion, cacheRead: undefined, cacheWrite: undefined, reasoning: undefined, cacheApart: false };
}
