// Reads a multipart/form-data body that is held in memory, and writes the form again for the model server: with the
// gateway's own boundary, one canonical head per part, in the original order. The model server never sees the caller's
// framing, so no second parser can find a different model in it. RFC 7578; variations of common clients (.NET, Apache,
// browsers) are accepted.
import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { GatewayError } from '../../domain/error.ts';
import { choiceNames, lengthNames } from '../answer-length.ts';

export interface Part {
  readonly name: string;
  /** Undefined for a text field; never empty, never a path. */
  readonly filename: string | undefined;
  /** Media type of a file; undefined for a text field, which is UTF-8 (RFC 7578 §4.4 and §5.1.2). */
  readonly type: string | undefined;
  readonly value: Buffer;
}

export interface WrittenForm {
  readonly body: Buffer;
  /** Content-Type of the form. */
  readonly type: string;
}

const maxParts = 64;
const maxHeadBytes = 4096;
const maxHeadLines = 16;

/**
 * Fields that servers read as one value. Of duplicates, Go takes the first and Python the last: they are refused, and
 * so are other spellings that some server reads as the same field (`Model`, `model[]`, `model.x`).
 */
const single = new Set<string>(
  ['model', 'file', 'language', 'prompt', 'response_format', 'stream', 'temperature'].concat(lengthNames, choiceNames),
);

/** @throws GatewayError `unsupported_media_type` or `invalid_request`. */
export function readForm(body: Buffer, contentType: string | undefined): readonly Part[] {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`);
  const parts: Part[] = [];
  const seen = new Set<string>();
  // The first delimiter needs no line break before it, but some clients write one (RFC 2046 §5.1.1, preamble).
  let at = startsWith(body, delimiter, 0) ? delimiter.length : delimiter.length - 2;
  if (at < delimiter.length && !startsWith(body, delimiter.subarray(2), 0)) throw broken();
  while (!startsWith(body, end, at)) {
    if (parts.length >= maxParts || !startsWith(body, crlf, at)) throw broken();
    const headEnd = body.indexOf(blankLine, at);
    if (headEnd < 0 || headEnd - at > maxHeadBytes) throw broken();
    const next = body.indexOf(delimiter, headEnd + 2);
    if (next < 0) throw broken();
    const part = readPart(body.subarray(at + 2, headEnd), body.subarray(Math.min(headEnd + 4, next), next));
    noteName(part.name, seen);
    parts.push(part);
    at = next + delimiter.length;
  }
  at += end.length;
  if (at !== body.length && !(startsWith(body, crlf, at) && at + 2 === body.length)) throw broken();
  return parts;
}

/** The text of a field of at most this many bytes. @throws GatewayError if it is a file, or longer. */
export function formText(parts: readonly Part[], name: string, mostBytes: number): string | undefined {
  const part = parts.find((each) => each.name === name);
  if (!part) return undefined;
  if (part.filename !== undefined) throw broken();
  if (part.value.length > mostBytes)
    throw new GatewayError('invalid_request', { message: `${name} is longer than ${mostBytes} bytes` });
  return part.value.toString('utf8');
}

/** The same form with another text in a field that it has. */
export const withText = (parts: readonly Part[], name: string, text: string): readonly Part[] =>
  parts.map((part) => (part.name === name ? { ...part, value: Buffer.from(text) } : part));

/** The number of bytes that `writeForm` returns. */
export function formBytes(parts: readonly Part[]): number {
  let bytes = ownBoundary.length + 6;
  for (const part of parts) bytes += Buffer.byteLength(headOf(part)) + part.value.length + 2;
  return bytes;
}

/** Writes the form for the model server. @throws GatewayError if a value contains the gateway's secret boundary. */
export function writeForm(parts: readonly Part[]): WrittenForm {
  const pieces: Buffer[] = [];
  for (const part of parts) {
    if (part.value.includes(ownBoundary)) throw broken();
    pieces.push(Buffer.from(headOf(part)), part.value, crlf);
  }
  pieces.push(Buffer.from(`--${ownBoundary}--\r\n`));
  return { body: Buffer.concat(pieces), type: `multipart/form-data; boundary=${ownBoundary}` };
}

/** A form that `writeForm` wrote, with another text in this field: no value can contain the boundary before it. */
export function renameForm(form: Buffer, name: string, text: string): Buffer {
  const head = headOf({ name, filename: undefined, type: undefined });
  const at = form.indexOf(head);
  if (at < 0) throw broken();
  const start = at + Buffer.byteLength(head);
  return Buffer.concat([
    form.subarray(0, start),
    Buffer.from(text),
    form.subarray(form.indexOf(`\r\n--${ownBoundary}`, start)),
  ]);
}

/**
 * One boundary per process, so that a repeated body stays identical (store/ports/signatures.ts), with 144 random bits, so that no
 * caller can put it into a value.
 */
const ownBoundary = `sekisho-${randomBytes(18).toString('base64url')}`;

/**
 * Only two header lines are forwarded: RFC 7578 §4.8 tells servers to ignore others. File names use percent escapes
 * (RFC 7578 §4.2), because `\"` is read in two ways and some servers split the line at every `;`.
 */
function headOf({ name, filename, type }: Omit<Part, 'value'>): string {
  const file = filename === undefined ? '' : `; filename="${filename.replaceAll('"', '%22').replaceAll(';', '%3B')}"`;
  const media = type === undefined ? '' : `\r\nContent-Type: ${type}`;
  return `--${ownBoundary}\r\nContent-Disposition: form-data; name="${name}"${file}${media}\r\n\r\n`;
}

function noteName(name: string, seen: Set<string>): void {
  const folded = name.toLowerCase();
  const base = folded.split(/[[.]/, 1)[0] as string;
  if (!single.has(base)) return;
  if (name !== base) throw new GatewayError('invalid_request', { message: `Spell the field exactly "${base}".` });
  if (seen.has(base)) throw new GatewayError('invalid_request', { message: `${base} is given twice` });
  seen.add(base);
}

function readPart(head: Buffer, value: Buffer): Part {
  let disposition: Parameters | undefined;
  let media: Parameters | undefined;
  // File names are UTF-8 (RFC 7578 §5.1).
  if (!isUtf8(head)) throw broken();
  const lines = head.toString('utf8').split('\r\n');
  if (lines.length > maxHeadLines) throw broken();
  for (const line of lines) {
    // Parsers disagree on whether a bare line break or NUL ends a line, and some treat a tab as folding.
    const match = control.test(line) ? null : /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): *(.*)$/.exec(line);
    if (!match) throw broken();
    const text = match[2] as string;
    switch ((match[1] as string).toLowerCase()) {
      case 'content-disposition':
        if (disposition) throw broken();
        disposition = readParameters(text);
        break;
      case 'content-type':
        if (media) throw broken();
        media = readParameters(text);
        break;
      case 'content-transfer-encoding':
        // Deprecated; some clients send it to say that nothing is encoded (RFC 7578 §4.7).
        if (!/^(?:7bit|8bit|binary) *$/i.test(text)) throw encoded();
        break;
      default:
      // Ignored (RFC 7578 §4.8), and not forwarded.
    }
  }
  if (disposition?.value.toLowerCase() !== 'form-data') throw broken();
  const name = disposition.all.get('name') ?? '';
  // Without quotes, escapes, separators or spaces a name has one reading, also for parsers that split at each `;`.
  if (!/^[A-Za-z0-9_.:[\]-]{1,200}$/.test(name)) throw broken();
  for (const known of disposition.all.keys())
    if (known !== 'name' && known !== 'filename' && known !== 'filename*') throw broken();
  // Nested multipart is deprecated (RFC 7578 §4.3), and some parsers read it as a form of its own.
  if (media && /^multipart\//i.test(media.value)) throw broken();
  const filename = filenameOf(disposition.all);
  if (filename !== undefined) return { name, filename, type: fileType(media), value };
  return { name, filename, type: undefined, value: utf8Of(name, media, value) };
}

/**
 * Only the last segment of a path (RFC 7578 §4.2, RFC 2183 §2.3). `filename*` should not be sent (RFC 7578 §4.2), but
 * .NET sends it beside a mangled `filename`, so it takes precedence (RFC 6266 §4.3). A file without a name gets one,
 * because Go reads a part without a file name as a text field.
 */
function filenameOf(all: ReadonlyMap<string, string>): string | undefined {
  const extended = all.get('filename*');
  const name = extended === undefined ? all.get('filename') : decodeExtended(extended);
  if (name === undefined) return undefined;
  const last = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
  return /^[. ]*$/.test(last) ? 'file' : last;
}

/** `UTF-8''%e9…` (RFC 8187 §3.2). */
function decodeExtended(text: string): string {
  const match = /^(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})*)$/i.exec(text);
  if (!match) throw broken();
  const bytes = Buffer.from(
    (match[2] as string).replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  if (match[1]?.toLowerCase() === 'utf-8' && !isUtf8(bytes)) throw broken();
  const decoded = bytes.toString(match[1]?.toLowerCase() === 'utf-8' ? 'utf8' : 'latin1');
  if (control.test(decoded)) throw broken();
  return decoded;
}

/** The type as sent, with normalised parameters (`audio/webm; codecs=opus`). */
function fileType(media: Parameters | undefined): string {
  // RFC 7578 §4.4: the default for files of unknown type.
  if (!media) return 'application/octet-stream';
  const { value, all } = media;
  if (!/^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i.test(value)) throw broken();
  let type = value.toLowerCase();
  for (const [name, text] of all) {
    if (/[^\x20-\x7e]|["\\]/.test(text)) throw broken();
    type += `; ${name}=${token.test(text) ? text : `"${text}"`}`;
  }
  return type;
}

/** Converts a text field to UTF-8 from the charset that its part declares (RFC 7578 §4.4, §4.6). */
function utf8Of(name: string, media: Parameters | undefined, value: Buffer): Buffer {
  const charset = (media?.all.get('charset') ?? 'utf-8').toLowerCase();
  if (charset === 'iso-8859-1')
    return value.some((byte) => byte > 0x7f) ? Buffer.from(value.toString('latin1')) : value;
  if ((charset !== 'utf-8' && charset !== 'us-ascii') || !isUtf8(value)) throw encoded();
  // A field of this name declares the charset of all others (RFC 7578 §4.6).
  if (name.toLowerCase() === '_charset_' && !/^utf-?8$/i.test(value.toString('latin1', 0, 10))) throw encoded();
  return value;
}

interface Parameters {
  readonly value: string;
  /** By lower-case name. */
  readonly all: ReadonlyMap<string, string>;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const nextParameter =
  / *; *(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z[\]-]+)|"((?:[^"\\]|\\.)*)"))? */y;

/**
 * Parses `value; name=token; name="quoted"`, in any order (RFC 9110 §5.6.6), each name once. A backslash is literal
 * unless a quote or a backslash follows it: old browsers send whole Windows paths.
 */
function readParameters(text: string): Parameters {
  const value = (/^[^;]*/.exec(text) as RegExpExecArray)[0];
  const all = new Map<string, string>();
  nextParameter.lastIndex = value.length;
  while (nextParameter.lastIndex < text.length) {
    const match = nextParameter.exec(text);
    if (!match) throw broken();
    const [, name, plain, quoted] = match;
    if (name === undefined) continue;
    const key = name.toLowerCase();
    if (all.has(key)) throw broken();
    all.set(key, plain ?? (quoted as string).replace(/\\(["\\])/g, '$1'));
  }
  return { value: value.trim(), all };
}

/** Apache's client also sends a charset, which has no meaning here. */
function boundaryOf(contentType: string | undefined): string {
  const parameters = readType(contentType);
  const boundary = parameters?.all.get('boundary');
  const isForm = parameters?.value.toLowerCase() === 'multipart/form-data';
  for (const name of parameters?.all.keys() ?? []) if (name !== 'boundary' && name !== 'charset') throw noForm();
  // RFC 2046 §5.1.1; a space at the end is refused because some parsers strip it.
  if (!isForm || boundary === undefined || !/^[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]$/.test(boundary))
    throw noForm();
  return boundary;
}

function readType(contentType: string | undefined): Parameters | undefined {
  const text = (contentType ?? '').trim();
  if (control.test(text)) throw noForm();
  try {
    return readParameters(text);
  } catch {
    throw noForm();
  }
}

/** C0, DEL and C1. */
const control = /\p{Cc}/u;
const crlf = Buffer.from('\r\n');
const blankLine = Buffer.from('\r\n\r\n');
const end = Buffer.from('--');

function startsWith(body: Buffer, what: Buffer, at: number): boolean {
  return body.length >= at + what.length && body.compare(what, 0, what.length, at, at + what.length) === 0;
}

const noForm = (): GatewayError =>
  new GatewayError('unsupported_media_type', { message: 'Send multipart/form-data with a plain boundary.' });

const encoded = (): GatewayError =>
  new GatewayError('invalid_request', {
    message: 'Send the fields of the form as UTF-8, without a transfer encoding.',
  });

const broken = (): GatewayError =>
  new GatewayError('invalid_request', { message: 'The form is malformed or ambiguous.' });
