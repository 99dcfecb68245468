// Translates the events of an Anthropic message into a stream of /v1/chat/completions.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { type Answering, malformed, type StreamWriter } from '../translation.ts';
import { chatUsage, completionId, figuresAfter, finishReasonOf, noFigures } from './answer.ts';

/** No model calls as many tools in one answer. */
const mostCalls = 256;

export class CompletionEvents implements StreamWriter {
  readonly #answering: Answering;
  readonly #tellsUsage: boolean;
  /** Blocks that are calls, by their index: the place of the call among the others. */
  readonly #calls = new Map<unknown, { readonly at: number; hasInput: boolean }>();
  #figures = noFigures;
  #reason: string | undefined;

  /** `tellsUsage`: the caller asked for the usage. */
  constructor(answering: Answering, tellsUsage: boolean) {
    this.#answering = answering;
    this.#tellsUsage = tellsUsage;
  }

  event(value: Fields): string {
    switch (value['type']) {
      case 'message_start': {
        const { message } = value;
        if (isFields(message)) this.#figures = figuresAfter(this.#figures, message['usage']);
        return this.#delta({ role: 'assistant', content: '' });
      }
      case 'content_block_start':
        return this.#begin(value);
      case 'content_block_delta':
        return this.#piece(value);
      case 'content_block_stop': {
        const call = this.#calls.get(value['index']);
        // A call without arguments has no pieces, and an empty text is no JSON.
        return call && !call.hasInput ? this.#arguments(call, '{}') : '';
      }
      case 'message_delta': {
        const { delta } = value;
        this.#figures = figuresAfter(this.#figures, value['usage']);
        if (isFields(delta) && delta['stop_reason'] !== null && delta['stop_reason'] !== undefined)
          this.#reason = finishReasonOf(delta['stop_reason']);
        return '';
      }
      case 'message_stop':
        return this.#last();
      default:
        return '';
    }
  }

  /** Its end mark is an event. */
  end(): string {
    return '';
  }

  #last(): string {
    if (this.#reason === undefined) throw malformed('no reason for its end');
    const last = this.#write([{ index: 0, delta: {}, logprobs: null, finish_reason: this.#reason }], {});
    const usage = this.#tellsUsage ? this.#write([], { usage: chatUsage(this.#figures) }) : '';
    return `${last}${usage}data: [DONE]\n\n`;
  }

  #begin({ index, content_block: block }: Fields): string {
    if (!isFields(block)) throw malformed('a block that is no object');
    const { type, text, thinking, id, name, input } = block;
    switch (type) {
      case 'text':
        return typeof text === 'string' && text !== '' ? this.#delta({ content: text }) : '';
      case 'thinking':
        return typeof thinking === 'string' && thinking !== '' ? this.#delta({ reasoning_content: thinking }) : '';
      case 'redacted_thinking':
        return '';
      case 'tool_use': {
        if (typeof id !== 'string' || typeof name !== 'string' || this.#calls.size === mostCalls)
          throw malformed('a tool call that is none');
        const at = this.#calls.size;
        // Some servers send the whole input at once.
        const given = isFields(input) && Object.keys(input).length > 0 ? JSON.stringify(input) : '';
        this.#calls.set(index, { at, hasInput: given !== '' });
        return this.#delta({ tool_calls: [{ index: at, id, type: 'function', function: { name, arguments: given } }] });
      }
      default:
        throw malformed('a block of an unknown type');
    }
  }

  #piece({ index, delta }: Fields): string {
    if (!isFields(delta)) throw malformed('a piece that is no object');
    const { type, text, thinking, partial_json: json } = delta;
    if (type === 'text_delta' && typeof text === 'string') return this.#delta({ content: text });
    if (type === 'thinking_delta' && typeof thinking === 'string') return this.#delta({ reasoning_content: thinking });
    if (type === 'input_json_delta' && typeof json === 'string') {
      const call = this.#calls.get(index);
      if (!call) throw malformed('input for no tool call');
      return json === '' ? '' : this.#arguments(call, json);
    }
    // A signature proves the thoughts to the service itself; nothing can be cited.
    return '';
  }

  #arguments(call: { readonly at: number; hasInput: boolean }, text: string): string {
    call.hasInput = true;
    return this.#delta({ tool_calls: [{ index: call.at, function: { arguments: text } }] });
  }

  #delta(delta: object): string {
    return this.#write([{ index: 0, delta, logprobs: null, finish_reason: null }], {});
  }

  #write(choices: readonly object[], more: object): string {
    const { model, requestId, at } = this.#answering;
    const created = Math.floor(at / 1000);
    const head = { id: completionId(requestId), object: 'chat.completion.chunk', created, model };
    return `data: ${JSON.stringify({ ...head, choices, ...more })}\n\n`;
  }
}
