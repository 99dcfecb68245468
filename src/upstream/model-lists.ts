// What models a server has, or has loaded, from whichever list it keeps: Ollama's, or that of OpenAI's family, which servers
// such as vLLM have alone. Each entry comes in both families' words.
import type { Dispatcher } from 'undici';
import { readWhole } from './bounded-answer.ts';

export interface ListServer {
  readonly dispatcher: Pick<Dispatcher, 'request'>;
  readonly basePath: string;
  readonly pass: { readonly headers: readonly string[] };
  /** Which list it keeps, as far as that is known. */
  lists: 'ollama' | 'openai' | undefined;
}

export type Fields = Readonly<Record<string, unknown>>;

export interface Listed {
  readonly name: string;
  readonly ollama: Fields;
  readonly openai: Fields;
}

/** What is longer than either is no list: to read it would hold everybody up, at every look and every call. */
export const mostListBytes = 4 * 1024 * 1024;
export const mostListed = 10_000;

/** It answers, but with no list. */
export class NoList extends Error {
  override readonly name = 'NoList';
}

/** A server has no such route. */
const missing = new Set([404, 405, 501]);

/**
 * @throws where it cannot be reached, answers with an error, or says what is no list. A server that keeps no list of what
 * is running has none running.
 */
export async function listFrom(
  server: ListServer,
  which: 'all' | 'running',
  signal: AbortSignal,
  via: readonly string[] = [],
): Promise<readonly Listed[]> {
  if (which === 'running') {
    const found = server.lists === 'openai' ? undefined : await read(server, '/api/ps', signal, via);
    return found ? entriesOf(found, 'models').flatMap(fromOllama) : [];
  }
  if (server.lists !== 'openai') {
    const found = await read(server, '/api/tags', signal, via);
    if (found) {
      const entries = entriesOf(found, 'models').flatMap(fromOllama);
      server.lists = 'ollama';
      return entries;
    }
  }
  const found = await read(server, '/v1/models', signal, via);
  if (!found) {
    // It may be another server by now.
    server.lists = undefined;
    throw new NoList('it keeps no list of models');
  }
  const entries = entriesOf(found, 'data').flatMap(fromOpenai);
  server.lists = 'openai';
  return entries;
}

/** The JSON of a route; undefined where the server does not have it. */
async function read(server: ListServer, path: string, signal: AbortSignal, via: readonly string[]): Promise<unknown> {
  const answer = await server.dispatcher.request({
    method: 'GET',
    path: server.basePath + path,
    headers: [...via, ...server.pass.headers],
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
function entriesOf(list: unknown, name: 'models' | 'data'): readonly unknown[] {
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

function fromOllama(entry: unknown): Listed[] {
  if (!isFields(entry) || !isShallow(entry)) return [];
  const name = entry['name'] ?? entry['model'];
  if (typeof name !== 'string') return [];
  const at = Date.parse(String(entry['modified_at']));
  const created = Number.isNaN(at) ? 0 : Math.floor(at / 1000);
  // Where it is answered from stays with it, since a key may not see what leaves this machine.
  const remote = Object.fromEntries(
    ['remote_host', 'remote_model'].flatMap((each) => (entry[each] ? [[each, entry[each]]] : [])),
  );
  return [{ name, ollama: entry, openai: { id: name, object: 'model', created, owned_by: 'library', ...remote } }];
}

function fromOpenai(entry: unknown): Listed[] {
  if (!isFields(entry) || typeof entry['id'] !== 'string' || !isShallow(entry)) return [];
  const name = entry['id'];
  const created = typeof entry['created'] === 'number' && entry['created'] < 1e11 ? entry['created'] : 0;
  const details = {
    parent_model: '',
    format: '',
    family: '',
    families: null,
    parameter_size: '',
    quantization_level: '',
  };
  const modifiedAt = new Date(Math.max(0, created) * 1000).toISOString();
  const ollama = { name, model: name, modified_at: modifiedAt, size: 0, digest: '', details };
  return [{ name, ollama, openai: entry }];
}
