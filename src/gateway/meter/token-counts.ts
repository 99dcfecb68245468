// The token figures that a model server reports, in the spelling of each family, and what of them can be true. A figure
// that is no count is no figure (new-api CVE-2026-71479 booked a negative one), and neither is one beyond what the
// bytes that crossed and the time that passed allow: a server that answers 2^53−1 would use up a member's month.
import type { UsageSource } from '../../domain/usage.ts';

export interface Reading {
  /** The whole prompt, what came from a cache or went into one included. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** The parts of the prompt that were read from the server's prompt cache and written into it. */
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly source: UsageSource;
}

/** Looks at the chunks of one answer. */
export interface Meter {
  see(chunk: Buffer): void;
  /** Tokens known so far; estimates until the answer reports its own. */
  read(): Reading;
  /** No more bytes will come. Gives whether the answer was whole: it had its end mark, or needs none. */
  end(): boolean;
  /** The end mark has come: nothing that follows belongs to the answer. */
  readonly done: boolean;
  /** The answer ended with an error that the model server spelled itself. */
  readonly errorSeen: boolean;
}

export const nothingRead: Reading = {
  promptTokens: 0,
  completionTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  source: 'none',
};

/** What is known of the request: a guess at its tokens, and the bytes of its body. */
export interface Prompt {
  readonly estimate: number;
  readonly bytes: number;
}

/** What the meter has to know of a call. */
export function promptOf(call: { readonly promptEstimate: number; readonly body: Buffer | undefined }): Prompt {
  return { estimate: call.promptEstimate, bytes: call.body?.length ?? 0 };
}

/** Undefined: nothing was said of it. */
export interface Figures {
  readonly prompt: number | undefined;
  readonly completion: number | undefined;
  readonly cacheRead: number | undefined;
  readonly cacheWrite: number | undefined;
  /** Anthropic counts what its cache served and took beside `input_tokens`; everybody else counts it inside. */
  readonly cacheApart: boolean;
}

// A byte of text is a token at most. What no byte shows is bounded by time: hidden reasoning, and prompts that the
// server keeps (a model's own SYSTEM text, `previous_response_id`, images by address).
const hiddenPromptTokens = 262_144;
const hiddenCompletionTokens = 4_096;
const promptTokensPerMs = 10;
const completionTokensPerMs = 5;

/** Adds up what one answer says, over all its events: of each figure the last value that says something. */
export class Said {
  /** Bytes of the answer so far. */
  bytes = 0;
  readonly #prompt: Prompt;
  readonly #nowMs: () => number;
  readonly #beganMs: number;
  #input: number | undefined;
  #completion: number | undefined;
  #cacheRead: number | undefined;
  #cacheWrite: number | undefined;
  #cacheApart = false;

  /** `nowMs` is monotonic. */
  constructor(prompt: Prompt, nowMs: () => number) {
    this.#prompt = prompt;
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
  }

  take(figures: Figures | undefined): void {
    if (!figures) return;
    const { prompt, completion, cacheRead, cacheWrite, cacheApart } = figures;
    const ms = this.#nowMs() - this.#beganMs;
    const mostPrompt = this.#prompt.bytes + hiddenPromptTokens + ms * promptTokensPerMs;
    if ((prompt ?? 0) + (cacheRead ?? 0) + (cacheWrite ?? 0) <= (cacheApart ? mostPrompt : 2 * mostPrompt)) {
      if ((prompt ?? 0) <= mostPrompt) this.#input = later(this.#input, prompt);
      this.#cacheRead = later(this.#cacheRead, cacheRead);
      this.#cacheWrite = later(this.#cacheWrite, cacheWrite);
      this.#cacheApart ||= cacheApart;
    }
    if ((completion ?? 0) <= this.bytes + hiddenCompletionTokens + ms * completionTokensPerMs)
      this.#completion = later(this.#completion, completion);
  }

  /** `final`: no better figure will come. `seen`: completion tokens by what went by. */
  read(final: boolean, seen: number): Reading {
    const read = this.#cacheRead ?? 0;
    const write = this.#cacheWrite ?? 0;
    // Until the end a 0 may only say that nothing is known yet.
    const known = this.#input !== undefined && (final || this.#input + read + write > 0);
    const prompt = known ? (this.#input as number) + (this.#cacheApart ? read + write : 0) : this.#prompt.estimate;
    const completion =
      final && this.#completion !== undefined ? this.#completion : Math.max(this.#completion ?? 0, seen);
    const exact = final && known && this.#completion !== undefined;
    return {
      promptTokens: prompt,
      completionTokens: completion,
      // Parts of the prompt: never more than the whole.
      cacheReadTokens: known ? Math.min(read, prompt) : 0,
      cacheWriteTokens: known ? Math.min(write, prompt) : 0,
      source: !exact ? 'estimated' : prompt + completion > 0 ? 'exact' : 'none',
    };
  }
}

/** A 0 behind a positive figure, and no figure at all, say nothing. */
function later(known: number | undefined, said: number | undefined): number | undefined {
  return said === undefined || (said === 0 && known !== undefined) ? known : said;
}

/** A count that can be booked: a whole number from 0 to 2^53 − 1. */
function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export const spoiled: unique symbol = Symbol('not a count');

/** Of a figure that is there and no count nothing beside it can be believed either. */
export function countIn(value: Readonly<Record<string, unknown>>, name: string): number | undefined | typeof spoiled {
  const figure = value[name];
  return figure === undefined ? undefined : (count(figure) ?? spoiled);
}

/** A `usage` object of OpenAI's older (prompt/completion) or newer and Anthropic's (input/output) spelling. */
export function usageFigures(usage: unknown): Figures | undefined {
  if (typeof usage !== 'object' || usage === null) return undefined;
  const value = usage as Readonly<Record<string, unknown>>;
  const newer = 'input_tokens' in value || 'output_tokens' in value;
  const cacheApart = 'cache_read_input_tokens' in value || 'cache_creation_input_tokens' in value;
  const prompt = countIn(value, newer || cacheApart ? 'input_tokens' : 'prompt_tokens');
  const completion = countIn(value, newer || cacheApart ? 'output_tokens' : 'completion_tokens');
  if (prompt === spoiled || completion === spoiled) return undefined;
  // A call has a prompt: a server that says 0 and 0 does not count, and would give everything away.
  if (
    !prompt &&
    !completion &&
    !count(value['cache_read_input_tokens']) &&
    !count(value['cache_creation_input_tokens'])
  )
    return undefined;
  const details = value[newer ? 'input_tokens_details' : 'prompt_tokens_details'];
  const cached = cacheApart
    ? value['cache_read_input_tokens']
    : typeof details === 'object' && details !== null
      ? (details as Readonly<Record<string, unknown>>)['cached_tokens']
      : undefined;
  return {
    prompt,
    completion,
    cacheRead: count(cached),
    cacheWrite: cacheApart ? count(value['cache_creation_input_tokens']) : undefined,
    cacheApart,
  };
}

/** An object that is the whole of these bytes. */
export function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Is that what a failure puts into `error`? Some servers write the field into everything: null, false, 0 or empty. */
export const isSaid = (error: unknown): boolean => Boolean(error) && !(Array.isArray(error) && error.length === 0);

/**
 * A line that is an object whose first field is `error`: how every family spells a failure in mid-stream. One that says
 * nothing there (`"error":null`) is a piece like others: for the end of the answer it would hide all that follows.
 */
export function isErrorLine(line: Buffer): boolean {
  if (line[0] !== 0x7b || !line.subarray(0, 12).toString('latin1').replaceAll(' ', '').startsWith('{"error":'))
    return false;
  const value = parseObject(line);
  return value === undefined || isSaid(value['error']);
}

/** A line of a stream is one token and what stands around it, up to about this size. */
const framedBytes = 512;

/** Tokens that a piece of a stream stands for: one, or by its bytes where it holds a whole text or tool call. */
export function tokensIn(piece: Buffer): number {
  if (piece.length <= framedBytes) return 1;
  if (!piece.includes('"logprobs":') && !piece.includes('"context":')) return ofBytes(piece.length);
  const value = parseObject(piece);
  // A piece that was cut may be all text.
  if (value === undefined) return ofBytes(piece.length);
  const { entries, bytes } = besidesText(value);
  const rest = piece.length - bytes;
  return Math.max(rest <= framedBytes ? 1 : ofBytes(rest), entries);
}

/**
 * What stands in an event beside its text and is much longer: the probabilities, one entry for each token, and Ollama's
 * `context`. They are known by where they stand, since an argument of a tool may be called the same.
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

/** A list, or the lists that OpenAI's two families put inside: objects, or one list for each property of a token. */
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

/** A long line with the probabilities of its tokens, of which nothing is held: an entry is 60 bytes to 1,500. */
export function ofEntries(bytes: number): number {
  return Math.ceil(bytes / 256);
}
