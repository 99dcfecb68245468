// Translates a stream of /v1/chat/completions into the events of OpenAI's Responses API. Its last events repeat all that was
// said, so the text of a stream is kept, and charged to the budget of answers.
import type { Fields } from '../../../upstream/kind.ts';
import { type BlockSink, Blocks, type BlockType } from '../chat/blocks.ts';
import { readEvent } from '../chat/chat-events.ts';
import { type Answering, malformed, type StreamWriter } from '../translation.ts';
import { formOf, type ItemForm, type Status } from './items.ts';
import type { ResponsesAsked } from './request.ts';
import { endedBy, idOf, responseOf } from './response.ts';

/** The longest text of an answer. No model writes as much. */
const mostTextLength = 16 * 1024 * 1024;

/** The item that is being written. */
interface OpenItem {
  readonly form: ItemForm;
  readonly id: string;
  readonly callId: string;
  readonly name: string;
  text: string;
}

export class ResponseEvents implements StreamWriter, BlockSink {
  readonly #asked: ResponsesAsked;
  readonly #answering: Answering;
  readonly #blocks: Blocks;
  readonly #output: object[] = [];
  #open: OpenItem | undefined;
  #length = 0;
  /** Frames that wait to be returned. */
  #out = '';
  #number = 0;

  constructor(asked: ResponsesAsked, answering: Answering) {
    this.#asked = asked;
    this.#answering = answering;
    this.#blocks = new Blocks(this, answering.take, (at) => idOf('call', answering.requestId, at), asked.begun);
  }

  event(value: Fields): string {
    this.#begin();
    readEvent(value, this.#blocks);
    return this.#flush();
  }

  end(): string {
    this.#begin();
    const ended = endedBy(this.#blocks);
    this.#blocks.end();
    const response = responseOf(this.#asked, this.#answering, this.#output, ended, this.#blocks.usage);
    this.#write(`response.${ended.status}`, { response });
    return this.#flush();
  }

  opened(type: BlockType, callId: string, name: string): void {
    const form = formOf(type, this.#asked.summarizes);
    const id = idOf(form.prefix, this.#answering.requestId, this.#output.length);
    this.#open = { form, id, callId, name, text: '' };
    this.#write('response.output_item.added', { item: form.item(id, 'in_progress', undefined, callId, name) }, true);
    if (form.part) this.#write(`${form.partEvent}.added`, { ...this.#place, part: form.part('') }, true);
  }

  added(text: string): void {
    const open = this.#open as OpenItem;
    this.#length += text.length;
    if (this.#length > mostTextLength) throw malformed('an answer without an end');
    this.#answering.take(2 * text.length);
    open.text += text;
    this.#write(`${open.form.textEvent}.delta`, { ...this.#place, delta: text, ...open.form.beside }, true);
  }

  closed(): void {
    const { form, id, callId, name, text } = this.#open as OpenItem;
    this.#write(`${form.textEvent}.done`, { ...this.#place, [form.textName]: text, ...form.beside }, true);
    if (form.part) this.#write(`${form.partEvent}.done`, { ...this.#place, part: form.part(text) }, true);
    const item = form.item(id, this.#status, text, callId, name);
    this.#write('response.output_item.done', { item }, true);
    this.#output.push(item);
    this.#open = undefined;
  }

  /** The block that is open when the answer reaches its length is incomplete. */
  get #status(): Status {
    return this.#blocks.isCut ? 'incomplete' : 'completed';
  }

  get #place(): object {
    const { form, id } = this.#open as OpenItem;
    return { item_id: id, ...form.place };
  }

  #begin(): void {
    if (this.#number > 0) return;
    const response = responseOf(this.#asked, this.#answering, [], undefined, undefined);
    this.#write('response.created', { response });
    this.#write('response.in_progress', { response });
  }

  /** `isOfItem`: it belongs to the item that is being written. */
  #write(type: string, fields: object, isOfItem = false): void {
    const place = isOfItem ? { output_index: this.#output.length } : {};
    const event = { type, sequence_number: this.#number++, ...place, ...fields };
    this.#out += `event: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
  }

  #flush(): string {
    const out = this.#out;
    this.#out = '';
    return out;
  }
}
