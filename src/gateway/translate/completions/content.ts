// Translates the messages of a chat into those of an Anthropic request: the first instructions become its system prompt, and
// results of tools that follow each other become blocks of one message.
import { needsData } from '../chat/chat-request.ts';
import { parseExactly } from '../chat/exact-json.ts';
import { type RequestFields, unknownValue } from '../chat/request-fields.ts';
import { unfit, untranslatable } from '../translation.ts';

interface Message {
  readonly role: 'user' | 'assistant' | 'system';
  readonly content: string | readonly object[];
}

export interface Conversation {
  readonly system: readonly object[];
  readonly messages: readonly Message[];
}

export function conversationOf(body: RequestFields): Conversation {
  const system: object[] = [];
  const messages: Message[] = [];
  let results: object[] = [];
  const endResults = (): void => {
    if (results.length > 0) messages.push({ role: 'user', content: results });
    results = [];
  };
  for (const message of body.each('messages')) {
    const role = message.requiredText('role');
    if (role === 'tool') results.push(resultOf(message));
    else {
      endResults();
      if (role === 'user') messages.push({ role, content: userContent(message) });
      else if (role === 'assistant') messages.push({ role, content: assistantBlocks(message) });
      else if (role !== 'system' && role !== 'developer') throw unknownValue(message.at('role'), role);
      else if (messages.length === 0) system.push(...textBlocks(message));
      else messages.push({ role: 'system', content: textBlocks(message) });
    }
    message.end();
  }
  endResults();
  return { system, messages };
}

/** A string, or parts that are all text. */
function textBlocks(message: RequestFields): object[] {
  const content = message.any('content');
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  const blocks: object[] = [];
  for (const part of message.each('content')) blocks.push(textBlock(part));
  return blocks;
}

function textBlock(part: RequestFields): object {
  const type = part.requiredText('type');
  if (type !== 'text') throw unknownValue(part.at('type'), type);
  const text = part.requiredText('text');
  endOfPart(part);
  return { type, text };
}

/** A mark for a cache changes no answer. */
function endOfPart(part: RequestFields): void {
  part.ignore('prompt_cache_breakpoint');
  part.end();
}

function userContent(message: RequestFields): string | readonly object[] {
  const content = message.any('content');
  if (typeof content === 'string') return content;
  const blocks: object[] = [];
  for (const part of message.each('content'))
    blocks.push(part.text('type') === 'image_url' ? imageBlock(part) : textBlock(part));
  return blocks;
}

const dataAddress = /^data:(image\/(?:jpeg|png|gif|webp));base64,/i;

/** Only images that the request holds, as for every server. */
function imageBlock(part: RequestFields): object {
  const image = part.fields('image_url');
  if (!image) throw unfit(part.at('image_url'), 'is required');
  const url = image.requiredText('url');
  const found = dataAddress.exec(url.slice(0, 40));
  if (!found) throw untranslatable(image.at('url'), needsData);
  image.oneOf('detail', ['auto']);
  image.end();
  endOfPart(part);
  const source = { type: 'base64', media_type: (found[1] as string).toLowerCase(), data: url.slice(found[0].length) };
  return { type: 'image', source };
}

function assistantBlocks(message: RequestFields): object[] {
  const blocks: object[] = [];
  const content = message.any('content');
  if (typeof content === 'string') {
    if (content !== '') blocks.push({ type: 'text', text: content });
  } else
    for (const part of message.each('content'))
      if (part.text('type') === 'refusal') {
        blocks.push({ type: 'text', text: part.requiredText('refusal') });
        part.end();
      } else blocks.push(textBlock(part));
  const refusal = message.text('refusal');
  if (refusal !== undefined) blocks.push({ type: 'text', text: refusal });
  for (const call of message.each('tool_calls')) blocks.push(callBlock(call));
  // Thoughts are only read with the signature of the service that wrote them, which a chat does not carry.
  message.ignore('reasoning_content', 'reasoning');
  if ((message.list('annotations') ?? []).length === 0) message.ignore('annotations');
  return blocks;
}

function callBlock(call: RequestFields): object {
  const type = call.text('type') ?? 'function';
  const called = call.fields('function');
  if (type !== 'function' || !called) throw unknownValue(call.at('type'), type);
  const text = called.text('arguments') ?? '';
  const block = { type: 'tool_use', id: call.requiredText('id'), name: called.requiredText('name') };
  called.end();
  // The place among the others is that in the list.
  call.ignore('index');
  call.end();
  return { ...block, input: inputOf(text, called.at('arguments')) };
}

function inputOf(text: string, field: string): unknown {
  try {
    const input = text === '' ? {} : parseExactly(text);
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input;
  } catch {
    // Refused below.
  }
  throw unfit(field, 'must be a JSON object');
}

function resultOf(message: RequestFields): object {
  const content = textBlocks(message);
  return { type: 'tool_result', tool_use_id: message.requiredText('tool_call_id'), content };
}
