// Rewrites errors that a model server sends in the middle of a stream: an error line or event is read and written
// again, as model-error.ts does with a whole body. Everything else is relayed unchanged and is not even split into
// lines: an error has the word in a field name or in the event name, so a chunk without the word holds none. JSON text
// cannot contain a bare `"error"`, because its quotes are escaped.
// An incomplete line is held up to a bound; a longer one is not an error line. An event with several data lines is also
// held, because they form one text (HTML standard §9.2.6).
import type { Screen } from '../../upstream/screen.ts';
import { Pieces } from '../payload/chunk-buffer.ts';
import { errorOf, isError, isFields, type ModelError, mostErrorBytes, parse } from './model-error.ts';

const mark = Buffer.from('error');
/** The event is an error by its name, whatever its data is. */
const errorEvent = /(?<![^\r\n])event: ?error(?![^\r\n])/;
const nothing = Buffer.alloc(0);

export class FrameScreen {
  readonly #screen: Screen;
  /** The incomplete last line. */
  #rest: Pieces | undefined;
  /** The current line is too long to be an error, and is relayed unchanged. */
  #passing = false;
  readonly #events: boolean;

  /** `events`: a stream of server-sent events, not of lines. */
  constructor(screen: Screen, events: boolean) {
    this.#screen = screen;
    this.#events = events;
  }

  /** Takes a chunk, returns what can be sent now. */
  push(chunk: Buffer): Buffer {
    if (this.#rest === undefined && this.#isOver(chunk) && !chunk.includes(mark)) {
      this.#passing = false;
      return chunk;
    }
    return this.#pushSlowly(chunk);
  }

  /** Returns the rest when the stream ends or breaks; an incomplete error is dropped. */
  end(): Buffer {
    const rest = this.#takeHeld(nothing);
    return rest.includes(mark) ? this.#rewrite(rest) : rest;
  }

  #pushSlowly(chunk: Buffer): Buffer {
    const end = this.#events && !this.#passing ? this.#overAt(chunk) : lineEnd(chunk);
    const tail = end === 0 ? chunk : chunk.subarray(end);
    if (this.#passing) {
      if (end === 0) return chunk;
      // Relay the rest of the long line, and inspect what follows.
      this.#passing = false;
      const long = firstEnd(chunk);
      return Buffer.concat([chunk.subarray(0, long), this.push(chunk.subarray(long))]);
    }
    let lines = end === 0 ? nothing : this.#takeHeld(chunk.subarray(0, end));
    if (lines.includes(mark)) lines = this.#rewrite(lines);
    if (tail.length === 0) return lines;
    const rest = (this.#rest ??= new Pieces());
    rest.add(tail);
    if (rest.length <= mostErrorBytes) return lines;
    this.#passing = true;
    return Buffer.concat([lines, this.#takeHeld(nothing)]);
  }

  #takeHeld(more: Buffer): Buffer {
    const rest = this.#rest;
    if (rest === undefined) return more;
    this.#rest = undefined;
    rest.add(more);
    return rest.bytes();
  }

  /** Whether a chunk ends where the following bytes cannot belong to it. */
  #isOver(chunk: Buffer): boolean {
    return endsLine(chunk) && (!this.#events || endsEvent(chunk) || isWholeData(chunk.subarray(eventEnd(chunk))));
  }

  /** The end of the part that can be judged, together with the held bytes: whole lines of whole texts. */
  #overAt(chunk: Buffer): number {
    const end = lineEnd(chunk);
    const from = eventEnd(chunk.subarray(0, end));
    if (from === end) return end;
    const begun = from === 0 && this.#rest ? Buffer.concat([this.#rest.bytes(), chunk]) : chunk.subarray(from, end);
    return isWholeData(begun) ? end : from;
  }

  #rewrite(lines: Buffer): Buffer {
    const text = lines.toString('utf8');
    const rewritten = this.#events
      ? text.replace(/(?:[^\r\n]+(?:\r\n|\r|\n|$))+/g, (event) =>
          event.includes('"error"') || errorEvent.test(event) ? this.#event(event) : event,
        )
      : text.replace(/[^\r\n]+/g, (line) => (line.includes('"error"') ? this.#data(line) : line));
    return rewritten === text ? lines : Buffer.from(rewritten);
  }

  /** The lines of an event; its data is in one line if it was rewritten. */
  #event(event: string): string {
    const data = dataIn(event);
    if (data === undefined) return event;
    const rewritten = this.#data(data, errorEvent.test(event));
    if (rewritten === data) return event;
    let isReplaced = false;
    return event.replace(/(?<![^\r\n])data(?::[^\r\n]*)?(\r\n|\r|\n|$)/g, (_, ending: string) => {
      if (isReplaced) return '';
      isReplaced = true;
      return `data: ${rewritten}${ending}`;
    });
  }

  #data(data: string, isFailure = false): string {
    const value = parse(data);
    if (!isFields(value)) {
      // Not JSON, but perhaps the message of a crashed proxy.
      return this.#screen.sentence(data) === data ? data : JSON.stringify({ error: 'The model server failed.' });
    }
    // A failed response of the Responses API holds its error inside.
    const response = value['response'];
    if (isFields(response) && isFields(response['error'])) {
      const error = errorOf(response, 0, this.#screen);
      return JSON.stringify({ ...value, response: { ...response, error: fieldsOf(error, response['error']) } });
    }
    return isFailure || isError(value) ? JSON.stringify(this.#rewriteFields(value)) : data;
  }

  #rewriteFields(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const error = errorOf(value, 0, this.#screen);
    const fields: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(value)) {
      if (name === 'error') fields[name] = isFields(field) ? fieldsOf(error, field) : error.message;
      else if (name === 'message') fields[name] = error.message;
      else if (name === 'code' || name === 'param' || name === 'type') fields[name] = this.#wordOrNull(field);
      else if (passing.has(name)) fields[name] = field;
    }
    return fields;
  }

  #wordOrNull(field: unknown): unknown {
    return typeof field === 'number' ? field : (this.#screen.word(field) ?? null);
  }
}

/** Members of an event that hold generated text, or its place in the stream. */
const passing = new Set([
  'id',
  'object',
  'created',
  'created_at',
  'model',
  'choices',
  'usage',
  'sequence_number',
  'done',
  'done_reason',
]);

/** The members that the error had, rewritten; no others. */
function fieldsOf(error: ModelError, had: Readonly<Record<string, unknown>>): object {
  const fields: Record<string, unknown> = {};
  for (const name of Object.keys(had))
    if (name === 'message' || name === 'type' || name === 'code' || name === 'param')
      fields[name] = error[name] ?? null;
  return 'message' in fields ? fields : { message: error.message, ...fields };
}

function endsLine(chunk: Buffer): boolean {
  const last = chunk[chunk.length - 1];
  return last === 0x0a || last === 0x0d;
}

const lineEnd = (chunk: Buffer): number => Math.max(chunk.lastIndexOf(0x0a), chunk.lastIndexOf(0x0d)) + 1;

const blankLines = ['\n\n', '\r\r', '\n\r\n', '\n\r'].map((text) => Buffer.from(text));

/** The index after the last empty line of a chunk that ends with a line; 0 if there is none. */
function eventEnd(chunk: Buffer): number {
  let end = 0;
  for (const blank of blankLines) {
    const at = chunk.lastIndexOf(blank);
    if (at >= 0) end = Math.max(end, at + blank.length);
  }
  return end;
}

function endsEvent(chunk: Buffer): boolean {
  const { length } = chunk;
  return chunk[length - 1] === 0x0a && chunk[length - 2] === 0x0a;
}

/** The text of an event's data lines; undefined if it has none. */
function dataIn(event: string): string | undefined {
  const lines = event.split(/\r\n|\r|\n/).flatMap((line) => /^data(?:: ?(.*))?$/.exec(line)?.slice(1) ?? []);
  return lines.length === 0 ? undefined : lines.map((line) => line ?? '').join('\n');
}

/** Whether the data of an unfinished event is already a whole text; it is then judged and sent without waiting. */
function isWholeData(lines: Buffer): boolean {
  const text = lines.toString('utf8');
  if (errorEvent.test(text)) return false;
  const data = dataIn(text);
  return data === undefined || data === '[DONE]' || parse(data) !== undefined;
}

function firstEnd(chunk: Buffer): number {
  const feed = chunk.indexOf(0x0a);
  const back = chunk.indexOf(0x0d);
  return (feed < 0 ? back : back < 0 ? feed : Math.min(feed, back)) + 1;
}
