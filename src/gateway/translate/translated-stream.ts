// Reads a server's stream of events (HTML standard §9.2.6) and sends what the translation writes for each. Pieces may be cut
// anywhere. An event is held until it is whole, up to a bound. After an error or the end mark nothing more is read, so an
// answer ends once.
import type { Fields } from '../../upstream/kind.ts';
import type { Screen } from '../../upstream/screen.ts';
import { errorOf, isError, isFields, type ModelError, parse } from '../answer/model-error.ts';
import type { Exchange } from '../exchange.ts';
import { Pieces } from '../payload/chunk-buffer.ts';
import { type Answering, malformed, type StreamWriter, type Translated } from './translation.ts';

/** The longest event; a tool call that a server sends in one piece fits. */
export const mostEventBytes = 1024 * 1024;

const nothing = Buffer.alloc(0);
const LF = 0x0a;
const CR = 0x0d;

export class TranslatedStream {
  readonly #writer: StreamWriter;
  readonly #exchange: Pick<Exchange, 'frames' | 'id'>;
  readonly #screen: Screen;
  /** The line that is not whole yet. */
  #rest: Pieces | undefined;
  /** The last byte was a CR: a following LF belongs to it. */
  #afterReturn = false;
  #isFirst = true;
  /** The data lines of the event so far, joined by line feeds. */
  #data: string | undefined;
  #dataBytes = 0;
  /** The `event` field. */
  #name = '';
  #isOver = false;

  constructor(
    translated: Pick<Translated, 'stream'>,
    answering: Answering,
    exchange: Pick<Exchange, 'frames' | 'id'>,
    screen: Screen,
  ) {
    if (!translated.stream) throw malformed('a stream');
    this.#writer = translated.stream(answering);
    this.#exchange = exchange;
    this.#screen = screen;
  }

  /** Takes a piece, returns what can be sent now. @throws GatewayError `upstream_failed`, `answers_too_many`. */
  push(piece: Buffer): Buffer {
    let written = '';
    let from = this.#afterReturn && piece[0] === LF ? 1 : 0;
    if (piece.length > 0) this.#afterReturn = false;
    // Most streams have no CR, so one search for it is enough.
    let carriage = piece.indexOf(CR, from);
    while (from < piece.length && !this.#isOver) {
      const feed = piece.indexOf(LF, from);
      const end = feed < 0 || (carriage >= 0 && carriage < feed) ? carriage : feed;
      if (end < 0) {
        this.#keep(piece.subarray(from));
        break;
      }
      written += this.#line(piece.subarray(from, end));
      from = end + 1;
      if (end !== carriage) continue;
      if (from === piece.length) this.#afterReturn = true;
      else if (piece[from] === LF) from++;
      carriage = piece.indexOf(CR, from);
    }
    return written === '' ? nothing : Buffer.from(written);
  }

  /** The stream has ended. The last event need not be terminated. */
  end(): Buffer {
    if (this.#isOver) return nothing;
    const written = (this.#rest ? this.#line(nothing) : '') + this.#dispatch();
    return written === '' ? nothing : Buffer.from(written);
  }

  /** The stream broke: frames are sent whole, so nothing is left. */
  cut(): Buffer {
    return nothing;
  }

  #keep(piece: Buffer): void {
    const rest = (this.#rest ??= new Pieces());
    rest.add(piece);
    if (rest.length + this.#dataBytes > mostEventBytes) throw malformed('an event that is too long');
  }

  #line(tail: Buffer): string {
    let line = tail;
    if (this.#rest) {
      this.#keep(tail);
      line = this.#rest.bytes();
      this.#rest = undefined;
    }
    if (this.#isFirst) {
      this.#isFirst = false;
      // A stream may begin with a byte order mark.
      if (line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf) line = line.subarray(3);
    }
    if (line.length === 0) return this.#dispatch();
    const text = line.toString('utf8');
    const colon = text.indexOf(':');
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'event') this.#name = value;
    else if (name === 'data') {
      this.#dataBytes += line.length;
      if (this.#dataBytes > mostEventBytes) throw malformed('an event that is too long');
      this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    }
    return '';
  }

  /** The event is whole. */
  #dispatch(): string {
    const data = this.#data;
    const isFailure = this.#name === 'error';
    this.#data = undefined;
    this.#dataBytes = 0;
    this.#name = '';
    if (data === undefined || this.#isOver) return '';
    if (data.trim() === '[DONE]') {
      this.#isOver = true;
      return this.#writer.end();
    }
    if (isFailure) return this.#fail(data);
    const value = parse(data);
    if (!isFields(value)) throw malformed('an event that is not a JSON object');
    return isError(value) ? this.#refuse(errorOf(value, 0, this.#screen)) : this.#writer.event(value);
  }

  #fail(data: string): string {
    const value = parse(data);
    const fields: Fields = isFields(value) ? value : { error: typeof value === 'string' ? value : data };
    return this.#refuse(errorOf(fields, 0, this.#screen));
  }

  #refuse(error: ModelError): string {
    this.#isOver = true;
    return this.#exchange.frames.spellModelError(error, 500, this.#exchange.id);
  }
}
