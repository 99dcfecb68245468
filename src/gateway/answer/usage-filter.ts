// Removes from a chat or completion stream what requesting its usage added: the extra event without choices, and the
// `usage` member that some servers then add to every event. The rest is, byte for byte, the stream that the client
// requested. Only used if the gateway added `stream_options.include_usage`; other streams pass unchanged. Events are
// split as in the HTML standard (§9.2.6): lines end with CR, LF or both, an empty line ends the event, and other fields
// may surround the data. At most `heldEventBytes` of an event are held: a longer one holds more than a usage, and is
// relayed without that member (long-event.ts).

import { Pieces } from '../payload/chunk-buffer.ts';
import {
  type Edit,
  type JsonBody,
  type JsonValue,
  type Outline,
  ofAnswers,
  scanObject,
  splice,
} from '../payload/strict-json.ts';
import { LongEvent } from './long-event.ts';

const outline: Outline = { known: new Set(), each: { choices: { known: new Set() } } };

export const heldEventBytes = 256 * 1024;

export class UsageFilter {
  /** The current event, as far as it has arrived. */
  #held: Pieces | undefined;
  /** The current event is too long to be held: it is relayed as it arrives. */
  #long: LongEvent | undefined;
  /** The current line is still empty. */
  #lineEmpty = true;
  /** The last byte was a CR, and a following LF belongs to it. */
  #afterReturn = false;
  /** That CR ended an event that was removed, so the LF is removed too. */
  #dropLineFeed = false;

  /** Takes a chunk, returns what can be sent now: whole events only, unless one is too long. */
  push(chunk: Buffer): Buffer {
    if (this.#isPlain(chunk)) return chunk;
    const kept: Buffer[] = [];
    let from = 0;
    let at = 0;
    if (this.#afterReturn && chunk.length > 0) {
      this.#afterReturn = false;
      if (chunk[0] === 0x0a) {
        at = 1;
        // After the end of an event it stands alone; within an event it is held with the rest.
        if (this.#lineEmpty && this.#held === undefined && !this.#long) {
          if (!this.#dropLineFeed) kept.push(chunk.subarray(0, 1));
          from = 1;
        }
      }
      this.#dropLineFeed = false;
    }
    let carriage = chunk.indexOf(0x0d, at);
    let feed = chunk.indexOf(0x0a, at);
    while (carriage >= 0 || feed >= 0) {
      const isReturn = carriage >= 0 && (feed < 0 || carriage < feed);
      const end = isReturn ? carriage : feed;
      const empty = this.#lineEmpty && end === at;
      at = end + 1;
      if (isReturn) {
        if (at === chunk.length) this.#afterReturn = true;
        else if (chunk[at] === 0x0a) at++;
        carriage = chunk.indexOf(0x0d, at);
      }
      if (feed >= 0 && feed < at) feed = chunk.indexOf(0x0a, at);
      this.#lineEmpty = true;
      if (!empty) continue;
      const event = this.#complete(chunk.subarray(from, at));
      if (event) kept.push(event);
      else this.#dropLineFeed = this.#afterReturn;
      from = at;
    }
    if (at < chunk.length) this.#lineEmpty = false;
    if (from < chunk.length) this.#keep(chunk.subarray(from), kept);
    return kept.length === 1 ? (kept[0] as Buffer) : Buffer.concat(kept);
  }

  /** Returns the rest when the stream ends. */
  end(): Buffer {
    const rest = this.#held?.bytes();
    this.#held = undefined;
    return this.#long?.end() ?? (rest && clean(rest)) ?? nothing;
  }

  /** Whole events without a usage, like most chunks. */
  #isPlain(chunk: Buffer): boolean {
    const { length } = chunk;
    return (
      this.#held === undefined &&
      !this.#long &&
      this.#lineEmpty &&
      !this.#afterReturn &&
      length > 2 &&
      chunk[length - 1] === 0x0a &&
      chunk[length - 2] === 0x0a &&
      !chunk.includes(usageName)
    );
  }

  #complete(tail: Buffer): Buffer | undefined {
    if (this.#long) {
      const long = this.#long;
      this.#long = undefined;
      return Buffer.concat([long.push(tail), long.end()]);
    }
    const held = this.#held;
    if (held === undefined) return clean(tail);
    this.#held = undefined;
    held.add(tail);
    return clean(held.bytes());
  }

  #keep(piece: Buffer, kept: Buffer[]): void {
    if (this.#long) {
      kept.push(this.#long.push(piece));
      return;
    }
    const held = (this.#held ??= new Pieces());
    if (held.length + piece.length <= heldEventBytes) {
      held.add(piece);
      return;
    }
    this.#held = undefined;
    this.#long = new LongEvent();
    kept.push(this.#long.push(held.bytes()), this.#long.push(piece));
  }
}

const nothing = Buffer.alloc(0);
const usageName = Buffer.from('"usage"');

/** The event without what the gateway requested, or undefined if nothing else is in it. */
function clean(event: Buffer): Buffer | undefined {
  if (!event.includes(usageName)) return event;
  const data = dataOf(event);
  if (data.length === 0) return event;
  const [first] = data as [Line];
  // Several data lines form one text, joined by line feeds.
  const json = data.length === 1 ? event.subarray(first.start, first.end) : joined(event, data);
  let document: JsonBody;
  try {
    document = scanObject(json, outline, ofAnswers);
  } catch {
    return event;
  }
  const { members } = document;
  const usage = members.get('usage');
  if (!usage) return event;
  if (members.get('choices')?.items?.length === 0 && usage.kind === 'object') return undefined;
  const cut = cutMember(json, usage);
  return splice(event, cutsIn(data, cut.start, cut.end));
}

/** The value of a `data:` line, without its line end. */
interface Line {
  readonly start: number;
  readonly end: number;
}

/** The data lines of an event. */
function dataOf(event: Buffer): Line[] {
  const lines: Line[] = [];
  // A stream may begin with a byte order mark.
  let at = event[0] === 0xef && event[1] === 0xbb && event[2] === 0xbf ? 3 : 0;
  while (at < event.length) {
    let end = at;
    while (end < event.length && event[end] !== 0x0a && event[end] !== 0x0d) end++;
    const next = event[end] === 0x0d && event[end + 1] === 0x0a ? end + 2 : Math.min(end + 1, event.length);
    if (event.subarray(at, at + 5).equals(dataField)) lines.push({ start: at + (event[at + 5] === 0x20 ? 6 : 5), end });
    at = next;
  }
  return lines;
}

function joined(event: Buffer, lines: readonly Line[]): Buffer {
  return Buffer.concat(
    lines.flatMap(({ start, end }, i) => [...(i > 0 ? [lineFeed] : []), event.subarray(start, end)]),
  );
}

/** Maps a range of the joined data to the event: at most one edit per line. Line ends stay. */
function cutsIn(lines: readonly Line[], from: number, to: number): Edit[] {
  const edits: Edit[] = [];
  let at = 0;
  for (const { start, end } of lines) {
    const [first, last] = [Math.max(from - at, 0), Math.min(to - at, end - start)];
    if (first < last) edits.push({ start: start + first, end: start + last, text: '' });
    at += end - start + 1;
  }
  return edits;
}

const dataField = Buffer.from('data:');
const lineFeed = Buffer.from('\n');

/** The member with its comma: the one before it, or, for the first member, the one after it. */
function cutMember(json: Buffer, member: JsonValue): { start: number; end: number } {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a;
  let start = member.keyStart as number;
  while (isSpace(json[start - 1])) start--;
  if (json[start - 1] === 0x2c) return { start: start - 1, end: member.end };
  let end = member.end;
  while (isSpace(json[end])) end++;
  return { start, end: json[end] === 0x2c ? end + 1 : end };
}
