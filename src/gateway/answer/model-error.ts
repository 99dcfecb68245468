// Reads an error of a model server: from its body, decoded and bounded, a sentence, a type, a code and a field, which
// the caller's dialect then formats. Nothing else is relayed, because errors can contain internal addresses and the
// credentials that a proxy was given. Used for error bodies and for errors in mid-stream.
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import type { Screen } from '../../upstream/screen.ts';
import { reportsError } from '../meter/token-counts.ts';

export interface ModelError {
  readonly message: string;
  readonly type: string | undefined;
  readonly code: string | number | undefined;
  readonly param: string | undefined;
}

/** The most bytes of an error that are read, both encoded and decoded. */
export const mostErrorBytes = 64 * 1024;

type Fields = Readonly<Record<string, unknown>>;

/** Reads the body of an answer with an error status. `bytes` is undefined if it was too long. */
export function readError(
  bytes: Buffer | undefined,
  coding: string | undefined,
  status: number,
  screen: Screen,
): ModelError {
  const text = bytes && decode(bytes, coding);
  const value = text === undefined ? undefined : parse(text);
  if (isFields(value)) return errorOf(value, status, screen);
  // Some servers answer in plain text, and proxies in HTML.
  const plain = value === undefined ? text : value;
  const isPlain = typeof plain === 'string' && plain.length <= 500 && !notPlain.test(plain);
  const words = isPlain ? plain.trim() : '';
  return { message: sentenceOf(words, status, screen), type: undefined, code: undefined, param: undefined };
}

const notPlain = /[<>\ufffd]|(?![\n\r\t])\p{Cc}/u;

/** Reads the error in a whole answer with a success status; undefined if there is none. */
export function findError(
  bytes: Buffer,
  coding: string | undefined,
  status: number,
  screen: Screen,
): ModelError | undefined {
  // Most answers are not errors and need no parsing.
  if (coding === undefined && !bytes.includes(mark)) return undefined;
  const text = decode(bytes, coding);
  const value = text !== undefined && text.includes('"error"') ? parse(text) : undefined;
  return isFields(value) && isError(value) ? errorOf(value, status, screen) : undefined;
}

const mark = Buffer.from('"error"');

export function isError(value: Fields): boolean {
  return reportsError(value['error']) || value['type'] === 'error' || value['object'] === 'error';
}

/** The error in an object that holds one. */
export function errorOf(value: Fields, status: number, screen: Screen): ModelError {
  const inner = isFields(value['error']) ? value['error'] : value;
  const found = [value['error'], inner['message'], inner['error'], value['message'], detailOf(value['detail'])];
  const code = inner['code'];
  return {
    message: sentenceOf(
      found.find((each): each is string => typeof each === 'string' && each !== '') ?? '',
      status,
      screen,
    ),
    type: inner['type'] === 'error' ? undefined : screen.word(inner['type']),
    code: typeof code === 'number' && Number.isSafeInteger(code) ? code : screen.word(code),
    param: screen.word(inner['param']),
  };
}

function sentenceOf(found: string, status: number, screen: Screen): string {
  const sentence = found === '' ? undefined : screen.sentence(found);
  if (sentence !== undefined && sentence !== '') return sentence;
  return status >= 400 ? `The model server answered with status ${status}.` : 'The model server failed.';
}

/** FastAPI's `detail`: a sentence, or a list of problems. */
function detailOf(detail: unknown): unknown {
  const first: unknown = Array.isArray(detail) ? detail[0] : detail;
  return isFields(first) ? (first['msg'] ?? first['message']) : first;
}

function decode(bytes: Buffer, coding: string | undefined): string | undefined {
  try {
    return unpack(bytes, coding?.toLowerCase().replace(/^x-/, '')).toString('utf8');
  } catch {
    return undefined;
  }
}

/** @throws if the bytes are not encoded like that, or decode to more than the limit. */
function unpack(bytes: Buffer, coding: string | undefined): Buffer {
  const bound = { maxOutputLength: mostErrorBytes };
  switch (coding) {
    case undefined:
    case 'identity':
      return bytes;
    case 'gzip':
      return gunzipSync(bytes, bound);
    case 'deflate':
      return inflateSync(bytes, bound);
    case 'br':
      return brotliDecompressSync(bytes, bound);
    case 'zstd':
      return zstdDecompressSync(bytes, bound);
    default:
      throw new Error('unknown content coding');
  }
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
