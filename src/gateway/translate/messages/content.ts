// Translates the messages of an Anthropic request into those of a chat. One message can become several: the results of
// tools are messages of their own there, which stand before the text that follows them.
import type { GatewayError } from '../../../domain/error.ts';
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import {
  assistantMessage,
  type ChatMessage,
  dataAddress,
  joinTexts,
  needsData,
  type Part,
  type ToolCall,
  type Turn,
  userContent,
} from '../chat/chat-request.ts';
import { type RequestFields, unknownValue } from '../chat/request-fields.ts';
import { unfit, untranslatable } from '../translation.ts';

export function chatMessages(body: RequestFields, takes: OpenAiExtras): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const system = texts(body, 'system');
  if (system.length > 0) messages.push({ role: 'system', content: joinTexts(system) });
  for (const message of body.each('messages')) {
    const role = message.requiredText('role');
    if (role === 'user') messages.push(...userMessages(message));
    else if (role === 'assistant') messages.push(assistantMessage(turnOf(message), takes));
    else if (role === 'system') messages.push({ role, content: joinTexts(texts(message, 'content')) });
    else throw unknownValue(message.at('role'), role);
    message.end();
  }
  return messages;
}

/** A string, or blocks of text. */
function texts(holder: RequestFields, name: string): string[] {
  const value = holder.any(name);
  if (typeof value === 'string') return [value];
  const found: string[] = [];
  for (const block of holder.each(name)) {
    if (block.requiredText('type') !== 'text') throw unknownBlock(block);
    found.push(textOf(block));
  }
  return found;
}

function textOf(block: RequestFields): string {
  const text = block.requiredText('text');
  if ((block.list('citations') ?? []).length > 0) throw untranslatable(block.at('citations'));
  endOf(block);
  return text;
}

/** A mark for a cache changes no answer: servers that keep one find the common beginning of prompts by themselves. */
function endOf(block: RequestFields): void {
  block.ignore('cache_control');
  block.end();
}

const unknownBlock = (block: RequestFields): GatewayError => unknownValue(block.at('type'), block.requiredText('type'));

function userMessages(message: RequestFields): ChatMessage[] {
  const content = message.any('content');
  if (typeof content === 'string') return [{ role: 'user', content }];
  const results: ChatMessage[] = [];
  /** A result can only be text there, so its images follow with the next message. */
  const parts: Part[] = [];
  let hasOther = false;
  for (const block of message.each('content')) {
    const type = block.requiredText('type');
    if (type === 'tool_result') {
      // The results must follow the calls directly, in both families.
      if (hasOther)
        throw unfit(block.at('type'), 'is tool_result, and results of tools must come before other content');
      results.push(toolMessage(block, parts));
    } else {
      hasOther = true;
      if (type === 'text') parts.push({ type, text: textOf(block) });
      else if (type === 'image') parts.push(imagePart(block));
      else throw unknownBlock(block);
    }
  }
  if (parts.length > 0 || results.length === 0) results.push({ role: 'user', content: userContent(parts) });
  return results;
}

function imagePart(block: RequestFields): Part {
  const source = block.fields('source');
  if (!source) throw unfit(block.at('source'), 'is required');
  if (source.requiredText('type') !== 'base64') throw untranslatable(source.at('type'), needsData);
  const url = dataAddress(source.requiredText('media_type'), source.requiredText('data'), source.at('media_type'));
  source.end();
  endOf(block);
  return { type: 'image_url', image_url: { url } };
}

/** `images`: where its images are added. */
function toolMessage(block: RequestFields, images: Part[]): ChatMessage {
  const content = block.any('content');
  const found: string[] = typeof content === 'string' ? [content] : [];
  if (typeof content !== 'string')
    for (const inner of block.each('content')) {
      const type = inner.requiredText('type');
      if (type === 'text') found.push(textOf(inner));
      else if (type === 'image') images.push(imagePart(inner));
      else throw unknownBlock(inner);
    }
  // A chat has no mark for it, and the model should know.
  if (block.flag('is_error') === true) found.unshift('Error:');
  const id = block.requiredText('tool_use_id');
  endOf(block);
  return { role: 'tool', tool_call_id: id, content: joinTexts(found) };
}

function turnOf(message: RequestFields): Turn {
  const content = message.any('content');
  const turn: Turn = { thoughts: [], said: [], calls: [] };
  if (typeof content === 'string') turn.said.push(content);
  else for (const block of message.each('content')) addBlock(block, turn);
  return turn;
}

function addBlock(block: RequestFields, { thoughts, said, calls }: Turn): void {
  switch (block.requiredText('type')) {
    case 'text':
      said.push(textOf(block));
      break;
    case 'thinking':
      thoughts.push(block.requiredText('thinking'));
      // It proves to Anthropic that the text is its own; the gateway writes an empty one.
      block.ignore('signature');
      endOf(block);
      break;
    case 'tool_use':
      calls.push(toolCall(block));
      break;
    default:
      throw unknownBlock(block);
  }
}

function toolCall(block: RequestFields): ToolCall {
  const caller = block.fields('caller');
  caller?.oneOf('type', ['direct']);
  caller?.end();
  const input = block.object('input') ?? {};
  const call = { name: block.requiredText('name'), arguments: JSON.stringify(input) };
  const id = block.requiredText('id');
  endOf(block);
  return { id, type: 'function', function: call };
}
