// Reads what a server of /v1/chat/completions answers: the events of a stream and a whole answer, both told piece by piece to
// a sink. Only the first choice is read, since a translated call asks for one.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { timingFigures, usageFigures } from '../../meter/token-counts.ts';
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

/** @throws GatewayError `upstream_failed`. */
export function readEvent(value: Fields, sink: ChatSink): void {
  readChoice(value, 'delta', sink);
  const usage = usageOf(value);
  if (usage) sink.used(usage);
}

/** @throws GatewayError `upstream_failed`. */
export function readWhole(value: unknown, sink: ChatSink): void {
  if (!isFields(value) || !Array.isArray(value['choices']) || value['choices'].length === 0)
    throw malformed('no choice');
  readChoice(value, 'message', sink);
  const usage = usageOf(value);
  if (usage) sink.used(usage);
}

function readChoice(value: Fields, name: 'delta' | 'message', sink: ChatSink): void {
  const choices = value['choices'] ?? [];
  if (!Array.isArray(choices) || choices.length > 1) throw malformed('more than one choice');
  const choice: unknown = choices[0];
  if (choice === undefined) return;
  if (!isFields(choice) || (choice['index'] ?? 0) !== 0) throw malformed('a choice that was not asked for');
  const message = choice[name] ?? {};
  if (!isFields(message)) throw malformed(`a ${name} that is no object`);
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
  // vLLM names the text in `stop_reason`, SGLang in `matched_stop`; both also name the number of a token there.
  const stop = choice['stop_reason'] ?? choice['matched_stop'];
  sink.finished(reason, typeof stop === 'string' ? stop : undefined);
}

function textIn(message: Fields, name: string): string {
  const text = message[name] ?? '';
  if (typeof text !== 'string') throw malformed(`a ${name} that is no text`);
  return text;
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
