// Writes an answer of OpenAI's chat as Ollama's: whole, or as lines. Tool calls come in fragments of text and are sent when they
// are whole, with their arguments as an object.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { type ChatSink, readEvent, readWhole, reasonOf } from '../chat/chat-events.ts';
import { Repeated } from '../chat/repeated.ts';
import { argumentsIfWhole, ToolCalls } from '../chat/tool-calls.ts';
import type { Answering, StreamWriter } from '../translation.ts';
import { Figures } from './figures.ts';

interface Piece {
  readonly content: string;
  readonly thinking: string;
  readonly calls: readonly string[];
}

const nothing: Piece = { content: '', thinking: '', calls: [] };

/** How an operation of Ollama shows a piece of its answer. */
export type Shape = (piece: Piece) => string;

/** The members of /api/generate. */
export const asResponse: Shape = ({ content, thinking }) =>
  `"response":${JSON.stringify(content)}${thinking === '' ? '' : `,"thinking":${JSON.stringify(thinking)}`}`;

/** The `message` of /api/chat. */
export const asMessage: Shape = ({ content, thinking, calls }) =>
  `"message":{"role":"assistant","content":${JSON.stringify(content)}${
    thinking === '' ? '' : `,"thinking":${JSON.stringify(thinking)}`
  }${calls.length === 0 ? '' : `,"tool_calls":[${calls.join()}]`}}`;

/** What has come of an answer since it was last taken. */
class Heard implements ChatSink {
  reason: string | undefined;
  /** A piece of the answer has come. */
  hasBegun = false;
  readonly #calls: ToolCalls;
  readonly #repeated: Repeated;
  #content = '';
  #thinking = '';
  #whole: string[] = [];
  #count = 0;
  /** The tool call that is being read. */
  #id = '';
  #name = '';
  #arguments = '';

  /** `take` charges what is kept; `begun` is left out where the text begins with it. */
  constructor(take: (bytes: number) => void, begun: string) {
    this.#repeated = new Repeated(begun);
    this.#calls = new ToolCalls(
      {
        begun: (id, name) => {
          this.#id = id;
          this.#name = name;
          this.#arguments = '';
        },
        argued: (text) => (this.#arguments += text),
        ended: () => this.#endCall(),
      },
      take,
      () => '',
    );
  }

  thought(text: string): void {
    this.hasBegun = true;
    this.#thinking += text;
  }

  said(text: string): void {
    this.hasBegun = true;
    this.#content += this.#repeated.after(text);
  }

  refused(text: string): void {
    this.said(text);
  }

  called(delta: Fields): void {
    this.hasBegun = true;
    this.#content += this.#repeated.rest();
    this.#calls.add(delta);
  }

  finished(reason: string): void {
    this.reason = reason;
  }

  used(): void {
    // Figures read it.
  }

  /** The answer is complete. @throws GatewayError `upstream_failed` for a tool call that is not. */
  end(): void {
    this.#content += this.#repeated.rest();
    this.#calls.end(this.#isCut);
  }

  take(): Piece {
    const piece = { content: this.#content, thinking: this.#thinking, calls: this.#whole };
    this.#content = this.#thinking = '';
    this.#whole = [];
    return piece;
  }

  get #isCut(): boolean {
    return this.reason === 'length' || this.reason === 'content_filter';
  }

  #endCall(): void {
    // There is no object to give for arguments that were cut off, and the reason says what happened.
    if (this.#isCut && !argumentsIfWhole(this.#arguments)) return;
    const id = this.#id === '' ? '' : `"id":${JSON.stringify(this.#id)},`;
    // One line: outside strings a line end is whitespace, and inside it is escaped.
    const text = this.#arguments.trim().replace(/[\n\r]/g, ' ');
    const name = JSON.stringify(this.#name);
    this.#whole.push(`{${id}"function":{"index":${this.#count++},"name":${name},"arguments":${text}}}`);
  }
}

/** Ollama's list of log probabilities, as JSON text after a comma; empty if there is none. */
function logprobsIn({ choices }: Fields): string {
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const found = isFields(choice) && isFields(choice['logprobs']) ? choice['logprobs']['content'] : undefined;
  return Array.isArray(found) && found.length > 0 ? `,"logprobs":${JSON.stringify(found)}` : '';
}

const headOf = ({ model, at, elapsedMs }: Answering): string =>
  `{"model":${JSON.stringify(model)},"created_at":"${new Date(at + elapsedMs()).toISOString()}"`;

class ChatWriter implements StreamWriter {
  readonly #answering: Answering;
  readonly #shape: Shape;
  readonly #figures: Figures;
  readonly #heard: Heard;

  constructor(answering: Answering, shape: Shape, begun: string) {
    this.#answering = answering;
    this.#shape = shape;
    this.#figures = new Figures(answering);
    this.#heard = new Heard(answering.take, begun);
  }

  event(value: Fields): string {
    this.#figures.note(value);
    readEvent(value, this.#heard);
    if (this.#heard.hasBegun) this.#figures.begin();
    return this.#line(logprobsIn(value));
  }

  end(): string {
    const reason = doneReasonOf(this.#heard);
    this.#heard.end();
    return `${this.#line('')}${headOf(this.#answering)},${this.#shape(nothing)},${this.#figures.tail(reason)}}\n`;
  }

  /** What has come, or nothing. */
  #line(logprobs: string): string {
    const piece = this.#heard.take();
    if (piece.content === '' && piece.thinking === '' && piece.calls.length === 0 && logprobs === '') return '';
    return `${headOf(this.#answering)},${this.#shape(piece)},"done":false${logprobs}}\n`;
  }
}

/** `begun`: the beginning of the answer, if the server repeats it. */
export const streamChat =
  (shape: Shape, begun = '') =>
  (answering: Answering): StreamWriter =>
    new ChatWriter(answering, shape, begun);

/** `begun`: as for streams. @throws GatewayError `upstream_failed`. */
export const wholeChat =
  (shape: Shape, begun = '') =>
  (bytes: Buffer, answering: Answering): string => {
    // The bytes of the answer are already charged.
    const heard = new Heard(() => undefined, begun);
    const value = readWhole(bytes, heard);
    const reason = doneReasonOf(heard);
    heard.end();
    const figures = new Figures(answering);
    figures.note(value);
    return `${headOf(answering)},${shape(heard.take())},${figures.tail(reason)}${logprobsIn(value)}}`;
  };

/** Ollama ends with `stop` also when the model calls a tool. */
function doneReasonOf(heard: Heard): string {
  const reason = reasonOf(heard);
  return reason === 'tool_calls' ? 'stop' : reason;
}
