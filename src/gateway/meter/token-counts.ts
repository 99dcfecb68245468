// The token figures that a model server reports, in each family's spelling, and their plausible range. A value that is
// not a count is ignored (new-api CVE-2026-71479 recorded a negative one), and so is one beyond what the transferred
// bytes and the elapsed time allow: a server that reports 2^53−1 would use up a member's monthly quota.
import type { UsageSource } from '../../domain/usage.ts';
import type { Timings } from '../../upstream/estimate/timings.ts';
import { ReportedTimes } from './reported-times.ts';

export interface Reading {
  /** The whole prompt, including what was read from or written to a cache. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** The parts of the prompt read from and written to the server's prompt cache. */
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** The part of the completion that the model used to think. */
  readonly reasoningTokens: number;
  readonly source: UsageSource;
}

/** Observes the chunks of one answer. */
export interface Meter {
  see(chunk: Buffer): void;
  /** Tokens known so far; estimates until the answer reports its own. */
  read(): Reading;
  /** Call after the last byte. Returns whether the answer was complete: it had its end mark, or needs none. */
  end(): boolean;
  /** The end mark was received; bytes after it do not belong to the answer. */
  readonly done: boolean;
  /** The answer ended with the model server's own error. */
  readonly errorSeen: boolean;
  /** How long the model server says that it took; undefined if it says nothing. */
  timings?(): Timings | undefined;
}

export const nothingRead: Reading = {
  promptTokens: 0,
  completionTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  source: 'none',
};

/** What is known of the request: an estimate of its tokens, and the bytes of its body. */
export interface Prompt {
  readonly estimate: number;
  readonly bytes: number;
}

/** What a meter needs to know of a call. */
export function promptOf(call: { readonly promptEstimate: number; readonly body: Buffer | undefined }): Prompt {
  return { estimate: call.promptEstimate, bytes: call.body?.length ?? 0 };
}

/** Undefined: not reported. */
export interface Figures {
  readonly prompt: number | undefined;
  readonly completion: number | undefined;
  readonly cacheRead: number | undefined;
  readonly cacheWrite: number | undefined;
  readonly reasoning: number | undefined;
  /** Anthropic counts cached tokens apart from `input_tokens`; the others include them. */
  readonly cacheApart: boolean;
}

// A byte of text is at most one token. Tokens without bytes are bounded by time: hidden reasoning, and prompts stored
// on the server (a model's SYSTEM text, `previous_response_id`, images by URL).
const hiddenPromptTokens = 262_144;
const hiddenCompletionTokens = 4_096;
const promptTokensPerMs = 10;
const completionTokensPerMs = 5;

/** Combines the figures of one answer over all its events: for each figure, the last meaningful value. */
export class ReportedFigures extends ReportedTimes {
  /** Bytes of the answer so far. */
  bytes = 0;
  readonly #prompt: Prompt;
  readonly #nowMs: () => number;
  readonly #beganMs: number;
  #input: number | undefined;
  #completion: number | undefined;
  #cacheRead: number | undefined;
  #cacheWrite: number | undefined;
  #reasoning: number | undefined;
  #cacheApart = false;

  /** `nowMs` is monotonic. */
  constructor(prompt: Prompt, nowMs: () => number) {
    super();
    this.#prompt = prompt;
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
  }

  take(figures: Figures | undefined): void {
    if (!figures) return;
    const { prompt, completion, cacheRead, cacheWrite, reasoning, cacheApart } = figures;
    const ms = this.#nowMs() - this.#beganMs;
    const mostPrompt = this.#prompt.bytes + hiddenPromptTokens + ms * promptTokensPerMs;
    if ((prompt ?? 0) + (cacheRead ?? 0) + (cacheWrite ?? 0) <= (cacheApart ? mostPrompt : 2 * mostPrompt)) {
      if ((prompt ?? 0) <= mostPrompt) this.#input = later(this.#input, prompt);
      this.#cacheRead = later(this.#cacheRead, cacheRead);
      this.#cacheWrite = later(this.#cacheWrite, cacheWrite);
      this.#cacheApart ||= cacheApart;
    }
    if ((completion ?? 0) <= this.bytes + hiddenCompletionTokens + ms * completionTokensPerMs) {
      this.#completion = later(this.#completion, completion);
      this.#reasoning = later(this.#reasoning, reasoning);
    }
  }

  /** `final`: no better figure will come. `seen`: completion tokens counted in the stream. */
  read(final: boolean, seen: number): Reading {
    const read = this.#cacheRead ?? 0;
    const write = this.#cacheWrite ?? 0;
    // Before the end, a 0 may only mean "not known yet".
    const known = this.#input !== undefined && (final || this.#input + read + write > 0);
    const prompt = known ? (this.#input as number) + (this.#cacheApart ? read + write : 0) : this.#prompt.estimate;
    const completion =
      final && this.#completion !== undefined ? this.#completion : Math.max(this.#completion ?? 0, seen);
    const exact = final && known && this.#completion !== undefined;
    // Parts cannot exceed the whole, whatever the server reports.
    const cacheReadTokens = known ? Math.min(read, prompt) : 0;
    return {
      promptTokens: prompt,
      completionTokens: completion,
      cacheReadTokens,
      cacheWriteTokens: known ? Math.min(write, prompt - cacheReadTokens) : 0,
      reasoningTokens: Math.min(this.#reasoning ?? 0, completion),
      source: !exact ? 'estimated' : prompt + completion > 0 ? 'exact' : 'none',
    };
  }
}

/** A missing figure, or a 0 after a positive one, changes nothing. */
function later(known: number | undefined, reported: number | undefined): number | undefined {
  return reported === undefined || (reported === 0 && known !== undefined) ? known : reported;
}

/** A valid count: a whole number from 0 to 2^53 − 1. */
function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export const spoiled: unique symbol = Symbol('not a count');

/** If a figure is present but not a count, the figures beside it are not trusted either. */
export function countIn(value: Readonly<Record<string, unknown>>, name: string): number | undefined | typeof spoiled {
  const figure = value[name];
  return figure === undefined ? undefined : (count(figure) ?? spoiled);
}

/**
 * Reads a `usage` object in OpenAI's older (prompt/completion), newer (input/output) or Anthropic's spelling. The parts of a
 * figure stand in its details; some servers put them beside it: DeepSeek (`prompt_cache_hit_tokens`), Moonshot
 * (`cached_tokens`), SGLang (`reasoning_tokens`).
 */
export function usageFigures(usage: unknown): Figures | undefined {
  if (typeof usage !== 'object' || usage === null) return undefined;
  const value = usage as Readonly<Record<string, unknown>>;
  const newer = 'input_tokens' in value || 'output_tokens' in value;
  // Proxies such as LiteLLM write both spellings; `prompt_tokens` is then the whole prompt.
  const cacheApart =
    ('cache_read_input_tokens' in value || 'cache_creation_input_tokens' in value) && !('prompt_tokens' in value);
  const prompt = countIn(value, newer || cacheApart ? 'input_tokens' : 'prompt_tokens');
  const completion = countIn(value, newer || cacheApart ? 'output_tokens' : 'completion_tokens');
  if (prompt === spoiled || completion === spoiled) return undefined;
  // Every call has a prompt: a server that reports 0 and 0 does not count, and calls would be free.
  if (
    !prompt &&
    !completion &&
    !count(value['cache_read_input_tokens']) &&
    !count(value['cache_creation_input_tokens'])
  )
    return undefined;
  const input = fieldsOf(value[newer ? 'input_tokens_details' : 'prompt_tokens_details']);
  const output = fieldsOf(value[newer || cacheApart ? 'output_tokens_details' : 'completion_tokens_details']);
  return {
    prompt,
    completion,
    cacheRead:
      count(value['cache_read_input_tokens']) ??
      count(input['cached_tokens']) ??
      count(value['prompt_cache_hit_tokens']) ??
      count(value['cached_tokens']),
    cacheWrite: count(value['cache_creation_input_tokens']) ?? count(input['cache_write_tokens']),
    reasoning:
      count(output['reasoning_tokens']) ?? count(output['thinking_tokens']) ?? count(value['reasoning_tokens']),
    cacheApart,
  };
}

const noFields: Readonly<Record<string, unknown>> = {};
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : noFields;

/**
 * Reads llama.cpp's `timings`, which its last piece has where the call did not ask for `usage`: `prompt_n` are the tokens of
 * the prompt that were not in its cache, `cache_n` those that were (tools/server/README.md).
 */
export function timingFigures(timings: unknown): Figures | undefined {
  if (typeof timings !== 'object' || timings === null) return undefined;
  const value = timings as Readonly<Record<string, unknown>>;
  const cached = countIn(value, 'cache_n') ?? 0;
  const rest = countIn(value, 'prompt_n');
  const completion = countIn(value, 'predicted_n');
  if (cached === spoiled || rest === spoiled || completion === spoiled || rest === undefined) return undefined;
  return {
    prompt: cached + rest,
    completion,
    cacheRead: cached,
    cacheWrite: undefined,
    reasoning: undefined,
    cacheApart: false,
  };
}

/** Parses bytes that hold exactly one object. */
export function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an `error` field reports a failure. Some servers always send the field, as null, false, 0 or empty. */
export const reportsError = (error: unknown): boolean =>
  Boolean(error) && !(Array.isArray(error) && error.length === 0);

/**
 * Whether a line is an object whose first field is `error`: how every family reports a failure in mid-stream. An empty
 * one (`"error":null`) is an ordinary piece; treating it as the end would hide everything after it.
 */
export function isErrorLine(line: Buffer): boolean {
  if (line[0] !== 0x7b || !line.subarray(0, 12).toString('latin1').replaceAll(' ', '').startsWith('{"error":'))
    return false;
  const value = parseObject(line);
  return value === undefined || reportsError(value['error']);
}

/** A stream line of one token, with its framing, has up to about this size. */
const framedBytes = 512;

/** Tokens in a piece of a stream: one, or by its bytes if it holds a whole text or tool call. */
export function tokensIn(piece: Buffer): number {
  if (piece.length <= framedBytes) return 1;
  if (!piece.includes('"logprobs":') && !piece.includes('"context":')) return ofBytes(piece.length);
  const value = parseObject(piece);
  // A truncated piece may be all text.
  if (value === undefined) return ofBytes(piece.length);
  const { entries, bytes } = besidesText(value);
  const rest = piece.length - bytes;
  return Math.max(rest <= framedBytes ? 1 : ofBytes(rest), entries);
}

/**
 * The parts of an event that are not text but much longer: log probabilities, with one entry per token, and Ollama's
 * `context`. They are recognised by position, because a tool argument may have the same name.
 */
function besidesText(value: Readonly<Record<string, unknown>>): { entries: number; bytes: number } {
  const found = { entries: 0, bytes: bytesOf(value['context']) };
  addEntries(found, value['logprobs']);
  for (const choice of listOf(value['choices'])) addEntries(found, fieldOf(choice, 'logprobs'));
  // The Responses API repeats them in the whole item.
  for (const part of [value['part'], ...listOf(fieldOf(value['item'], 'content'))])
    addEntries(found, fieldOf(part, 'logprobs'));
  return found;
}

/** Entries of a list, or of the lists inside OpenAI's two formats: objects, or one list per property of a token. */
function addEntries(found: { entries: number; bytes: number }, logprobs: unknown): void {
  found.entries += Math.max(...[logprobs, fieldOf(logprobs, 'content'), fieldOf(logprobs, 'tokens')].map(lengthOf));
  found.bytes += bytesOf(logprobs);
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const lengthOf = (value: unknown): number => listOf(value).length;
const bytesOf = (value: unknown): number => (value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value)));

export function ofBytes(bytes: number): number {
  return Math.max(1, Math.ceil((bytes - framedBytes / 2) / 4));
}

/** For a long line of log probabilities, which is not held: an entry has 60 to 1,500 bytes. */
export function ofEntries(bytes: number): number {
  return Math.ceil(bytes / 256);
}
