// The request to /v1/chat/completions that a translation writes: the parts of it that more than one dialect needs.
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import { unfit, untranslatable } from '../translation.ts';
import { numberOf } from './exact-json.ts';
import { unknownValue } from './request-fields.ts';

export type Body = Record<string, unknown>;

export interface Part {
  readonly type: 'text' | 'image_url';
  readonly text?: string;
  readonly image_url?: { readonly url: string; readonly detail?: string };
}

export interface ToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

export type ChatMessage =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly Part[] }
  | { readonly role: 'tool'; readonly tool_call_id: string; readonly content: string }
  | AssistantMessage;

interface AssistantMessage {
  readonly role: 'assistant';
  readonly content: string | null;
  readonly tool_calls?: readonly ToolCall[];
}

/** What the model did in one turn. */
export interface Turn {
  readonly thoughts: string[];
  readonly said: string[];
  readonly calls: ToolCall[];
}

/**
 * A turn as one message. Servers without a member for earlier thoughts get none: models of both families are not shown the
 * thoughts of earlier turns, and a chat is complete without them.
 */
export function assistantMessage({ thoughts, said, calls }: Turn, { reasoning }: OpenAiExtras): AssistantMessage {
  return {
    role: 'assistant',
    content: said.length > 0 || calls.length === 0 ? joinTexts(said) : null,
    ...(thoughts.length > 0 && reasoning !== undefined ? { [reasoning]: joinTexts(thoughts) } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

/** Several texts of one message, where only one is possible. */
export const joinTexts = (texts: readonly string[]): string => texts.join('\n\n');

/** A single text as a string, which every server reads. */
export function userContent(parts: readonly Part[]): string | readonly Part[] {
  const [first] = parts;
  return parts.length === 0 ? '' : parts.length === 1 && first?.text !== undefined ? first.text : parts;
}

/** Media types of images that both families have. */
const imageTypes = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

/** @throws GatewayError unless it is an image of a known type. */
export function dataAddress(mediaType: string, data: string, field: string): string {
  if (!imageTypes.has(mediaType)) throw unknownValue(field, mediaType);
  return `data:${mediaType};base64,${data}`;
}

/** Why an address, or the number of a stored file, is refused. */
export const needsData = 'must be the image itself, in base64';

/** Only images that the request holds: no model server is made to fetch an address, on its own network or another's. */
export function heldImage(url: string, field: string): string {
  const found = /^data:(image\/[a-z]+);base64,/i.exec(url.slice(0, 40));
  if (!found) throw untranslatable(field, needsData);
  return dataAddress((found[1] as string).toLowerCase(), url.slice(found[0].length), field);
}

/** The members of the request, as JSON text. */
export const membersOf = (body: Body): ReadonlyMap<string, string> =>
  new Map(Object.entries(body).map(([name, value]) => [name, JSON.stringify(value)]));

/** Asks for an answer in this many tokens, at most. @throws GatewayError unless the figure is positive. */
export function writeLength(body: Body, given: unknown, field: string): void {
  const tokens = numberOf(given);
  if (tokens === undefined || !Number.isSafeInteger(tokens) || tokens < 1)
    throw unfit(field, 'must be a whole number above 0');
  body['max_tokens'] = tokens;
}

/** Switches reasoning on or off. Templates call it one or the other; a name that a template does not have is not read. */
export const writeReasoning = (body: Body, thinks: boolean): void =>
  addTemplateArguments(body, { enable_thinking: thinks, thinking: thinks });

function addTemplateArguments(body: Body, named: object): void {
  body['chat_template_kwargs'] = { ...(body['chat_template_kwargs'] as object | undefined), ...named };
}

const efforts: readonly string[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

/** @throws GatewayError if the server does not know this effort. */
export function writeEffort(body: Body, effort: string, takes: OpenAiExtras, field: string): void {
  if (takes.lacks?.has('reasoning_effort')) throw untranslatable(field);
  if (!(takes.efforts ?? efforts).includes(effort)) throw unknownValue(field, effort);
  if (takes.effortIsTemplateArgument) addTemplateArguments(body, { reasoning_effort: effort });
  else body['reasoning_effort'] = effort;
}

/**
 * A last message of the assistant is the beginning of the answer, which the server is to continue. Tool calls are not: the
 * server answers to them. Returns the beginning if the server will repeat it, or an empty text. @throws GatewayError if it
 * would answer to the message instead.
 */
export function continueAnswer(
  body: Body,
  messages: readonly ChatMessage[],
  takes: OpenAiExtras,
  field: string,
): string {
  const last = messages.at(-1);
  if (last?.role !== 'assistant' || last.tool_calls) return '';
  if (takes.continuesAnswers === undefined)
    throw untranslatable(
      field,
      'must not be the assistant in the last message, since the server cannot continue an answer',
    );
  if (takes.continuesAnswers === 'repeated') return last.content ?? '';
  if (takes.continuesAnswers === 'always') return '';
  body['continue_final_message'] = true;
  body['add_generation_prompt'] = false;
  return '';
}
