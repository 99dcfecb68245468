// An error of a model server's, said anew: of its body, decoded and bounded, a sentence, a type, a code and a field are read,
// and spelled as the caller's family spells them. Nothing else of it goes on, since an error says what its author knew:
// addresses inside, and what a proxy was shown to be let in. Both an error's whole body and one in mid-stream are read here.
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import type { Screen } from '../../upstream/screen.ts';
import { anthropicType } from '../dialects/anthropic/errors.ts';
import { openaiType } from '../dialects/openai/errors.ts';
import type { Exchange } from '../exchange.ts';
import { isSaid } from '../meter/token-counts.ts';
import type { Dialect } from '../operation.ts';

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
  return isSaid(value['error']) || value['type'] === 'error' || value['object'] === 'error';
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

/** As the family of the caller spells it, with what Ollama's own server would add and leave out. */
export function spellModelError(error: ModelError, dialect: Dialect, status: number, requestId: string): string {
  const { message, type, code, param } = error;
  switch (dialect) {
    case 'ollama':
      return JSON.stringify({ error: message });
    case 'openai': {
      const inner = { message, type: type ?? openaiType(status), param: param ?? null, code: code ?? null };
      return `${JSON.stringify({ error: inner })}\n`;
    }
    case 'anthropic': {
      const inner = { type: type ?? anthropicType(status), message };
      return `${JSON.stringify({ type: 'error', error: inner, request_id: requestId })}\n`;
    }
  }
}

/** The same as a last frame of a stream of events. */
export function frameModelError(
  error: ModelError,
  exchange: Pick<Exchange, 'dialect' | 'id' | 'operation'>,
  status: number,
): string {
  if (exchange.operation?.reply === 'openai-responses') {
    const { message, code, param } = error;
    const event = { type: 'error', code: code ?? null, message, param: param ?? null, request_id: exchange.id };
    return `event: error\ndata: ${JSON.stringify(event)}\n\n`;
  }
  const data = spellModelError(error, exchange.dialect, status, exchange.id).trimEnd();
  return `${exchange.dialect === 'anthropic' ? 'event: error\n' : ''}data: ${data}\n\n`;
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
