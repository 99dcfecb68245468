// Reads an error of a model server's: of its body, decoded and bounded, a sentence, a type, a code and a field, which the
// caller's dialect then spells. Nothing else of it goes on, since an error says what its author knew: addresses inside, and
// what a proxy was shown to be let in. Both an error's whole body and one in mid-stream are read here.
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import type { Screen } from '../../upstream/screen.ts';
import { reportsError } from '../meter/token-counts.ts';

export interface ModelError {
  readonly message: string;
  readonly type: string | undefined;
  readonly code: string | number | undefined;
  readonly param: string | undefined;
}

/** What is read of an error at most, packed and unpacked. */
export const mostErrorBytes = 64 * 1024;

type Fields = Readonly<Record<string, unknown>>;

/** Of the body of an answer with an error's status. `bytes` is undefined where there was more than can be an error. */
export function readError(
  bytes: Buffer | undefined,
  coding: string | undefined,
  status: number,
  screen: Screen,
): ModelError {
  const text = bytes && decode(bytes, coding);
  const value = text === undefined ? undefined : parse(text);
  if (isFields(value)) return errorOf(value, status, screen);
  // Some say it in plain words, and proxies in pages.
  const plain = value === undefined ? text : value;
  const isPlain = typeof plain === 'string' && plain.length <= 500 && !notPlain.test(plain);
  const words = isPlain ? plain.trim() : '';
  return { message: sentenceOf(words, status, screen), type: undefined, code: undefined, param: undefined };
}

const notPlain = /[<>\ufffd]|(?![\n\r\t])\p{Cc}/u;

/** Of a whole answer that is no error by its status: undefined where it is none by its body either. */
export function findError(
  bytes: Buffer,
  coding: string | undefined,
  status: number,
  screen: Screen,
): ModelError | undefined {
  // Most answers are none, and are not taken apart to know it.
  if (coding === undefined && !bytes.includes(mark)) return undefined;
  const text = decode(bytes, coding);
  const value = text !== undefined && text.includes('"error"') ? parse(text) : undefined;
  return isFields(value) && isError(value) ? errorOf(value, status, screen) : undefined;
}

const mark = Buffer.from('"error"');

export function isError(value: Fields): boolean {
  return reportsError(value['error']) || value['type'] === 'error' || value['object'] === 'error';
}

/** The error in an object that is one. */
export function errorOf(value: Fields, status: number, screen: Screen): ModelError {
  const inner = isFields(value['error']) ? value['error'] : value;
  const said = [value['error'], inner['message'], inner['error'], value['message'], detailOf(value['detail'])];
  const code = inner['code'];
  return {
    message: sentenceOf(
      said.find((each): each is string => typeof each === 'string' && each !== '') ?? '',
      status,
      screen,
    ),
    type: inner['type'] === 'error' ? undefined : screen.word(inner['type']),
    code: typeof code === 'number' && Number.isSafeInteger(code) ? code : screen.word(code),
    param: screen.word(inner['param']),
  };
}

function sentenceOf(said: string, status: number, screen: Screen): string {
  const sentence = said === '' ? undefined : screen.sentence(said);
  if (sentence !== undefined && sentence !== '') return sentence;
  return status >= 400 ? `The model server answered with status ${status}.` : 'The model server failed.';
}

/** FastAPI's: a sentence, or a list of what is wrong. */
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

/** @throws where it is not packed like that, or becomes more than an error can be. */
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
      throw new Error('a coding that nobody knows');
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
