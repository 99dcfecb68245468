// Asks a route of a model server for JSON, and takes lists out of what comes. Bounded in length, number and depth: what a
// server says is read at every probe and for every caller who asks for a list.
import { readWhole } from './bounded-answer.ts';
import type { Fields, Reached } from './kind.ts';

/** What is longer than either is no list: to read it would hold everybody up. */
export const mostListBytes = 4 * 1024 * 1024;
export const mostListed = 10_000;

/** It answers, but with no list. */
export class NoList extends Error {
  override readonly name = 'NoList';
}

/** A server has no such route. */
const missing = new Set([404, 405, 501]);

/** The JSON of a route; undefined where the server does not have it. @throws NoList for any other answer below 500. */
export async function readJson(
  server: Reached,
  path: string,
  signal: AbortSignal,
  via: readonly string[],
): Promise<unknown> {
  const answer = await server.dispatcher.request({
    method: 'GET',
    path: server.basePath + path,
    headers: [...via, ...server.credentials.headers],
    // The signal bounds it in time.
    headersTimeout: 0,
    bodyTimeout: 0,
    signal,
  });
  const bytes = await readWhole(answer.body, mostListBytes);
  if (missing.has(answer.statusCode)) return undefined;
  if (answer.statusCode >= 500) throw new Error(`it answers ${answer.statusCode}`);
  if (answer.statusCode !== 200) throw new NoList(`it answers ${answer.statusCode}`);
  return JSON.parse(bytes.toString('utf8'));
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** @throws where that is no list; `null` is one without models to Go. */
export function entriesOf(list: unknown, name: string): readonly unknown[] {
  const entries = isFields(list) ? list[name] : undefined;
  if (entries === null) return [];
  if (!Array.isArray(entries)) throw new NoList('its model list is none');
  if (entries.length > mostListed) throw new Error('its model list is too long');
  return entries;
}

/** No entry is deeper than that, and not every client can read one that is. */
const mostDepth = 16;

const isShallow = (value: unknown, depth = mostDepth): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (depth > 0 && Object.values(value).every((each) => isShallow(each, depth - 1)));

/** The entry where it can be one; undefined for anything else. */
export const entryOf = (value: unknown): Fields | undefined =>
  isFields(value) && isShallow(value) ? value : undefined;
