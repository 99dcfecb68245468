// Translates the input of a Responses call into the messages of a chat. An item there is a message, a call of a function, its
// result, or the thoughts before it; in a chat, what the model did in one turn is one message.
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import {
  assistantMessage,
  type ChatMessage,
  heldImage,
  joinTexts,
  needsData,
  type Part,
  type Turn,
  userContent,
} from '../chat/chat-request.ts';
import { type RequestFields, unknownValue } from '../chat/request-fields.ts';
import { unfit, untranslatable } from '../translation.ts';

export interface Input {
  readonly messages: readonly ChatMessage[];
  /** Where a message comes from, and where a call in one does, by their paths among the messages. */
  readonly origins: ReadonlyMap<string, string>;
}

export function inputMessages(body: RequestFields, takes: OpenAiExtras): Input {
  const messages = new Messages(takes);
  const instructions = body.text('instructions');
  if (instructions !== undefined) messages.add({ role: 'system', content: instructions }, 'instructions');
  const input = body.any('input');
  if (input === undefined) throw unfit('input', 'is required');
  if (typeof input === 'string') messages.add({ role: 'user', content: input }, 'input');
  else for (const item of body.each('input')) addItem(item, messages);
  return messages.end();
}

/** Collects messages; items of one turn of the model, and images of results, wait until it is known that no more follow. */
class Messages {
  readonly #takes: OpenAiExtras;
  readonly #messages: ChatMessage[] = [];
  readonly #origins = new Map<string, string>();
  #turn: Turn | undefined;
  #images: Part[] = [];
  #imagesFrom = '';

  constructor(takes: OpenAiExtras) {
    this.#takes = takes;
  }

  /** The model's turn, which the item at this path continues. */
  turnAt(path: string): Turn {
    this.#endImages();
    if (!this.#turn) {
      this.#turn = { thoughts: [], said: [], calls: [] };
      this.#note('', path);
    }
    this.#note(`.tool_calls[${this.#turn.calls.length}]`, path);
    return this.#turn;
  }

  add(message: ChatMessage, path: string): void {
    this.#endTurn();
    this.#endImages();
    this.#note('', path);
    this.#messages.push(message);
  }

  /** A result can only be text in a chat, so its images follow in a message of the user. */
  addResult(message: ChatMessage, images: readonly Part[], path: string): void {
    this.#endTurn();
    this.#note('', path);
    this.#messages.push(message);
    this.#images.push(...images);
    this.#imagesFrom = path;
  }

  end(): Input {
    this.#endTurn();
    this.#endImages();
    return { messages: this.#messages, origins: this.#origins };
  }

  /** The next message, or a part of it, comes from there. */
  #note(part: string, path: string): void {
    this.#origins.set(`messages[${this.#messages.length}]${part}`, path);
  }

  #endTurn(): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = undefined;
    this.#messages.push(assistantMessage(turn, this.#takes));
  }

  #endImages(): void {
    if (this.#images.length === 0) return;
    this.#note('', `${this.#imagesFrom}.output`);
    this.#messages.push({ role: 'user', content: this.#images });
    this.#images = [];
  }
}

function addItem(item: RequestFields, messages: Messages): void {
  const type = item.text('type') ?? 'message';
  switch (type) {
    case 'message':
      addMessage(item, messages);
      break;
    case 'reasoning':
      messages.turnAt(item.path).thoughts.push(...thoughtsOf(item));
      break;
    case 'function_call': {
      messages.turnAt(item.path).calls.push({
        id: item.requiredText('call_id'),
        type: 'function',
        function: { name: item.requiredText('name'), arguments: item.requiredText('arguments') },
      });
      break;
    }
    case 'function_call_output': {
      const { texts, images } = outputOf(item);
      const id = item.requiredText('call_id');
      messages.addResult({ role: 'tool', tool_call_id: id, content: joinTexts(texts) }, images, item.path);
      break;
    }
    default:
      throw unknownValue(item.at('type'), type);
  }
  endOfItem(item);
}

/** The server does not know items by their ids, and gets only complete ones. */
function endOfItem(item: RequestFields): void {
  item.ignore('id', 'status');
  const caller = item.fields('caller');
  caller?.oneOf('type', ['direct']);
  caller?.end();
  item.end();
}

function addMessage(item: RequestFields, messages: Messages): void {
  const role = item.requiredText('role');
  const content = item.any('content');
  switch (role) {
    case 'user': {
      const found = typeof content === 'string' ? content : userContent(inputParts(item, 'content'));
      messages.add({ role, content: found }, item.path);
      return;
    }
    case 'assistant': {
      messages.turnAt(item.path).said.push(...(typeof content === 'string' ? [content] : outputTexts(item)));
      return;
    }
    case 'system':
    case 'developer': {
      // Most servers know only the older name.
      const found =
        typeof content === 'string' ? [content] : inputParts(item, 'content').map((part) => textOf(part, item));
      messages.add({ role: 'system', content: joinTexts(found) }, item.path);
      return;
    }
    default:
      throw unknownValue(item.at('role'), role);
  }
}

function textOf({ text }: Part, item: RequestFields): string {
  if (text === undefined) throw untranslatable(item.at('content'), 'must be text for this role');
  return text;
}

function inputParts(holder: RequestFields, name: string): Part[] {
  const parts: Part[] = [];
  for (const part of holder.each(name)) {
    const type = part.requiredText('type');
    // Clients that repeat an answer as input use either name.
    if (type === 'input_text' || type === 'output_text' || type === 'text')
      parts.push({ type: 'text', text: part.requiredText('text') });
    else if (type === 'input_image') parts.push(imageOf(part));
    else throw unknownValue(part.at('type'), type);
    endOfPart(part);
  }
  return parts;
}

function imageOf(part: RequestFields): Part {
  if (part.any('file_id') !== undefined) throw untranslatable(part.at('file_id'), needsData);
  const url = heldImage(part.requiredText('image_url'), part.at('image_url'));
  const detail = part.oneOf('detail', ['auto', 'low', 'high']);
  return { type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } };
}

/** Sources and probabilities describe the text. A mark for a cache changes no answer. */
function endOfPart(part: RequestFields): void {
  part.ignore('annotations', 'logprobs', 'prompt_cache_breakpoint');
  part.end();
}

function outputTexts(item: RequestFields): string[] {
  const texts: string[] = [];
  for (const part of item.each('content')) {
    const type = part.requiredText('type');
    if (type === 'output_text' || type === 'input_text' || type === 'text') texts.push(part.requiredText('text'));
    else if (type === 'refusal') texts.push(part.requiredText('refusal'));
    else throw unknownValue(part.at('type'), type);
    endOfPart(part);
  }
  return texts;
}

function outputOf(item: RequestFields): { texts: string[]; images: Part[] } {
  const output = item.any('output');
  if (typeof output === 'string') return { texts: [output], images: [] };
  const texts: string[] = [];
  const images: Part[] = [];
  for (const part of inputParts(item, 'output')) {
    if (part.text === undefined) images.push(part);
    else texts.push(part.text);
  }
  return { texts, images };
}

/** The thoughts themselves, or else their summary. */
function thoughtsOf(item: RequestFields): string[] {
  if (item.any('encrypted_content') !== undefined)
    throw untranslatable(item.at('encrypted_content'), 'can only be read by the service that wrote it');
  const content = listOfTexts(item, 'content', 'reasoning_text');
  const summary = listOfTexts(item, 'summary', 'summary_text');
  return content.length > 0 ? content : summary;
}

function listOfTexts(item: RequestFields, name: string, type: string): string[] {
  const texts: string[] = [];
  for (const part of item.each(name)) {
    part.oneOf('type', [type]);
    texts.push(part.requiredText('text'));
    part.end();
  }
  return texts;
}
