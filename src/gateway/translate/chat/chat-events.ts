// Reads what a server of /v1/chat/completions answers: the events of a stream and a whole answer, both told piece by piece to
// a sink. Only the first choice is read, since a translated call asks for one.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { timingFigures, usageFigures } from '../../meter/token-counts.ts';
import { type Most, scanObject } from '../../payload/strict-json.ts';
import { malformed } from '../translation.ts';

export interface ChatUsage {
  /** With what was read from a cache. */
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
  /** Part of `completion`; undefined if the server does not say. */
  readonly reasoning: number | undefined;
}

/** Texts are not empty. A stream calls it any number of times, a whole answer once for each text and tool call. */
export interface ChatSink {
  thought(text: string): void;
  said(text: string): void;
  refused(text: string): void;
  /** A tool call or a piece of one: an element of `tool_calls`. */
  called(delta: Fields): void;
  /** `stop`: the text at which it stopped, where the server says it. */
  finished(reason: string, stop: string | undefined): void;
  used(usage: ChatUsage): void;
}

/** No answer has as many values, and parsed ones cost up to a hundred times their bytes. */
const most: Most = { values: 2_000_000, kept: 1000, opened: 1 };

const outline = { known: new Set<string>() };

/** The text of a whole answer whose parsing costs no more than it can be worth. @throws GatewayError `upstream_failed`. */
export function textOfWhole(bytes: Buffer): string {
  try {
    scanObject(bytes, outline, most);
  } catch {
    throw malformed('an answer that is not JSON');
  }
  return bytes.toString('utf8');
}

/** @throws GatewayError `upstream_failed`. */
export function readEvent(value: Fields, sink: ChatSink): void {
  readChoice(value, 'delta', sink);
  const usage = usageOf(value);
  if (usage) sink.used(usage);
}

/** Reads a whole answer, and returns it. @throws GatewayError `upstream_failed`. */
export function readWhole(bytes: Buffer, sink: ChatSink): Fields {
  const value = JSON.parse(textOfWhole(bytes)) as Fields;
  if (!Array.isArray(value['choices']) || value['choices'].length === 0) throw malformed('no choice');
  readChoice(value, 'message', sink);
  const usage = usageOf(value);
  if (usage) sink.used(usage);
  return value;
}

function readChoice(value: Fields, name: 'delta' | 'message', sink: ChatSink): void {
  const choices = value['choices'] ?? [];
  if (!Array.isArray(choices)) throw malformed('choices that are no list');
  if (choices.length > 1) throw malformed('more than one choice');
  const choice: unknown = choices[0];
  if (choice === undefined) return;
  if (!isFields(choice) || (choice['index'] ?? 0) !== 0) throw malformed('a choice that was not asked for');
  const message = messageIn(choice, name);
  const thought = textIn(message, 'reasoning_content') || textIn(message, 'reasoning');
  if (thought !== '') sink.thought(thought);
  const said = textIn(message, 'content');
  if (said !== '') sink.said(said);
  const refused = textIn(message, 'refusal');
  if (refused !== '') sink.refused(refused);
  const calls = message['tool_calls'] ?? [];
  if (!Array.isArray(calls)) throw malformed('tool calls that are no list');
  for (const [index, call] of (calls as unknown[]).entries()) {
    if (!isFields(call)) throw malformed('a tool call that is no object');
    // In a whole answer each element is a call, and need not have an index.
    sink.called(name === 'delta' ? call : { ...call, index });
  }
  const reason = choice['finish_reason'] ?? undefined;
  if (reason === undefined) return;
  if (typeof reason !== 'string') throw malformed('a reason for its end that is no text');
  // vLLM and SGLang: the call was ended on the server.
  if (reason === 'abort' || reason === 'error') throw malformed('an answer that it gave up');
  // vLLM names the text in `stop_reason`, SGLang in `matched_stop`; both also name the number of a token there.
  const stop = choice['stop_reason'] ?? choice['matched_stop'];
  sink.finished(reason, typeof stop === 'string' ? stop : undefined);
}

/** /v1/completions has only a text. Some servers write a piece of a stream as a message. */
function messageIn(choice: Fields, name: 'delta' | 'message'): Fields {
  const { delta, message, text } = choice;
  const found =
    (name === 'delta' ? (delta ?? message) : message) ?? (text === undefined ? undefined : { content: text });
  // The last event of a stream can have a reason only.
  if (name === 'delta' && (found === undefined || found === null)) return nothing;
  if (!isFields(found)) throw malformed(`a ${name} that is no object`);
  for (const form of notAsked) if (isFields(found[form])) throw malformed(`a ${form}, which was not asked for`);
  return found;
}

const nothing: Fields = {};
/** Forms of an answer that only a call can bring about, and no translated one does. */
const notAsked = ['function_call', 'audio'];

function textIn(message: Fields, name: string): string {
  const text = message[name] ?? '';
  if (typeof text !== 'string') throw malformed(`a ${name} that is no text`);
  return text;
}

/** @throws GatewayError `upstream_failed` if the server has ended the answer without a reason. */
export function reasonOf({ reason }: { readonly reason: string | undefined }): string {
  if (reason === undefined) throw malformed('no reason for its end');
  return reason;
}

function usageOf(value: Fields): ChatUsage | undefined {
  const { usage } = value;
  const figures = usageFigures(usage) ?? timingFigures(value['timings']);
  if (!figures) return undefined;
  const { prompt = 0, completion = 0, cacheRead = 0 } = figures;
  const reasoning = reasoningIn(usage);
  return {
    prompt,
    completion,
    cached: Math.min(cacheRead, prompt),
    reasoning: reasoning === undefined ? undefined : Math.min(reasoning, completion),
  };
}

function reasoningIn(usage: unknown): number | undefined {
  if (!isFields(usage)) return undefined;
  const { completion_tokens_details: details, reasoning_tokens: own } = usage;
  const found = isFields(details) ? details['reasoning_tokens'] : own;
  return typeof found === 'number' && Number.isSafeInteger(found) && found >= 0 ? found : undefined;
}
