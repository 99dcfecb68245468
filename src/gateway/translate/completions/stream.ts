// Translates the events of an Anthropic message into a stream of /v1/chat/completions.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { type Answering, malformed, type StreamWriter } from '../translation.ts';
import { callIn, chatUsage, completionId, figuresAfter, finishReasonOf, noFigures, textIn } from './answer.ts';

/** No model calls as many tools in one answer. */
const mostCalls = 256;

interface Call {
  /** The place of the call among the others. */
  readonly at: number;
  /** What has come of its arguments. */
  input: 'none' | 'pieces' | 'whole';
}

export class CompletionEvents implements StreamWriter {
  readonly #answering: Answering;
  readonly #tellsUsage: boolean;
  /** Blocks that are calls, by their index. */
  readonly #calls = new Map<unknown, Call>();
  #count = 0;
  #figures = noFigures;
  #reason: string | undefined;
  /** The caller knows whose message it is. */
  #hasBegun = false;
  #hasEnded = false;

  /** `tellsUsage`: the caller asked for the usage. */
  constructor(answering: Answering, tellsUsage: boolean) {
    this.#answering = answering;
    this.#tellsUsage = tellsUsage;
  }

  event(value: Fields): string {
    // Nothing follows the end mark.
    if (this.#hasEnded) return '';
    switch (value['type']) {
      case 'message_start': {
        const { message } = value;
        if (isFields(message)) this.#figures = figuresAfter(this.#figures, message['usage']);
        return this.#begun();
      }
      case 'content_block_start':
        return this.#begin(value);
      case 'content_block_delta':
        return this.#piece(value);
      case 'content_block_stop': {
        const call = this.#calls.get(value['index']);
        // A call without arguments has no pieces, and an empty text is no JSON.
        return call?.input === 'none' ? this.#arguments(call, '{}', 'whole') : '';
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

  /** Its end mark is an event; some proxies send that of the other family after it. */
  end(): string {
    if (!this.#hasEnded) throw malformed('an end that is none');
    return '';
  }

  #last(): string {
    if (this.#reason === undefined) throw malformed('no reason for its end');
    this.#hasEnded = true;
    const last = this.#write([{ index: 0, delta: {}, logprobs: null, finish_reason: this.#reason }], {});
    const usage = this.#tellsUsage ? this.#write([], { usage: chatUsage(this.#figures) }) : '';
    return `${last}${usage}data: [DONE]\n\n`;
  }

  #begin({ index, content_block: block }: Fields): string {
    if (!isFields(block)) throw malformed('a block that is no object');
    const { type, text, thinking } = block;
    switch (type) {
      case 'text':
        return this.#text('content', text);
      case 'thinking':
        return this.#text('reasoning_content', thinking);
      case 'redacted_thinking':
        return '';
      case 'tool_use': {
        const { id, name, input } = callIn(block);
        if (this.#count === mostCalls) throw malformed('too many tool calls');
        const at = this.#count++;
        // Some servers send the whole input at once.
        const given = Object.keys(input).length > 0 ? JSON.stringify(input) : '';
        this.#calls.set(index, { at, input: given === '' ? 'none' : 'whole' });
        return this.#delta({ tool_calls: [{ index: at, id, type: 'function', function: { name, arguments: given } }] });
      }
      default:
        throw malformed('a block of an unknown type');
    }
  }

  #piece({ index, delta }: Fields): string {
    if (!isFields(delta)) throw malformed('a piece that is no object');
    const { type, text, thinking, partial_json: json } = delta;
    switch (type) {
      case 'text_delta':
        return this.#text('content', text);
      case 'thinking_delta':
        return this.#text('reasoning_content', thinking);
      case 'input_json_delta': {
        const call = this.#calls.get(index);
        const piece = textIn(json);
        if (!call) throw malformed('input for no tool call');
        if (piece === '') return '';
        if (call.input === 'whole') throw malformed('input of a tool call that goes on after its end');
        return this.#arguments(call, piece, 'pieces');
      }
      // A signature proves the thoughts to the service itself; nothing can be cited.
      case 'signature_delta':
      case 'citations_delta':
        return '';
      default:
        throw malformed('a piece of an unknown type');
    }
  }

  #text(field: 'content' | 'reasoning_content', text: unknown): string {
    const piece = textIn(text);
    return piece === '' ? '' : this.#delta({ [field]: piece });
  }

  #arguments(call: Call, text: string, input: Call['input']): string {
    call.input = input;
    return this.#delta({ tool_calls: [{ index: call.at, function: { arguments: text } }] });
  }

  /** The first event; some servers leave out theirs. */
  #begun(): string {
    if (this.#hasBegun) return '';
    this.#hasBegun = true;
    return this.#delta({ role: 'assistant', content: '' });
  }

  #delta(delta: object): string {
    return this.#begun() + this.#write([{ index: 0, delta, logprobs: null, finish_reason: null }], {});
  }

  #write(choices: readonly object[], more: object): string {
    const { model, requestId, at } = this.#answering;
    const created = Math.floor(at / 1000);
    const head = { id: completionId(requestId), object: 'chat.completion.chunk', created, model };
    return `data: ${JSON.stringify({ ...head, choices, ...more })}\n\n`;
  }
}
