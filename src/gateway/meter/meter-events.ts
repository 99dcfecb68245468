// Counts what a stream of server-sent events cost (HTML standard §9.2.6): reads the data of each event, and lets the words of
// a dialect say what it means. It only looks.

import { JsonFigures, type Wanted } from '../payload/json-scalars.ts';
import { LineReader, type LongLine } from '../payload/line-reader.ts';
import {
  isErrorLine,
  type Meter,
  ofBytes,
  type Prompt,
  parseObject,
  type Reading,
  Said,
  tokensIn,
  usageFigures,
} from './token-counts.ts';

export type Data = Readonly<Record<string, unknown>>;

/** What the bytes of an event tell before it is parsed: a piece of the answer, a report (of figures, or of the end), both or neither. */
export type EventKind = 'piece' | 'report' | 'both' | 'neither';

/** What the events of some kind of stream say; an object of a dialect's, made once, without a state of its own. */
export interface EventWords {
  /** What is read of an event that is too long to be held. */
  readonly wanted: Wanted;
  /** Only what may be a report is parsed, so this look decides what a stream costs to count. */
  readonly kindOf: (data: Buffer) => EventKind;
  /** Is a long event a piece of the answer? `value` holds what was wanted of it. */
  readonly isPiece: (value: Data) => boolean;
  /** Takes what a report says. `tokens`: what it weighs as a piece. */
  readonly read: (value: Data, tokens: number, isPiece: boolean, tally: EventTally) => void;
}

/** What is known of an answer so far. */
export interface EventTally {
  /** The end mark has come. */
  done: boolean;
  errorSeen: boolean;
  /** The answer has said its last figures, though perhaps not that it is over. */
  final: boolean;
  /** Tokens by whole items that a stream repeats behind its pieces; a server may send them alone. */
  items: number;
  /** A piece of so many tokens. */
  count(tokens: number): void;
  /** Takes a `usage` object; true where it says how long the answer is. */
  take(usage: unknown): boolean;
}

export class EventsMeter implements Meter, EventTally {
  readonly #lines: LineReader;
  readonly #words: EventWords;
  readonly #said: Said;
  /** Completion tokens by the pieces that went by. */
  #pieces = 0;
  items = 0;
  done = false;
  errorSeen = false;
  final = false;
  /** Pieces behind the last event with figures: a usage that only the first event had is not that of the answer. */
  #since = 0;
  /** Data of the event that is being read, while it is one line. */
  #data: Buffer | undefined;
  /** Data of several lines, or of a long one, which is not held. */
  #scan: JsonFigures | undefined;
  #scanned = 0;
  #first = true;

  constructor(words: EventWords, prompt: Prompt, nowMs: () => number) {
    this.#words = words;
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
      this.#scan = new JsonFigures(this.#words.wanted);
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
      if (value) this.#report(value, ofBytes(this.#scanned), this.#words.isPiece(value));
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
    const kind = this.#words.kindOf(data);
    if (kind === 'piece') this.count(tokens);
    else if (kind !== 'neither') this.#report(parseObject(data), tokens, kind === 'both');
  }

  #report(value: Data | undefined, tokens: number, isPiece: boolean): void {
    if (isPiece) this.count(tokens);
    if (value) this.#words.read(value, tokens, isPiece, this);
  }

  count(tokens: number): void {
    this.#pieces += tokens;
    this.#since++;
  }

  take(usage: unknown): boolean {
    const figures = usageFigures(usage);
    if (!figures) return false;
    this.#said.take(figures);
    this.#since = 0;
    return figures.completion !== undefined;
  }

  end(): boolean {
    this.#lines.end();
    this.#dispatch();
    return this.done;
  }

  read(): Reading {
    const final = this.final || (this.done && this.#since <= 2);
    return this.#said.read(final, Math.max(this.#pieces, this.items));
  }
}

const lineFeed = Buffer.from('\n');

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
