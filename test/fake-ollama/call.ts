// What every default answer needs: the request's JSON as Go would have parsed it, answers with the recorded headers, errors
// spelled by route family, the model looked up in Ollama's order, and a generation that counts what it sends and stops when
// the reader is gone.

import type { Answer, Headers } from './exchange.ts';
import type { FakeModel, FakeOllama, FakeRequest } from './fake-ollama.ts';
import { type GoObject, goJson, goKind } from './go-json.ts';
import { isProblem, type NameProblem, type ReadName, readName, sameModel } from './model-name.ts';
import { recordedHeaders, recordedJson } from './recordings.ts';

export interface Call {
  readonly request: FakeRequest;
  readonly answer: Answer;
  readonly fake: FakeOllama;
  /** The decoded path, without its query. */
  readonly path: string;
  readonly body: GoObject;
  /** The headers that CORS adds to every answer. */
  readonly extra: Headers;
}
export type Route = (call: Call) => void | Promise<void>;

export const json = recordedHeaders('version');
/** Ollama's /v1 middleware writes JSON without the charset, and with a line feed after it. */
export const v1Json = recordedHeaders('v1-chat');
export const ndjson = recordedHeaders('chat-stream');
export const events = recordedHeaders('v1-chat-stream');
/** Responses and messages name their events and forbid caching. */
export const namedEvents = recordedHeaders('v1-messages-stream');
export const plain = recordedHeaders('unknown');

/** The size of Go's buffer, beyond which a body without a length becomes chunked. */
const bufferBytes = 2048;

/** A whole answer as Go frames it: with a length while it fits the buffer, and in one chunk beyond. */
export async function reply(
  { answer, request, extra }: Call,
  status: number,
  headers: Headers,
  body: string,
): Promise<void> {
  const all = inGoOrder({ ...headers, ...extra });
  if (Buffer.byteLength(body) <= bufferBytes) return answer.whole(status, all, body);
  answer.head(status, all);
  if (request.method !== 'HEAD') await answer.chunk(body);
  return answer.end();
}

/** The head of a stream; Ollama sends it with the first piece, never before. */
export function startStream({ answer, extra }: Call, headers: Headers): void {
  answer.head(200, inGoOrder({ ...headers, ...extra }));
}

/** Go writes the header map sorted by name. */
function inGoOrder(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

export function wholeV1(call: Call, value: unknown): Promise<void> {
  return reply(call, 200, v1Json, `${goJson(value)}\n`);
}

export type Family = 'native' | 'openai' | 'anthropic';
export function familyOf(path: string): Family {
  if (path === '/v1/messages') return 'anthropic';
  return path.startsWith('/v1/') ? 'openai' : 'native';
}

/**
 * An error of the handler behind the middleware: /v1 rewrites it, on top of the headers that the handler had set.
 */
export function fail(call: Call, status: number, message: string): Promise<void> {
  const family = familyOf(call.path);
  // The cloud is refused by a middleware of its own, which knows only the native family.
  if (family === 'native' || status === 403) return reply(call, status, json, goJson({ error: message }));
  const named = call.body['stream'] === true && (family === 'anthropic' || call.path === '/v1/responses');
  const headers = named ? { ...namedEvents, ...v1Json } : v1Json;
  return reply(call, status, headers, `${goJson(spell(family, status, message))}\n`);
}

/** An error of the middleware itself, before any handler: with the charset, without the line feed. */
export function failEarly(call: Call, status: number, message: string): Promise<void> {
  const family = familyOf(call.path);
  return reply(call, status, json, goJson(family === 'native' ? { error: message } : spell(family, status, message)));
}

function spell(family: 'openai' | 'anthropic', status: number, message: string): GoObject {
  if (family === 'openai') {
    const type = status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error';
    return { error: { message, type, param: null, code: null } };
  }
  const types: Record<number, string> = {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    429: 'rate_limit_error',
    503: 'overloaded_error',
    529: 'overloaded_error',
  };
  return { type: 'error', error: { type: types[status] ?? 'api_error', message }, request_id: randomId('req') };
}

/** Anthropic-shaped ids: 12 random bytes in hex. */
export function randomId(prefix: string): string {
  return `${prefix}_${Array.from({ length: 24 }, () => Math.floor(Math.random() * 16).toString(16)).join('')}`;
}

export function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}

export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Now, as Go writes it: up to nine decimals, without trailing zeros. */
export function goNow(): string {
  const nanos = String(randomBelow(1_000_000)).padStart(6, '0');
  return `${new Date().toISOString().slice(0, -1)}${nanos}`.replace(/0+$/, '').concat('Z');
}

export interface Missing {
  readonly status: number;
  readonly message: string;
}
export interface Found {
  readonly name: ReadName;
  readonly model: FakeModel;
}

/** Finds the requested model; `absent` is how this route reports a missing name or model. */
export function findModel(
  call: Call,
  raw: unknown,
  absent: { readonly noName: Missing; readonly notThere: (read: ReadName) => Missing },
): Found | { readonly missing: Missing } {
  const read = readName(textOf(raw));
  if (isProblem(read)) return { missing: read.kind === 'missing' ? absent.noName : badName(read) };
  const model = call.fake.models.find(({ name }) => isSame(read, name));
  if (!model && read.cloud && call.fake.cloud.disabled) return { missing: cloudModelRefused(call) };
  return model ? { name: read, model } : { missing: absent.notThere(read) };
}

/**
 * A model that a test named without any other facts. Ollama has none such: its lists then omit the details, and calls
 * are not refused for want of tools or messages. The journeys about permission rely on this.
 */
export function isBare(model: FakeModel): boolean {
  return Object.keys(model).every((key) => key === 'name' || key === 'remoteHost');
}

/**
 * Whether to refuse a conversation without messages. Ollama checks that before it looks for the model; here a missing
 * model comes first, because the journeys compare hidden and missing models with such calls.
 */
export function lacksMessages({ body }: Call, found: Found | { readonly missing: Missing }): boolean {
  const { model: raw, messages } = body;
  if (Array.isArray(messages) && messages.length > 0) return false;
  return 'missing' in found ? textOf(raw).trim() === '' || found.missing.status === 400 : !isBare(found.model);
}

/** A field that should be text, for a route that read it with other rules than its type's. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A cloud model that the test lists is answered like any other; the others get this error. */
function cloudModelRefused({ path }: Call): Missing {
  const details = path === '/api/show' || path.startsWith('/v1/models/');
  return {
    status: 403,
    message: cloudIsOff(details ? 'remote model details are unavailable' : 'remote model is unavailable'),
  };
}

export function cloudIsOff(what: string): string {
  return `ollama cloud is disabled: ${what}`;
}

function badName({ text }: NameProblem): Missing {
  return { status: 400, message: text };
}

function isSame(read: ReadName, other: string): boolean {
  const name = readName(other);
  return !isProblem(name) && sameModel(read, name);
}

/** Go's error for the first field of a wrong type, if there is one. */
export function wrongField(
  body: GoObject,
  goStruct: string,
  fields: Readonly<Record<string, string>>,
): string | undefined {
  for (const [key, goType] of Object.entries(fields)) {
    const value = body[key];
    if (value === undefined || value === null) continue;
    const fits = goType.startsWith('[]')
      ? Array.isArray(value)
      : goKind(value) === (goType === 'int' ? 'number' : goType);
    if (!fits)
      return `json: cannot unmarshal ${goKind(value)} into Go struct field ${goStruct}.${key} of type ${goType}`;
  }
  return undefined;
}

export interface Spoken {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly text: string;
  readonly reason: 'stop' | 'length';
  /** False: the caller left before the last piece, and nothing more is sent. */
  readonly heard: boolean;
}

/** What loading a model amounts to. */
export const silence: Spoken = { promptTokens: 0, completionTokens: 0, text: '', reason: 'stop', heard: true };

/**
 * Sends the pieces one after the other, at most `limit` of them, counting the prompt at once and each piece as it is
 * sent. Without `send` they are only collected. Stops at the first piece that no reader takes.
 */
export async function speak(
  { fake, request }: Call,
  prompt: unknown,
  limit: unknown,
  send: (piece: string, index: number) => Promise<boolean> = () => Promise.resolve(true),
): Promise<Spoken> {
  const promptTokens = fake.countPrompt(prompt);
  fake.totals.promptTokens += promptTokens;
  const limited = typeof limit === 'number' && limit > 0 && limit <= fake.pieces.length;
  const pieces = limited ? fake.pieces.slice(0, limit) : fake.pieces;
  let completionTokens = 0;
  for (const [index, piece] of pieces.entries()) {
    await fake.pace?.(index, request);
    if (fake.pieceDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, fake.pieceDelayMs));
    if (request.state.aborted || !(await send(piece, index))) break;
    completionTokens++;
    fake.totals.completionTokens++;
  }
  const heard = completionTokens === pieces.length && !request.state.aborted;
  return { promptTokens, completionTokens, text: pieces.join(''), reason: limited ? 'length' : 'stop', heard };
}

/** Every answer has the durations of one recorded answer, so that tests know them. */
export function metrics({ promptTokens, completionTokens }: Spoken): GoObject {
  const { total_duration, load_duration, prompt_eval_duration, eval_duration } = recordedJson('chat-stream', -1);
  return {
    total_duration,
    load_duration,
    ...omitZero({ prompt_eval_count: promptTokens }),
    prompt_eval_duration,
    ...omitZero({ eval_count: completionTokens }),
    eval_duration,
  };
}

/** Go's omitempty. */
export function omitZero(values: Record<string, number>): GoObject {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== 0));
}
