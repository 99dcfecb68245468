// Translates a stream of /v1/chat/completions into the events of Anthropic's API: one block after the other, each with its
// beginning, its pieces and its end, then the reason and the usage of the whole message.
import type { Fields } from '../../../upstream/kind.ts';
import { type BlockSink, Blocks, type BlockType } from '../chat/blocks.ts';
import { readEvent } from '../chat/chat-events.ts';
import type { Answering, StreamWriter } from '../translation.ts';
import { callId, messageId, messageUsage, stopReasonOf } from './ending.ts';
import type { MessagesAsked } from './request.ts';

const emptyBlocks = {
  thought: { type: 'thinking', thinking: '', signature: '' },
  said: { type: 'text', text: '', citations: null },
  refused: { type: 'text', text: '', citations: null },
} as const;

export class MessageEvents implements StreamWriter, BlockSink {
  readonly #asked: MessagesAsked;
  readonly #answering: Answering;
  readonly #blocks: Blocks;
  /** Frames that wait to be returned. */
  #out = '';
  #hasBegun = false;
  #index = -1;
  #open: BlockType = 'said';

  constructor(asked: MessagesAsked, answering: Answering) {
    this.#asked = asked;
    this.#answering = answering;
    this.#blocks = new Blocks(this, answering.take, (at) => callId(answering.requestId, at), asked.begun);
  }

  event(value: Fields): string {
    this.#begin();
    readEvent(value, this.#blocks);
    return this.#flush();
  }

  end(): string {
    this.#begin();
    this.#blocks.end();
    const delta = stopReasonOf(this.#blocks, this.#asked.stops);
    this.#write({ type: 'message_delta', delta, usage: messageUsage(this.#blocks.usage) });
    this.#write({ type: 'message_stop' });
    return this.#flush();
  }

  opened(type: BlockType, id: string, name: string): void {
    this.#open = type;
    if (this.#isOmitted) return;
    this.#index++;
    const block = type === 'call' ? { type: 'tool_use', id, name, input: {} } : emptyBlocks[type];
    this.#write({ type: 'content_block_start', index: this.#index, content_block: block });
  }

  added(text: string): void {
    if (this.#isOmitted) return;
    if (this.#open === 'call') this.#delta({ type: 'input_json_delta', partial_json: text });
    else if (this.#open === 'thought') this.#delta({ type: 'thinking_delta', thinking: text });
    else this.#delta({ type: 'text_delta', text });
  }

  closed(): void {
    if (this.#isOmitted) return;
    // Thoughts end with a signature, which only Anthropic's own servers can make.
    if (this.#open === 'thought') this.#delta({ type: 'signature_delta', signature: '' });
    this.#write({ type: 'content_block_stop', index: this.#index });
  }

  get #isOmitted(): boolean {
    return this.#open === 'thought' && this.#asked.omitsThinking;
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { model, requestId } = this.#answering;
    const message = {
      id: messageId(requestId),
      type: 'message',
      role: 'assistant',
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      // The server says it at the end; `message_delta` has the figures.
      usage: messageUsage({ prompt: 0, completion: 0, cached: 0, reasoning: undefined }),
    };
    this.#write({ type: 'message_start', message });
    this.#write({ type: 'ping' });
  }

  #delta(delta: object): void {
    this.#write({ type: 'content_block_delta', index: this.#index, delta });
  }

  #write(event: Fields & { readonly type: string }): void {
    this.#out += `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  }

  #flush(): string {
    const out = this.#out;
    this.#out = '';
    return out;
  }
}
