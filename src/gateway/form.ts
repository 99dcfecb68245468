// Reads one text field out of a multipart/form-data body that is held whole, strictly enough that no other parser can
// read another value: plain quoted names, no RFC 2231 parameters, no nested multiparts, the field exactly once.
// The body itself goes on untouched. RFC 7578; what Go's mime/multipart accepts beyond this is refused.
import { GatewayError } from '../domain/error.ts';

const plainDisposition = /^form-data; name="([^"\\\r\n]{1,200})"(; filename="[^"\\\r\n]*")?$/i;
const maxParts = 64;

/** @throws GatewayError `unsupported_media_type` or `invalid_request`. */
export function formField(body: Buffer, contentType: string | undefined, field: string): string {
  const boundary =
    /^multipart\/form-data; *boundary=(?:"([A-Za-z0-9'()+_,./:=? -]{1,70})"|([A-Za-z0-9'+_.-]{1,70}))$/i.exec(
      (contentType ?? '').trim(),
    );
  if (!boundary)
    throw new GatewayError('unsupported_media_type', { message: 'Send multipart/form-data with a plain boundary.' });
  const delimiter = Buffer.from(`--${boundary[1] ?? boundary[2]}`);
  const found: string[] = [];
  for (const { name, isFile, value } of partsOf(body, delimiter)) {
    if (name.toLowerCase() !== field) continue;
    if (isFile || name !== field) throw broken();
    found.push(value.toString('utf8'));
  }
  if (found.length > 1) throw new GatewayError('invalid_request', { message: `${field} stands twice` });
  const [text] = found;
  if (text === undefined || text === '') throw new GatewayError('invalid_request', { message: `${field} is required` });
  return text;
}

interface Part {
  readonly name: string;
  readonly isFile: boolean;
  readonly value: Buffer;
}

function* partsOf(body: Buffer, delimiter: Buffer): Generator<Part> {
  if (!startsWith(body, delimiter, 0)) throw broken();
  let at = delimiter.length;
  for (let parts = 0; ; parts++) {
    if (startsWith(body, end, at)) return;
    if (parts >= maxParts || !startsWith(body, crlf, at)) throw broken();
    const headEnd = body.indexOf('\r\n\r\n', at);
    const next = headEnd < 0 ? -1 : body.indexOf(Buffer.concat([crlf, delimiter]), headEnd + 2);
    if (next < 0 || headEnd - at > 4096) throw broken();
    yield readPart(body.toString('utf8', at + 2, headEnd), body.subarray(headEnd + 4, next));
    at = next + 2 + delimiter.length;
  }
}

function readPart(head: string, value: Buffer): Part {
  let disposition: RegExpExecArray | null = null;
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (colon < 1 || !/^[a-z-]+$/.test(name)) throw broken();
    if (name !== 'content-disposition') continue;
    if (disposition) throw broken();
    disposition = plainDisposition.exec(line.slice(colon + 1).trim());
    if (!disposition) throw broken();
  }
  if (!disposition) throw broken();
  return { name: disposition[1] as string, isFile: disposition[2] !== undefined, value };
}

const crlf = Buffer.from('\r\n');
const end = Buffer.from('--');

function startsWith(body: Buffer, what: Buffer, at: number): boolean {
  return body.length >= at + what.length && body.compare(what, 0, what.length, at, at + what.length) === 0;
}

const broken = (): GatewayError =>
  new GatewayError('invalid_request', { message: 'The form could be read in two ways.' });
