// Reads JSON from a route of a model server, and lists from the JSON. All of it is bounded in length, number and depth,
// because lists are read at every probe and for every caller who asks for one.
import type { Dispatcher } from 'undici';
import { readWhole } from './bounded-answer.ts';
import type { Fields, Reached } from './kind.ts';
import { isFlood, waitOf } from './retry-after.ts';

/** Longer lists are refused: reading them would hold up every other call. */
export const mostListBytes = 4 * 1024 * 1024;
export const mostListed = 10_000;

/** The server answers, but without a list. */
export class NoList extends Error {
  override readonly name: string = 'NoList';
}

/** The server answers that it is loading its model. Calls wait for it, or go elsewhere. */
export class Loading extends Error {
  override readonly name = 'Loading';
}

/** The server does not accept what the gateway presents: its API key or client certificate. */
export class Refused extends NoList {
  override readonly name: string = 'Refused';
}

/** The server asks to be left alone. */
export class Busy extends Error {
  override readonly name = 'Busy';
  readonly waitMs: number;

  constructor(status: number, retryAfter: string | undefined) {
    const { waitMs, words } = waitOf(retryAfter);
    super(`it answers ${status}, and asks to be left alone for ${words}`);
    this.waitMs = waitMs;
  }
}

/** Statuses of a server that does not have the route. */
const missing = new Set([404, 405, 501]);

/**
 * The JSON of a route; undefined if the server does not have the route. @throws NoList for any other error below 500;
 * Refused, Busy and Loading.
 */
export function readJson(server: Reached, path: string, signal: AbortSignal, via: readonly string[]): Promise<unknown> {
  const known = server.read?.get(path);
  if (known) return known;
  const found = readAnew(server, path, signal, via);
  server.read?.set(path, found);
  return found;
}

async function readAnew(server: Reached, path: string, signal: AbortSignal, via: readonly string[]): Promise<unknown> {
  const answer = await server.dispatcher.request({
    method: 'GET',
    path: server.basePath + path,
    headers: [...via, ...server.credentials.headers],
    // `signal` limits the time.
    headersTimeout: 0,
    bodyTimeout: 0,
    signal,
  });
  const bytes = await readWhole(answer.body, mostListBytes);
  if (missing.has(answer.statusCode)) return undefined;
  // llama.cpp answers every route so until its model is loaded (tools/server/server-http.cpp).
  if (answer.statusCode === 503 && bytes.includes('"Loading model"')) throw new Loading('it is loading its model');
  refuseUnwilling(answer);
  if (answer.statusCode !== 200) throw new NoList(`it answers ${answer.statusCode}`);
  return parsed(bytes);
}

/** @throws Error whose message has nothing of the text: a server can repeat the secret that it was shown. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Error('its answer is not JSON');
  }
}

/** @throws Refused, Busy, or an error for any other status above 499. */
function refuseUnwilling({ statusCode: status, headers }: Dispatcher.ResponseData): void {
  if (status === 401 || status === 403) throw new Refused(`it refuses the gateway with ${status}`);
  const after = headers['retry-after'];
  const retryAfter = typeof after === 'string' ? after : undefined;
  if (isFlood(status, retryAfter)) throw new Busy(status, retryAfter);
  if (status >= 500) throw new Error(`it answers ${status}`);
}

/** @throws if the server answers the route with a status above 499. */
export async function refuseFailing(server: Reached, path: string, signal: AbortSignal): Promise<void> {
  const answer = await server.dispatcher.request({
    method: 'GET',
    path: server.basePath + path,
    headers: [...server.credentials.headers],
    headersTimeout: 0,
    bodyTimeout: 0,
    signal,
  });
  await readWhole(answer.body, mostListBytes);
  if (answer.statusCode >= 500) throw new Error(`${path} answers ${answer.statusCode}`);
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** @throws if it is no list. Go writes a list without entries as `null`. */
export function entriesOf(list: unknown, name: string): readonly unknown[] {
  const entries = isFields(list) ? list[name] : undefined;
  if (entries === null) return [];
  if (!Array.isArray(entries)) throw new NoList('its model list is not a list');
  if (entries.length > mostListed) throw new Error('its model list is too long');
  return entries;
}

/** Real entries are less deep, and some clients cannot read deeper ones. */
const mostDepth = 16;

const isShallow = (value: unknown, depth = mostDepth): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (depth > 0 && Object.values(value).every((each) => isShallow(each, depth - 1)));

/** The value if it can be an entry; undefined for anything else. */
export const entryOf = (value: unknown): Fields | undefined =>
  isFields(value) && isShallow(value) ? value : undefined;
