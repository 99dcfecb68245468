// Takes back out of a chat or completion stream what asking for its usage put in: the extra event without choices, and
// the `usage` member that some servers then add to every event. What is left is, byte for byte, the stream that the
// client asked for. Only used where we injected `stream_options.include_usage`; every other stream goes by untouched.
import { GatewayError } from '../domain/error.ts';
import { maxLineBytes } from './line-reader.ts';
import { type JsonValue, type Outline, ofAnswers, scanObject, splice } from './strict-json.ts';

const outline: Outline = { known: new Set(), each: { choices: { known: new Set() } } };

export class UsageFilter {
  #rest: Buffer[] = [];
  #restLength = 0;

  /** Takes a chunk, gives the bytes that may go on now: whole events only. @throws GatewayError on an endless event. */
  push(chunk: Buffer): Buffer {
    this.#rest.push(chunk);
    this.#restLength += chunk.length;
    if (this.#restLength > maxLineBytes) throw new GatewayError('upstream_failed');
    // Pieces are joined only when an event may have ended: joining at each would be quadratic in an event's pieces.
    if (!chunk.includes(0x0a)) return nothing;
    const bytes = this.#rest.length === 1 ? chunk : Buffer.concat(this.#rest, this.#restLength);
    const kept: Buffer[] = [];
    let from = 0;
    for (;;) {
      const end = endOfEvent(bytes, from);
      if (end < 0) break;
      const cleaned = clean(bytes.subarray(from, end));
      if (cleaned) kept.push(cleaned);
      from = end;
    }
    this.#rest = from < bytes.length ? [bytes.subarray(from)] : [];
    this.#restLength = bytes.length - from;
    return kept.length === 1 ? (kept[0] as Buffer) : Buffer.concat(kept);
  }

  /** Whatever is left when the stream ends. */
  end(): Buffer {
    const rest = Buffer.concat(this.#rest, this.#restLength);
    this.#rest = [];
    return clean(rest) ?? nothing;
  }
}

const nothing = Buffer.alloc(0);

/** Behind the empty line that ends an event: LF LF, or CR LF CR LF as some servers write; −1 while there is none. */
function endOfEvent(bytes: Buffer, from: number): number {
  const lf = bytes.indexOf('\n\n', from);
  const crlf = bytes.indexOf('\r\n\r\n', from);
  if (lf < 0 || (crlf >= 0 && crlf < lf)) return crlf < 0 ? -1 : crlf + 4;
  return lf + 2;
}

/** The event without what we asked for, or undefined where it was nothing else. */
function clean(event: Buffer): Buffer | undefined {
  if (!event.includes('"usage"')) return event;
  const start = event.indexOf('{');
  const end = event.lastIndexOf('}') + 1;
  if (!event.subarray(0, 5).equals(dataField) || start < 0 || end <= start) return event;
  const json = event.subarray(start, end);
  let members: ReadonlyMap<string, JsonValue>;
  try {
    ({ members } = scanObject(json, outline, ofAnswers));
  } catch {
    return event;
  }
  const usage = members.get('usage');
  if (!usage) return event;
  const choices = members.get('choices');
  if (choices?.items?.length === 0 && usage.kind === 'object') return undefined;
  return splice(event, [{ ...cutMember(json, usage, start), text: '' }]);
}

const dataField = Buffer.from('data:');

/** The member with the comma that belongs to it: the one before it, or, for the first member, the one after it. */
function cutMember(json: Buffer, member: JsonValue, offset: number): { start: number; end: number } {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a;
  let start = member.keyStart as number;
  while (isSpace(json[start - 1])) start--;
  if (json[start - 1] === 0x2c) return { start: offset + start - 1, end: offset + member.end };
  let end = member.end;
  while (isSpace(json[end])) end++;
  return { start: offset + start, end: offset + (json[end] === 0x2c ? end + 1 : end) };
}
