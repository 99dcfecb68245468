// Says anew what a model server says of its failures in the midst of a stream: an error line or event is read and spelled
// again as model-error.ts does it with a whole body. Everything else goes by as it came and is not even cut into lines:
// an error has the word in the name of a field or of its event, so a chunk without it holds none. A text holds no bare
// `"error"`, since JSON escapes the quotes inside it.
// A line that is not complete waits for its end, up to a bound; what is longer than that is no error line. So does an event
// whose data stands on several lines, which are one text (HTML standard, section 9.2.6).
import type { Screen } from '../../upstream/screen.ts';
import { Pieces } from '../payload/chunk-buffer.ts';
import { errorOf, isError, isFields, type ModelError, mostErrorBytes, parse } from './model-error.ts';

const mark = Buffer.from('error');
/** The event is one by its name, whatever its data looks like. */
const errorEvent = /(?<![^\r\n])event: ?error(?![^\r\n])/;
const nothing = Buffer.alloc(0);

export class FrameScreen {
  readonly #screen: Screen;
  /** What has come of the last line. */
  #rest: Pieces | undefined;
  /** The line is too long to be an error, and goes by. */
  #passing = false;
  readonly #events: boolean;

  /** `events`: it is a stream of server-sent events, and not of lines. */
  constructor(screen: Screen, events: boolean) {
    this.#screen = screen;
    this.#events = events;
  }

  /** Takes a chunk, gives what may go on now. */
  push(chunk: Buffer): Buffer {
    if (this.#rest === undefined && this.#isOver(chunk) && !chunk.includes(mark)) {
      this.#passing = false;
      return chunk;
    }
    return this.#pushSlowly(chunk);
  }

  /** What is left when the stream ends or breaks; an error that was cut short is not among it. */
  end(): Buffer {
    const rest = this.#takeRest(nothing);
    return rest.includes(mark) ? this.#sayAnew(rest) : rest;
  }

  #pushSlowly(chunk: Buffer): Buffer {
    const end = this.#events && !this.#passing ? this.#overAt(chunk) : lineEnd(chunk);
    const tail = end === 0 ? chunk : chunk.subarray(end);
    if (this.#passing) {
      if (end === 0) return chunk;
      // The rest of the long line goes by, and what follows is looked at.
      this.#passing = false;
      const long = firstEnd(chunk);
      return Buffer.concat([chunk.subarray(0, long), this.push(chunk.subarray(long))]);
    }
    let lines = end === 0 ? nothing : this.#takeRest(chunk.subarray(0, end));
    if (lines.includes(mark)) lines = this.#sayAnew(lines);
    if (tail.length === 0) return lines;
    const rest = (this.#rest ??= new Pieces());
    rest.add(tail);
    if (rest.length <= mostErrorBytes) return lines;
    this.#passing = true;
    return Buffer.concat([lines, this.#takeRest(nothing)]);
  }

  #takeRest(more: Buffer): Buffer {
    const rest = this.#rest;
    if (rest === undefined) return more;
    this.#rest = undefined;
    rest.add(more);
    return rest.bytes();
  }

  /** Does a chunk end where nothing of what follows belongs to it? */
  #isOver(chunk: Buffer): boolean {
    return endsLine(chunk) && (!this.#events || endsEvent(chunk) || isWholeData(chunk.subarray(eventEnd(chunk))));
  }

  /** Up to where a chunk, behind what is held, may be judged: whole lines, of whole texts. */
  #overAt(chunk: Buffer): number {
    const end = lineEnd(chunk);
    const from = eventEnd(chunk.subarray(0, end));
    if (from === end) return end;
    const begun = from === 0 && this.#rest ? Buffer.concat([this.#rest.bytes(), chunk]) : chunk.subarray(from, end);
    return isWholeData(begun) ? end : from;
  }

  #sayAnew(lines: Buffer): Buffer {
    const text = lines.toString('utf8');
    const said = this.#events
      ? text.replace(/(?:[^\r\n]+(?:\r\n|\r|\n|$))+/g, (event) =>
          event.includes('"error"') || errorEvent.test(event) ? this.#event(event) : event,
        )
      : text.replace(/[^\r\n]+/g, (line) => (line.includes('"error"') ? this.#data(line) : line));
    return said === text ? lines : Buffer.from(said);
  }

  /** The lines of an event, its data in one line where it is said anew. */
  #event(event: string): string {
    const data = dataIn(event);
    if (data === undefined) return event;
    const said = this.#data(data, errorEvent.test(event));
    if (said === data) return event;
    let isSaid = false;
    return event.replace(/(?<![^\r\n])data(?::[^\r\n]*)?(\r\n|\r|\n|$)/g, (_, ending: string) => {
      if (isSaid) return '';
      isSaid = true;
      return `data: ${said}${ending}`;
    });
  }

  #data(data: string, isFailure = false): string {
    const value = parse(data);
    if (!isFields(value)) {
      // No JSON, but perhaps what a proxy fell over.
      return this.#screen.sentence(data) === data ? data : JSON.stringify({ error: 'The model server failed.' });
    }
    // A response of the Responses API that failed holds its error inside.
    const response = value['response'];
    if (isFields(response) && isFields(response['error'])) {
      const error = errorOf(response, 0, this.#screen);
      return JSON.stringify({ ...value, response: { ...response, error: fieldsOf(error, response['error']) } });
    }
    return isFailure || isError(value) ? JSON.stringify(this.#anew(value)) : data;
  }

  #anew(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const error = errorOf(value, 0, this.#screen);
    const anew: Record<string, unknown> = {};
    for (const [name, said] of Object.entries(value)) {
      if (name === 'error') anew[name] = isFields(said) ? fieldsOf(error, said) : error.message;
      else if (name === 'message') anew[name] = error.message;
      else if (name === 'code' || name === 'param' || name === 'type') anew[name] = this.#wordOrNull(said);
      else if (passing.has(name)) anew[name] = said;
    }
    return anew;
  }

  #wordOrNull(said: unknown): unknown {
    return typeof said === 'number' ? said : (this.#screen.word(said) ?? null);
  }
}

/** Members of an event that hold what was generated, or say where in the stream it stands. */
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

/** The members that an error had, said anew; none that it did not have. */
function fieldsOf(error: ModelError, had: Readonly<Record<string, unknown>>): object {
  const anew: Record<string, unknown> = {};
  for (const name of Object.keys(had))
    if (name === 'message' || name === 'type' || name === 'code' || name === 'param') anew[name] = error[name] ?? null;
  return 'message' in anew ? anew : { message: error.message, ...anew };
}

function endsLine(chunk: Buffer): boolean {
  const last = chunk[chunk.length - 1];
  return last === 0x0a || last === 0x0d;
}

const lineEnd = (chunk: Buffer): number => Math.max(chunk.lastIndexOf(0x0a), chunk.lastIndexOf(0x0d)) + 1;

const blankLines = ['\n\n', '\r\r', '\n\r\n', '\n\r'].map((text) => Buffer.from(text));

/** Behind the last empty line of a chunk that ends with a line; 0 where there is none. */
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

/** The text of an event's lines of data; undefined where it has none. */
function dataIn(event: string): string | undefined {
  const lines = event.split(/\r\n|\r|\n/).flatMap((line) => /^data(?:: ?(.*))?$/.exec(line)?.slice(1) ?? []);
  return lines.length === 0 ? undefined : lines.map((line) => line ?? '').join('\n');
}

/** Is the data of an event that has not ended a whole text already? Then it is judged and goes on without waiting for more. */
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
