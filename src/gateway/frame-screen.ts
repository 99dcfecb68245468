// Says anew what a model server says of its failures in the midst of a stream: an error line or event is read and spelled
// again as model-error.ts does it with a whole body. Everything else goes by as it came and is not even cut into lines:
// a text holds no bare `"error"`, since JSON escapes the quotes inside it, so a chunk without one holds no error.
// A line that is not complete waits for its end, up to a bound; what is longer than that is no error line.
import type { Screen } from '../upstream/screen.ts';
import { errorOf, isError, isFields, type ModelError, mostErrorBytes, parse } from './model-error.ts';
import { Pieces } from './pieces.ts';

const mark = Buffer.from('"error"');
const nothing = Buffer.alloc(0);

export class FrameScreen {
  readonly #screen: Screen;
  /** What has come of the last line. */
  #rest: Pieces | undefined;
  /** The line is too long to be an error, and goes by. */
  #passing = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Takes a chunk, gives what may go on now. */
  push(chunk: Buffer): Buffer {
    if (this.#rest === undefined && endsLine(chunk) && !chunk.includes(mark)) {
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
    const end = Math.max(chunk.lastIndexOf(0x0a), chunk.lastIndexOf(0x0d)) + 1;
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

  #sayAnew(lines: Buffer): Buffer {
    const text = lines.toString('utf8');
    const said = text.replace(/[^\r\n]+/g, (line) => (line.includes('"error"') ? this.#line(line) : line));
    return said === text ? lines : Buffer.from(said);
  }

  #line(line: string): string {
    const [, field = '', data = ''] = /^(data: ?|)(.*)$/.exec(line) ?? [];
    const value = parse(data);
    if (!isFields(value)) {
      // No JSON, but perhaps what a proxy fell over.
      return this.#screen.sentence(line) === line
        ? line
        : field + JSON.stringify({ error: 'The model server failed.' });
    }
    // A response of the Responses API that failed holds its error inside.
    const response = value['response'];
    if (isFields(response) && isFields(response['error'])) {
      const error = errorOf(response, 0, this.#screen);
      return field + JSON.stringify({ ...value, response: { ...response, error: fieldsOf(error, response['error']) } });
    }
    return isError(value) ? field + JSON.stringify(this.#anew(value)) : line;
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

function firstEnd(chunk: Buffer): number {
  const feed = chunk.indexOf(0x0a);
  const back = chunk.indexOf(0x0d);
  return (feed < 0 ? back : back < 0 ? feed : Math.min(feed, back)) + 1;
}
