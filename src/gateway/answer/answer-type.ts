// Checks the media type of an answer against those that its operation may have (dialects/media-types.ts), and rejects
// any other type.
import type { IncomingHttpHeaders } from 'node:http';
import type { Operation } from '../dialects/dialect.ts';

interface Read {
  readonly media: string;
  /** The type as it is sent: with the charset if that is UTF-8, without other parameters. */
  readonly line: string;
}

const bytesType = 'application/octet-stream';

export const wrongType = 'The model server answered with a content type that this route does not have.';

/**
 * Sets the type in the header lines: rebuilt from the parsed value, or bytes if there was no type or an error has
 * another type. False if the operation has no such answer.
 */
export function setType(operation: Operation, status: number, headers: IncomingHttpHeaders, lines: string[]): boolean {
  // The caller could not decode bytes in an unknown coding.
  if (headers['content-encoding'] !== undefined && !lines.includes('content-encoding')) return false;
  const sent = headers['content-type'];
  if (sent === undefined) {
    if (headers['content-length'] !== '0' && status !== 204 && status !== 304) lines.push('content-type', bytesType);
    return true;
  }
  const { media, line } = usual.get(sent) ?? read(sent);
  const isKnown = operation.reply.types.includes(media);
  if (!isKnown && status < 400) return false;
  const at = lines.indexOf('content-type');
  const type = isKnown ? line : bytesType;
  if (at < 0) lines.push('content-type', type);
  else lines[at + 1] = type;
  return true;
}

function read(sent: string): Read {
  const [media = '', ...parameters] = sent.split(';');
  const isUtf8 = parameters.some((each) => /^\s*charset\s*=\s*"?utf-?8"?\s*$/i.test(each));
  const plain = media.trim().toLowerCase();
  return { media: plain, line: isUtf8 ? `${plain}; charset=utf-8` : plain };
}

/** Common types, parsed once. */
const usual = new Map(
  [
    'application/json',
    'application/json; charset=utf-8',
    'application/x-ndjson',
    'text/event-stream',
    'text/event-stream; charset=utf-8',
  ].map((sent) => [sent, read(sent)]),
);
