// Holds an answer to the media types that its operation may have (dialects/media-types.ts). An answer of any other type is no
// answer of this operation.
import type { IncomingHttpHeaders } from 'node:http';
import type { Operation } from '../dialects/dialect.ts';

interface Read {
  readonly media: string;
  /** The same as it may be said: with the charset where it is UTF-8, and nothing else. */
  readonly line: string;
}

const bytesType = 'application/octet-stream';

export const wrongType = 'The model server answered with a type of content that this route does not have.';

/**
 * Puts the type as it may go on into the lines: built anew from what was read, and bytes where nothing was said or an error
 * is of another type. False where the operation has no such answer.
 */
export function setType(operation: Operation, status: number, headers: IncomingHttpHeaders, lines: string[]): boolean {
  // A coding that nobody knows would leave bytes that nobody can read.
  if (headers['content-encoding'] !== undefined && !lines.includes('content-encoding')) return false;
  const said = headers['content-type'];
  if (said === undefined) {
    if (headers['content-length'] !== '0' && status !== 204 && status !== 304) lines.push('content-type', bytesType);
    return true;
  }
  const { media, line } = usual.get(said) ?? read(said);
  const isKnown = operation.reply.types.includes(media);
  if (!isKnown && status < 400) return false;
  const at = lines.indexOf('content-type');
  const type = isKnown ? line : bytesType;
  if (at < 0) lines.push('content-type', type);
  else lines[at + 1] = type;
  return true;
}

function read(said: string): Read {
  const [media = '', ...parameters] = said.split(';');
  const isUtf8 = parameters.some((each) => /^\s*charset\s*=\s*"?utf-?8"?\s*$/i.test(each));
  const plain = media.trim().toLowerCase();
  return { media: plain, line: isUtf8 ? `${plain}; charset=utf-8` : plain };
}

/** What model servers say all the time, so that it is not taken apart for every answer. */
const usual = new Map(
  [
    'application/json',
    'application/json; charset=utf-8',
    'application/x-ndjson',
    'text/event-stream',
    'text/event-stream; charset=utf-8',
  ].map((said) => [said, read(said)]),
);
