// Counts what an answer cost, from the answer's own bytes. It only looks: what it is shown has already been relayed, and
// it never changes, delays or drops a byte. Takes the chunks of one answer; gives prompt and completion tokens, where
// they come from, and whether the answer's end mark was seen.
// Streams are read by line, over chunk boundaries, with a bounded remainder; a line's JSON is parsed only where it can
// hold a figure. A figure that is not a sane count is no figure (new-api CVE-2026-71479 booked a negative one).
import type { UsageSource } from '../domain/usage.ts';
import { LineReader } from './line-reader.ts';
import type { ReplyKind } from './operation.ts';
import { type JsonValue, type Outline, ofAnswers, scanObject, textOf } from './strict-json.ts';

export interface Reading {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly source: UsageSource;
}

export interface Meter {
  see(chunk: Buffer): void;
  /** Tokens known so far; estimates until the answer reports its own. */
  read(): Reading;
  /** No more bytes will come. Gives whether the answer was whole: it had its end mark, or needs none. */
  end(): boolean;
  /** The answer ended with an error that the model server spelled itself. */
  readonly errorSeen: boolean;
}

interface Figures {
  readonly prompt: number;
  readonly completion: number;
}

/** The meter for an answer of this kind, streamed or whole. `promptEstimate` serves where nothing is reported. */
export function meterFor(reply: ReplyKind, streamed: boolean, promptEstimate: number): Meter {
  switch (reply) {
    case 'ollama-generation':
      return streamed ? new LinesMeter(promptEstimate) : new WholeMeter(ollamaFigures, promptEstimate);
    case 'ollama-embedding':
      return new WholeMeter(ollamaFigures, promptEstimate, 'embeds');
    case 'openai-completion':
    case 'openai-responses':
    case 'anthropic-messages':
      return streamed ? new EventsMeter(reply, promptEstimate) : new WholeMeter(usageFigures, promptEstimate);
    case 'openai-embedding':
      return new WholeMeter(usageFigures, promptEstimate, 'embeds');
    case 'ollama-progress':
      return streamed ? new ProgressMeter() : silentMeter;
    case 'plain':
    case 'ollama-models':
    case 'openai-models':
      return silentMeter;
  }
}

const nothing: Reading = { promptTokens: 0, completionTokens: 0, source: 'none' };

/** For answers that generate nothing. */
export const silentMeter: Meter = { see: () => undefined, read: () => nothing, end: () => true, errorSeen: false };

const maxWholeBytes = 64 * 1024 * 1024;

/** A whole JSON answer: read once, at its end, at the top level only, so that no text inside it can pass for a figure. */
class WholeMeter implements Meter {
  readonly errorSeen = false;
  readonly #figures: (bytes: Buffer) => Figures | undefined;
  readonly #promptEstimate: number;
  /** A vector is not made of tokens, however many bytes it has. */
  readonly #embeds: boolean;
  #chunks: Buffer[] = [];
  #length = 0;
  #found: Figures | undefined;

  constructor(
    figures: (bytes: Buffer) => Figures | undefined,
    promptEstimate: number,
    kind: 'generates' | 'embeds' = 'generates',
  ) {
    this.#figures = figures;
    this.#promptEstimate = promptEstimate;
    this.#embeds = kind === 'embeds';
  }

  see(chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length <= maxWholeBytes) this.#chunks.push(chunk);
    else this.#chunks = [];
  }

  end(): boolean {
    try {
      const [first] = this.#chunks;
      if (first) this.#found = this.#figures(this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks));
    } catch {
      // Not the JSON we know: the bytes went through as they were, and the estimate stands.
    }
    this.#chunks = [];
    return true;
  }

  read(): Reading {
    if (this.#found) return exact(this.#found);
    return estimated(this.#promptEstimate, this.#embeds ? 0 : Math.ceil(this.#length / 4));
  }
}

/** Ollama's NDJSON generation: the line with `"done":true` holds the figures and is the end mark. */
class LinesMeter implements Meter {
  readonly #lines: LineReader;
  readonly #promptEstimate: number;
  #pieces = 0;
  #done = false;
  #found: Figures | undefined;
  errorSeen = false;

  constructor(promptEstimate: number) {
    this.#promptEstimate = promptEstimate;
    this.#lines = new LineReader((line) => this.#line(line));
  }

  see(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  #line(line: Buffer): void {
    if (line.length < 3) return;
    this.#pieces++;
    if (line.includes('"done":true') || line.includes('"done": true')) {
      const value = parseObject(line);
      if (value?.['done'] !== true) return;
      this.#done = true;
      this.#found = figuresFrom(value, 'prompt_eval_count', 'eval_count');
    } else if (isErrorLine(line)) {
      this.#done = true;
      this.errorSeen = true;
      this.#pieces--;
    }
  }

  end(): boolean {
    this.#lines.end();
    return this.#done;
  }

  read(): Reading {
    return this.#found ? exact(this.#found) : estimated(this.#promptEstimate, this.#pieces);
  }
}

/** Ollama's NDJSON progress of a pull, push or create; `{"status":"success"}` is the end mark. No tokens. */
class ProgressMeter implements Meter {
  readonly #lines = new LineReader((line) => this.#line(line));
  #done = false;
  errorSeen = false;

  see(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  #line(line: Buffer): void {
    if (isErrorLine(line)) this.#done = this.errorSeen = true;
    else if (line.includes('"success"') && parseObject(line)?.['status'] === 'success') this.#done = true;
  }

  end(): boolean {
    this.#lines.end();
    return this.#done;
  }

  read(): Reading {
    return nothing;
  }
}

type EventReply = 'openai-completion' | 'openai-responses' | 'anthropic-messages';

/** Server-sent events of the OpenAI and Anthropic families. */
class EventsMeter implements Meter {
  readonly #lines: LineReader;
  readonly #reply: EventReply;
  readonly #promptEstimate: number;
  #pieces = 0;
  #done = false;
  #found: Figures | undefined;
  errorSeen = false;

  constructor(reply: EventReply, promptEstimate: number) {
    this.#reply = reply;
    this.#promptEstimate = promptEstimate;
    this.#lines = new LineReader((line) => this.#line(line));
  }

  see(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  #line(line: Buffer): void {
    // `data:` lines only; the space after the colon is optional (HTML standard, event stream format).
    if (line[0] !== 0x64 || line[4] !== 0x3a || line[1] !== 0x61 || line[2] !== 0x74 || line[3] !== 0x61) return;
    const data = line.subarray(line[5] === 0x20 ? 6 : 5);
    if (data.length < 40 && data.toString('latin1').trim() === '[DONE]') {
      this.#done = true;
      return;
    }
    if (isErrorLine(data)) this.#done = this.errorSeen = true;
    else if (isPiece(this.#reply, data)) this.#pieces++;
    if (this.#reply === 'openai-completion') {
      if (data.includes('"usage":{') || data.includes('"usage": {')) this.#take(parseObject(data)?.['usage']);
    } else if (this.#reply === 'openai-responses') this.#responses(data);
    else this.#messages(data);
  }

  #responses(data: Buffer): void {
    if (
      !data.includes('"response.completed"') &&
      !data.includes('"response.incomplete"') &&
      !data.includes('"response.failed"')
    ) {
      if (data.includes('"type":"error"')) this.#done = this.errorSeen = true;
      return;
    }
    const value = parseObject(data);
    const type = value?.['type'];
    if (type !== 'response.completed' && type !== 'response.incomplete' && type !== 'response.failed') return;
    this.#done = true;
    this.errorSeen = type === 'response.failed';
    this.#take((value?.['response'] as Record<string, unknown> | undefined)?.['usage']);
  }

  #messages(data: Buffer): void {
    if (data.includes('"message_stop"')) {
      if (parseObject(data)?.['type'] === 'message_stop') this.#done = true;
    } else if (data.includes('"message_delta"')) {
      // The figures of message_start are an estimate of Ollama's; those of the last message_delta are real.
      const value = parseObject(data);
      if (value?.['type'] === 'message_delta') this.#take(value['usage']);
    } else if (data.includes('"type":"error"')) {
      if (parseObject(data)?.['type'] === 'error') this.#done = this.errorSeen = true;
    }
  }

  #take(usage: unknown): void {
    const figures = figuresOf(usage);
    // Ollama's /v1/completions puts all-zero usage into every chunk but the last.
    if (figures && (figures.prompt > 0 || figures.completion > 0)) this.#found = figures;
  }

  end(): boolean {
    this.#lines.end();
    return this.#done;
  }

  read(): Reading {
    return this.#found ? exact(this.#found) : estimated(this.#promptEstimate, this.#pieces);
  }
}

function exact({ prompt, completion }: Figures): Reading {
  return { promptTokens: prompt, completionTokens: completion, source: prompt + completion > 0 ? 'exact' : 'none' };
}

/** Where nothing came back we still know that a prompt was sent; each piece of a stream is close to one token. */
function estimated(promptTokens: number, pieces: number): Reading {
  return { promptTokens, completionTokens: pieces, source: 'estimated' };
}

/** Does the event carry a piece of the answer? Those that open, close and ping carry none. */
function isPiece(reply: EventReply, data: Buffer): boolean {
  if (reply === 'anthropic-messages') return data.includes('"content_block_delta"');
  if (reply === 'openai-responses') return data.includes('.delta"');
  return !data.includes('"choices":[]');
}

/** A line that is an object whose first field is `error`: how every family spells a failure in mid-stream. */
function isErrorLine(line: Buffer): boolean {
  return line[0] === 0x7b && line.subarray(0, 12).toString('latin1').replaceAll(' ', '').startsWith('{"error":');
}

function parseObject(line: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A count that can be booked: a whole number from 0 to 2^53 − 1. */
function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Ollama leaves a figure of zero out (`omitempty`); a figure that is there and not a count spoils both. */
function figuresFrom(value: Record<string, unknown>, promptName: string, completionName: string): Figures | undefined {
  const prompt = value[promptName] === undefined ? 0 : count(value[promptName]);
  const completion = value[completionName] === undefined ? 0 : count(value[completionName]);
  return prompt === undefined || completion === undefined ? undefined : { prompt, completion };
}

/** A `usage` object of OpenAI's older (prompt/completion) or newer and Anthropic's (input/output) spelling. */
function figuresOf(usage: unknown): Figures | undefined {
  if (typeof usage !== 'object' || usage === null) return undefined;
  const value = usage as Record<string, unknown>;
  return 'input_tokens' in value || 'output_tokens' in value
    ? figuresFrom(value, 'input_tokens', 'output_tokens')
    : figuresFrom(value, 'prompt_tokens', 'completion_tokens');
}

/** Below this an answer is simply parsed; above it (embeddings) only its outline is read. */
const parseBytes = 64 * 1024;
const outline: Outline = { known: new Set(), inside: { usage: { known: new Set() } } };

/** The top level of a JSON answer, its `usage` included; other members of a large one may be missing. */
function topLevelOf(bytes: Buffer): Record<string, unknown> {
  if (bytes.length <= parseBytes) return parseObject(bytes) ?? {};
  const { members } = scanObject(bytes, outline, ofAnswers);
  const scalar = ([name, value]: [string, JsonValue]): [string, unknown] => [name, scalarAt(bytes, value)];
  const usage = members.get('usage')?.members;
  return {
    ...Object.fromEntries([...members].map(scalar)),
    ...(usage ? { usage: Object.fromEntries([...usage].map(scalar)) } : {}),
  };
}

function scalarAt(bytes: Buffer, value: JsonValue): unknown {
  if (value.kind === 'number') return Number(bytes.toString('latin1', value.start, value.end));
  return value.kind === 'string' && value.end - value.start < 64 ? textOf(bytes, value) : null;
}

function ollamaFigures(bytes: Buffer): Figures | undefined {
  const answer = topLevelOf(bytes);
  const loading = answer['done_reason'] === 'load' || answer['done_reason'] === 'unload';
  // /api/embeddings reports nothing at all: that is no figure, while a load or unload really is zero.
  if (!loading && answer['prompt_eval_count'] === undefined && answer['eval_count'] === undefined) return undefined;
  return figuresFrom(answer, 'prompt_eval_count', 'eval_count');
}

function usageFigures(bytes: Buffer): Figures | undefined {
  return figuresOf(topLevelOf(bytes)['usage']);
}
