// Counts what a stream of server-sent events cost (HTML standard §9.2.6), in the words of the OpenAI and Anthropic
// families: reads the data of each event, and what its type says of the answer. It only looks.

import { isErrorLine } from '../dialects/ollama/meter.ts';
import { JsonFigures, type Wanted } from '../payload/json-scalars.ts';
import { LineReader, type LongLine } from '../payload/line-reader.ts';
import { wantedUsage } from './meter-whole.ts';
import {
  isSaid,
  type Meter,
  ofBytes,
  type Prompt,
  parseObject,
  type Reading,
  Said,
  tokensIn,
  usageFigures,
} from './token-counts.ts';

export type EventReply = 'openai-completion' | 'openai-responses' | 'anthropic-messages';
type Data = Readonly<Record<string, unknown>>;

const withUsage: Wanted = new Map([['usage', wantedUsage]]);
const wanted: Wanted = new Map<string, Wanted | true>([
  ['type', true],
  ['error', true],
  ['usage', wantedUsage],
  ['response', withUsage],
  ['message', withUsage],
]);

export class EventsMeter implements Meter {
  readonly #lines: LineReader;
  readonly #reply: EventReply;
  readonly #said: Said;
  /** Completion tokens by the pieces that went by. */
  #pieces = 0;
  /** The same by the whole items that the Responses API repeats behind its pieces; a server may send them alone. */
  #items = 0;
  done = false;
  /** The answer has said its last figures, though perhaps not that it is over. */
  #final = false;
  /** Pieces behind the last event with figures: a usage that only the first event had is not that of the answer. */
  #since = 0;
  /** Data of the event that is being read, while it is one line. */
  #data: Buffer | undefined;
  /** Data of several lines, or of a long one, which is not held. */
  #scan: JsonFigures | undefined;
  #scanned = 0;
  #first = true;
  errorSeen = false;

  constructor(reply: EventReply, prompt: Prompt, nowMs: () => number) {
    this.#reply = reply;
    this.#said = new Said(prompt, nowMs);
    this.#lines = new LineReader((line) => this.#line(line), { carriageReturns: true, onLong: () => this.#long() });
  }

  see(chunk: Buffer): void {
    this.#said.bytes += chunk.length;
    this.#lines.push(chunk);
  }

  #line(raw: Buffer): void {
    if (raw.length === 0) {
      this.#dispatch();
      return;
    }
    const line = this.#first ? withoutMark(raw) : raw;
    this.#first = false;
    const data = dataOf(line);
    if (data === undefined) return;
    if (this.#data === undefined && this.#scan === undefined) this.#data = data;
    else this.#add(data);
  }

  /** A line of data beside others: they are one text with line feeds between them. */
  #add(data: Buffer): void {
    if (this.#scan === undefined) {
      this.#scan = new JsonFigures(wanted);
      this.#scanned = 0;
      if (this.#data !== undefined) {
        this.#push(this.#data);
        this.#data = undefined;
        this.#push(lineFeed);
      }
    } else this.#push(lineFeed);
    this.#push(data);
  }

  #push(piece: Buffer): void {
    this.#scanned += piece.length;
    this.#scan?.push(piece);
  }

  #long(): LongLine {
    let begun = false;
    let isData = false;
    return {
      push: (piece) => {
        if (begun) {
          if (isData) this.#push(piece);
          return;
        }
        begun = true;
        // The first piece of a long line is as long as what is held of one, but where all of it came at once.
        const data = dataOf(this.#first ? withoutMark(piece) : piece);
        this.#first = false;
        isData = data !== undefined;
        if (data) this.#add(data);
      },
      end: () => undefined,
    };
  }

  /** An event is over. */
  #dispatch(): void {
    const data = this.#data;
    const scan = this.#scan;
    this.#data = undefined;
    this.#scan = undefined;
    if (this.done || (data === undefined && scan === undefined)) return;
    if (scan) {
      const value = scan.end();
      this.#read(value, ofBytes(this.#scanned), value !== undefined && isPieceType(this.#reply, value));
    } else if (data) this.#event(data);
  }

  #event(data: Buffer): void {
    if (data.length < 40 && data.toString('latin1').trim() === '[DONE]') {
      this.done = true;
      return;
    }
    if (isErrorLine(data)) {
      this.done = this.errorSeen = true;
      return;
    }
    const tokens = tokensIn(data);
    // Nearly all events of the largest streams: one look is enough to know that they are a piece and no more.
    if (this.#reply === 'openai-completion' && !data.includes(usageName)) {
      this.#count(tokens);
      return;
    }
    const isPiece = isPieceData(this.#reply, data);
    if (saysMore(this.#reply, data)) this.#read(parseObject(data), tokens, isPiece);
    else if (isPiece) this.#count(tokens);
  }

  #count(tokens: number): void {
    this.#pieces += tokens;
    this.#since++;
  }

  #take(usage: unknown): boolean {
    const figures = usageFigures(usage);
    if (!figures) return false;
    this.#said.take(figures);
    this.#since = 0;
    return figures.completion !== undefined;
  }

  #read(value: Data | undefined, tokens: number, isPiece: boolean): void {
    if (isPiece) this.#count(tokens);
    if (value === undefined) return;
    const type = value['type'];
    if (this.#reply === 'openai-completion') {
      if (isSaid(value['error'])) this.done = this.errorSeen = true;
      // The usage of an event without choices is that of the whole answer.
      if (this.#take(value['usage']) && !isPiece) this.#final = true;
    } else if (type === 'error') this.done = this.errorSeen = true;
    else if (this.#reply === 'openai-responses') this.#responses(value, tokens);
    else this.#messages(value, tokens);
  }

  #responses(value: Data, tokens: number): void {
    const type = value['type'];
    if (type === 'response.output_item.done') this.#items += tokens;
    if (type !== 'response.completed' && type !== 'response.incomplete' && type !== 'response.failed') return;
    this.done = this.#final = true;
    this.errorSeen = type === 'response.failed';
    this.#take((value['response'] as Data | undefined)?.['usage']);
  }

  #messages(value: Data, tokens: number): void {
    switch (value['type']) {
      case 'message_stop':
        this.done = true;
        return;
      case 'message_start':
        // Of some servers it is the only event that has the prompt; Ollama's is an estimate, which the last one replaces.
        this.#take((value['message'] as Data | undefined)?.['usage']);
        return;
      case 'message_delta':
        if (this.#take(value['usage'])) this.#final = true;
        return;
      case 'content_block_start':
        // Some servers give a tool call here as a whole.
        if (tokens > 1) this.#count(tokens);
    }
  }

  end(): boolean {
    this.#lines.end();
    this.#dispatch();
    return this.done;
  }

  read(): Reading {
    const final = this.#final || (this.done && this.#since <= 2);
    return this.#said.read(final, Math.max(this.#pieces, this.#items));
  }
}

const lineFeed = Buffer.from('\n');
const usageName = Buffer.from('"usage"');

/** A stream may begin with a byte order mark. */
function withoutMark(line: Buffer): Buffer {
  return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line;
}

/** What stands behind `data:`; the space after the colon is optional. Undefined for other fields. */
function dataOf(line: Buffer): Buffer | undefined {
  if (line[0] !== 0x64 || line[4] !== 0x3a || line[1] !== 0x61 || line[2] !== 0x74 || line[3] !== 0x61)
    return undefined;
  return line.subarray(line[5] === 0x20 ? 6 : 5);
}

/** Does the event carry a piece of the answer? Those that open, close and ping carry none. */
function isPieceData(reply: EventReply, data: Buffer): boolean {
  if (reply === 'anthropic-messages') return data.includes('"content_block_delta"');
  if (reply === 'openai-responses') return data.includes('.delta"');
  return !data.includes('"choices":[]') && !data.includes('"choices": []');
}

function isPieceType(reply: EventReply, { type }: { readonly type?: unknown }): boolean {
  if (reply === 'openai-completion') return true;
  return typeof type === 'string' && (type === 'content_block_delta' || type.endsWith('.delta'));
}

/** Can the event hold a figure, or say that the answer is over? Only then is it parsed. */
function saysMore(reply: EventReply, data: Buffer): boolean {
  if (reply === 'openai-completion') return !data.includes('"usage":null');
  if (data.includes('"error"')) return true;
  if (reply === 'anthropic-messages') return !data.includes('"content_block_delta"') && !data.includes('"ping"');
  return (
    data.includes('"response.completed"') ||
    data.includes('"response.incomplete"') ||
    data.includes('"response.failed"') ||
    data.includes('"response.output_item.done"')
  );
}
