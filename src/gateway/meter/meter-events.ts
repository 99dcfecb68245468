// Measures the cost of a stream of server-sent events (HTML standard §9.2.6): reads the data of each event, and a
// dialect's EventWords interpret it. It never changes the stream.

import type { Timings } from '../../upstream/estimate/timings.ts';
import { JsonFigures, type Wanted } from '../payload/json-scalars.ts';
import { LineReader, type LongLine } from '../payload/line-reader.ts';
import {
  type Figures,
  isErrorLine,
  type Meter,
  ofBytes,
  type Prompt,
  parseObject,
  type Reading,
  ReportedFigures,
  timingFigures,
  tokensIn,
  usageFigures,
} from './token-counts.ts';

export type Data = Readonly<Record<string, unknown>>;

/** What an event holds, judged by its bytes: a piece of the answer, a report (figures or the end), both or neither. */
export type EventKind = 'piece' | 'report' | 'both' | 'neither';

/** How to interpret the events of one kind of stream. Each dialect has one shared, stateless object. */
export interface EventWords {
  /** `[DONE]` is the end mark. Otherwise an event is, and `[DONE]` says nothing. */
  readonly endsByWord: boolean;
  /** The fields to read from an event that is too long to be held. */
  readonly wanted: Wanted;
  /** Only events that may be reports are parsed, so this check determines the cost of metering a stream. */
  readonly kindOf: (data: Buffer) => EventKind;
  /** Whether a long event is a piece of the answer. `value` holds the wanted fields. */
  readonly isPiece: (value: Data) => boolean;
  /** Processes a report. `tokens`: its tokens if counted as a piece. */
  readonly read: (value: Data, tokens: number, isPiece: boolean, tally: EventTally) => void;
}

/** What is known of an answer so far. */
export interface EventTally {
  /** The end mark was received. */
  done: boolean;
  errorSeen: boolean;
  /** The answer has reported its last figures, though not necessarily its end. */
  final: boolean;
  /** Tokens in whole items that a stream repeats after its pieces; a server may send only the items. */
  items: number;
  /** Counts a piece of this many tokens. */
  count(tokens: number): void;
  /** Takes a `usage` object; true if it reports the length of the answer. */
  take(usage: unknown): boolean;
  /** Takes the token counts of llama.cpp's `timings` object, unless there is a `usage` beside it. */
  takeTimings(timings: unknown): void;
  /** Takes the durations of that object. */
  takeTimes(timings: unknown): void;
}

export class EventsMeter implements Meter, EventTally {
  readonly #lines: LineReader;
  readonly #words: EventWords;
  readonly #figures: ReportedFigures;
  /** Completion tokens in the pieces so far. */
  #pieces = 0;
  items = 0;
  done = false;
  errorSeen = false;
  final = false;
  /** Pieces since the last event with figures: a usage that only the first event had does not cover the answer. */
  #since = 0;
  /** Data of the current event, while it is a single line. */
  #data: Buffer | undefined;
  /** Reads data of several lines, or of a long one, without holding it. */
  #scan: JsonFigures | undefined;
  #scanned = 0;
  /** The event is an error by its name, whatever its data is. */
  #isFailure = false;
  #first = true;

  constructor(words: EventWords, prompt: Prompt, nowMs: () => number) {
    this.#words = words;
    this.#figures = new ReportedFigures(prompt, nowMs);
    this.#lines = new LineReader((line) => this.#line(line), { carriageReturns: true, onLong: () => this.#long() });
  }

  see(chunk: Buffer): void {
    this.#figures.bytes += chunk.length;
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
    if (data === undefined) {
      if (line[0] === 0x65 && errorName.test(line.toString('latin1', 0, 14))) this.#isFailure = true;
      return;
    }
    if (this.#data === undefined && this.#scan === undefined) this.#data = data;
    else this.#add(data);
  }

  /** Adds a further line of data: data lines form one text, joined by line feeds. */
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
        // The first piece of a long line has the full held length, unless the whole line came at once.
        const data = dataOf(this.#first ? withoutMark(piece) : piece);
        this.#first = false;
        isData = data !== undefined;
        if (data) this.#add(data);
      },
      end: () => undefined,
    };
  }

  /** Called at the end of an event. */
  #dispatch(): void {
    const data = this.#data;
    const scan = this.#scan;
    const isFailure = this.#isFailure;
    this.#data = undefined;
    this.#scan = undefined;
    this.#isFailure = false;
    if (data === undefined && scan === undefined) return;
    if (isFailure && !this.done) this.done = this.errorSeen = true;
    if (this.errorSeen) this.#readAfterError(scan ? scan.end() : parseUsage(data));
    else if (this.done) return;
    else if (scan) {
      const value = scan.end();
      if (value) this.#report(value, ofBytes(this.#scanned), this.#words.isPiece(value));
    } else if (data) this.#event(data);
  }

  #event(data: Buffer): void {
    if (data.length < 40 && data.toString('latin1').trim() === '[DONE]') {
      if (this.#words.endsByWord) this.done = true;
      return;
    }
    if (isErrorLine(data)) {
      this.done = this.errorSeen = true;
      this.#readAfterError(parseUsage(data));
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

  /** After an error only figures count: a server may still report the usage of what it has generated. */
  #readAfterError(value: Data | undefined): void {
    if (value === undefined) return;
    this.#words.read(value, 0, false, this);
    this.done = this.errorSeen = true;
  }

  count(tokens: number): void {
    this.#pieces += tokens;
    this.#since++;
  }

  take(usage: unknown): boolean {
    return this.#take(usageFigures(usage));
  }

  takeTimings(timings: unknown): void {
    this.#take(timingFigures(timings));
  }

  takeTimes(timings: unknown): void {
    this.#figures.takeMillis(timings);
  }

  timings(): Timings | undefined {
    return this.#figures.timings();
  }

  #take(figures: Figures | undefined): boolean {
    if (!figures) return false;
    this.#figures.take(figures);
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
    return this.#figures.read(final, Math.max(this.#pieces, this.items));
  }
}

const lineFeed = Buffer.from('\n');
const errorName = /^event: ?error$/;
const usageName = Buffer.from('"usage"');

const parseUsage = (data: Buffer | undefined): Data | undefined =>
  data?.includes(usageName) ? parseObject(data) : undefined;

/** Removes a byte order mark, which may begin a stream. */
function withoutMark(line: Buffer): Buffer {
  return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line;
}

/** The value of a `data:` line; the space after the colon is optional. Undefined for other fields. */
function dataOf(line: Buffer): Buffer | undefined {
  if (line[0] !== 0x64 || line[4] !== 0x3a || line[1] !== 0x61 || line[2] !== 0x74 || line[3] !== 0x61)
    return undefined;
  return line.subarray(line[5] === 0x20 ? 6 : 5);
}
