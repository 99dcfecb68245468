// Answers with lists of tools, as far as their caller may use the tools: as JSON, which is held whole, or as events, each of
// which goes on when it is complete. Such an answer depends on the key, so no cache may share it. What is no list passes as it
// is.
import { GatewayError } from '../../../domain/error.ts';
import { Pieces } from '../../payload/chunk-buffer.ts';

const mostBytes = 8 * 1024 * 1024;
const nothing = Buffer.alloc(0);

export type MayUse = (tool: string) => boolean;

export interface ToolFilter {
  /** What can go on now. @throws GatewayError `upstream_failed` if it is too long, or cannot be read. */
  add(piece: Buffer): Buffer;
  /** The rest. @throws as `add`. */
  end(): Buffer;
}

/** An answer in JSON. */
export class WholeList implements ToolFilter {
  readonly #mayUse: MayUse;
  readonly #pieces = new Pieces();

  constructor(mayUse: MayUse) {
    this.#mayUse = mayUse;
  }

  add(piece: Buffer): Buffer {
    if (this.#pieces.length + piece.length > mostBytes) throw unreadable('it is too long');
    this.#pieces.add(piece);
    return nothing;
  }

  end(): Buffer {
    const bytes = this.#pieces.bytes();
    return bytes.length === 0 ? bytes : Buffer.from(shownMessage(bytes.toString('utf8'), this.#mayUse));
  }
}

/** Where an event ends: at an empty line, whatever ends the lines (HTML standard, server-sent events). */
const eventEnd = /\n\n|\n\r\n|\n\r(?!\n)|\r\r|\r\n\r(?!\n)/g;

/** An event stream; it may be open for long. */
export class ListEvents implements ToolFilter {
  readonly #mayUse: MayUse;
  /** The begun event. Its pieces are joined when it is complete, and not with each of them. */
  #begun = new Pieces();
  /** Its last bytes, in which an empty line can begin. */
  #tail: Buffer = nothing;
  #isFirst = true;

  constructor(mayUse: MayUse) {
    this.#mayUse = mayUse;
  }

  add(piece: Buffer): Buffer {
    const before = this.#tail.length;
    const end = lastEventEnd(before === 0 ? piece : Buffer.concat([this.#tail, piece]));
    if (end === 0) {
      this.#keep(piece);
      return nothing;
    }
    this.#begun.add(piece.subarray(0, end - before));
    const whole = this.#begun.bytes();
    this.#begun = new Pieces();
    this.#tail = nothing;
    this.#keep(piece.subarray(end - before));
    return this.#shown(whole);
  }

  end(): Buffer {
    return this.#shown(this.#begun.bytes());
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#begun.length + bytes.length > mostBytes) throw unreadable('an event is too long');
    this.#begun.add(bytes);
    this.#tail = bytes.length >= 3 ? bytes.subarray(-3) : Buffer.concat([this.#tail, bytes]).subarray(-3);
  }

  #shown(bytes: Buffer): Buffer {
    let text = bytes.toString('utf8');
    // A byte order mark is no part of the first line.
    if (this.#isFirst && text.startsWith('\ufeff')) text = text.slice(1);
    this.#isFirst = false;
    let shown = '';
    let at = 0;
    for (const { 0: end, index } of text.matchAll(eventEnd)) {
      shown += this.#event(text.slice(at, index + end.length));
      at = index + end.length;
    }
    return Buffer.from(shown + this.#event(text.slice(at)));
  }

  /** Only an event with a list is rewritten; its comments and other fields stay. */
  #event(text: string): string {
    const lines = text.split(/\r\n|\n|\r/);
    const data = lines.filter(isData).map((line) => line.slice(5).replace(/^ /, ''));
    const message = data.join('\n');
    if (message === '') return text;
    const shown = shownMessage(message, this.#mayUse);
    if (shown === message) return text;
    const others = lines.filter((line) => line !== '' && !isData(line));
    return [...others, `data: ${shown}`, '', ''].join('\n');
  }
}

const isData = (line: string): boolean => line.startsWith('data:');

function lastEventEnd(bytes: Buffer): number {
  let end = 0;
  for (const { 0: found, index } of bytes.toString('latin1').matchAll(eventEnd)) end = index + found.length;
  // The line feed that belongs to a carriage return may still come.
  return bytes[end - 1] === 0x0d && end === bytes.length ? 0 : end;
}

/** The same text if there is no list in it. */
function shownMessage(text: string, mayUse: MayUse): string {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (cause) {
    throw unreadable(String(cause));
  }
  const shown = Array.isArray(message)
    ? message.map((each: unknown) => shownAnswer(each, mayUse))
    : shownAnswer(message, mayUse);
  return isSame(shown, message) ? text : JSON.stringify(shown);
}

const isSame = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b) ? a.every((each, at) => each === b[at]) : a === b;

function shownAnswer(message: unknown, mayUse: MayUse): unknown {
  if (!isObject(message) || !isObject(message['result'])) return message;
  const { result } = message;
  if (!Array.isArray(result['tools'])) return message;
  const tools = (result['tools'] as unknown[]).filter(
    (tool) => isObject(tool) && typeof tool['name'] === 'string' && mayUse(tool['name']),
  );
  const scope = result['cacheScope'] === undefined ? {} : { cacheScope: 'private' };
  return { ...message, result: { ...result, tools, ...scope } };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unreadable = (cause: string): GatewayError =>
  new GatewayError('upstream_failed', { message: 'The list of tools of the service cannot be read.', cause });
