// Writes an answer of OpenAI's chat as Ollama's: whole, or as lines. Tool calls come in fragments of text and are sent when they
// are whole, with their arguments as an object.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields, parse } from '../../answer/model-error.ts';
import { type Most, scanObject } from '../../payload/strict-json.ts';
import { type Answering, malformed, type StreamWriter } from '../translation.ts';
import { Figures } from './figures.ts';

/** How an operation of Ollama shows a piece of its answer. */
export type Shape = (piece: { content: string; thinking: string; calls: readonly string[] }) => string;

/** The members of /api/generate. */
export const asResponse: Shape = ({ content, thinking }) =>
  `"response":${JSON.stringify(content)}${thinking === '' ? '' : `,"thinking":${JSON.stringify(thinking)}`}`;

/** The `message` of /api/chat. */
export const asMessage: Shape = ({ content, thinking, calls }) =>
  `"message":{"role":"assistant","content":${JSON.stringify(content)}${
    thinking === '' ? '' : `,"thinking":${JSON.stringify(thinking)}`
  }${calls.length === 0 ? '' : `,"tool_calls":[${calls.join()}]`}}`;

/** Of all tool calls of an answer. */
const mostArgumentBytes = 1024 * 1024;
/** More calls at once are not plausible. */
const mostCalls = 128;

const outline = { known: new Set<string>() };

/** A tool call as far as it has come. */
class Call {
  id = '';
  name = '';
  arguments = '';

  add(call: Fields, take: (bytes: number) => void): void {
    const { id, function: called } = call;
    if (typeof id === 'string' && id !== '') this.id = id;
    if (!isFields(called)) return;
    const { name, arguments: text } = called;
    // Some servers repeat the name in every fragment.
    if (typeof name === 'string' && name !== '' && this.name === '') this.name = name;
    if (typeof text !== 'string') return;
    take(text.length);
    this.arguments += text;
  }

  /** @throws GatewayError `upstream_failed` unless the arguments are an object. */
  write(index: number): string {
    const id = this.id === '' ? '' : `"id":${JSON.stringify(this.id)},`;
    return `{${id}"function":{"index":${index},"name":${JSON.stringify(this.name)},"arguments":${this.#object()}}}`;
  }

  #object(): string {
    const text = this.arguments.trim();
    if (text === '') return '{}';
    try {
      scanObject(Buffer.from(text), outline);
    } catch {
      throw malformed('arguments of a tool call that are not a JSON object');
    }
    // One line: outside strings a line end is whitespace, and inside it is escaped.
    return text.replace(/[\n\r]/g, ' ');
  }
}

interface Piece {
  content: string;
  thinking: string;
  /** JSON text of Ollama's list; empty if there is none. */
  logprobs: string;
}

/** The only choice. @throws GatewayError `upstream_failed` for several. */
function choiceOf(value: Fields): Fields | undefined {
  const { choices } = value;
  if (!Array.isArray(choices) || choices.length === 0) return undefined;
  const [choice] = choices as unknown[];
  if (choices.length > 1 || !isFields(choice) || (choice['index'] !== undefined && choice['index'] !== 0))
    throw malformed('several choices');
  return choice;
}

function pieceOf(message: Fields, choice: Fields): Piece {
  const { content, refusal, reasoning_content: thinking, reasoning } = message;
  const entries = isFields(choice['logprobs']) ? choice['logprobs']['content'] : undefined;
  return {
    content: textOf(content) + textOf(refusal),
    // llama-server, SGLang and older vLLM; vLLM and others.
    thinking: textOf(thinking) || textOf(reasoning),
    logprobs: Array.isArray(entries) && entries.length > 0 ? JSON.stringify(entries) : '',
  };
}

/** What the choice holds: a piece of a message, a message, or the text of a completion. */
function messageOf({ delta, message, text }: Fields): Fields | undefined {
  if (isFields(delta)) return delta;
  return isFields(message) ? message : typeof text === 'string' ? { content: text } : undefined;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

class ChatWriter implements StreamWriter {
  readonly #answering: Answering;
  readonly #shape: Shape;
  readonly #figures: Figures;
  readonly #calls: Call[] = [];
  /** Places up to here have been sent. */
  #written = 0;
  #sent = 0;
  #collected = 0;
  #reason = 'stop';

  constructor(answering: Answering, shape: Shape) {
    this.#answering = answering;
    this.#shape = shape;
    this.#figures = new Figures(answering);
  }

  event(value: Fields): string {
    this.#figures.note(value);
    const choice = choiceOf(value);
    if (!choice) return '';
    const { finish_reason: reason } = choice;
    const found = messageOf(choice) ?? {};
    const piece = pieceOf(found, choice);
    const { tool_calls: calls } = found;
    if (Array.isArray(calls)) for (const call of calls as unknown[]) if (isFields(call)) this.#add(call);
    let lines = '';
    if (piece.content !== '' || piece.thinking !== '' || piece.logprobs !== '') {
      this.#figures.begin();
      lines = this.#line({ ...piece, calls: [] }, piece.logprobs);
    }
    if (typeof reason !== 'string') return lines;
    this.#reason = reasonOf(reason);
    return lines + this.#flush();
  }

  end(): string {
    const last = this.#shape({ content: '', thinking: '', calls: [] });
    return `${this.#flush()}${this.#head()},${last},${this.#figures.tail(this.#reason)}}\n`;
  }

  #add(call: Fields): void {
    const at = call['index'];
    const place = typeof at === 'number' ? at : this.#calls.length;
    if (!Number.isInteger(place) || place < 0 || place >= mostCalls) throw malformed('too many tool calls');
    this.#figures.begin();
    (this.#calls[place] ??= new Call()).add(call, (bytes) => this.#collect(bytes));
  }

  #collect(bytes: number): void {
    this.#answering.take(bytes);
    this.#collected += bytes;
    if (this.#collected > mostArgumentBytes) throw malformed('tool calls that are too long');
  }

  /** The calls that have not been sent. */
  #flush(): string {
    const calls: string[] = [];
    for (; this.#written < this.#calls.length; this.#written++) {
      const call = this.#calls[this.#written];
      if (call) calls.push(call.write(calls.length + this.#sent));
    }
    this.#sent += calls.length;
    return calls.length === 0 ? '' : this.#line({ content: '', thinking: '', calls }, '');
  }

  #head(): string {
    return `{"model":${JSON.stringify(this.#answering.model)},"created_at":"${new Date(
      this.#answering.at + this.#answering.elapsedMs(),
    ).toISOString()}"`;
  }

  #line(piece: Parameters<Shape>[0], logprobs: string): string {
    const more = logprobs === '' ? '' : `,"logprobs":${logprobs}`;
    return `${this.#head()},${this.#shape(piece)},"done":false${more}}\n`;
  }
}

export const streamChat =
  (shape: Shape) =>
  (answering: Answering): StreamWriter =>
    new ChatWriter(answering, shape);

/** @throws GatewayError `upstream_failed`. */
export const wholeChat =
  (shape: Shape) =>
  (bytes: Buffer, answering: Answering): string => {
    const value = parse(plausible(bytes));
    const choice = isFields(value) ? choiceOf(value) : undefined;
    const message = choice && messageOf(choice);
    if (!isFields(value) || !choice || !message) throw malformed('no answer');
    const { finish_reason: reason } = choice;
    const figures = new Figures(answering);
    figures.note(value);
    const piece = pieceOf(message, choice);
    const { tool_calls: found } = message;
    const calls = (Array.isArray(found) ? (found as unknown[]) : []).filter(isFields).map((fields, at) => {
      const call = new Call();
      call.add(fields, () => undefined);
      return call.write(at);
    });
    const created = new Date(answering.at + answering.elapsedMs()).toISOString();
    const end = figures.tail(typeof reason === 'string' ? reasonOf(reason) : 'stop');
    const logprobs = piece.logprobs === '' ? '' : `,"logprobs":${piece.logprobs}`;
    return `{"model":${JSON.stringify(answering.model)},"created_at":"${created}",${shape({ ...piece, calls })},${end}${logprobs}}`;
  };

/** No answer has as many values, and parsed ones cost up to a hundred times their bytes. */
const most: Most = { values: 2_000_000, kept: 1000, opened: 1 };

/** The text of an answer whose parsing costs no more than it can be worth. @throws GatewayError `upstream_failed`. */
function plausible(bytes: Buffer): string {
  try {
    scanObject(bytes, outline, most);
  } catch {
    throw malformed('an answer that is not JSON');
  }
  return bytes.toString('utf8');
}

/** Ollama ends with `stop` also when the model calls a tool. */
const reasonOf = (reason: string): string => (reason === 'tool_calls' || reason === 'function_call' ? 'stop' : reason);
