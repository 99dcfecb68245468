// What a real Ollama 0.33.0 sent, as templates: test/fixtures holds two recordings of it, made by record.ts and, in
// wire-recorder/, by a second recorder with a second build. Answers are made by putting the figures of a request into these,
// so that the order of fields, the headers and the chunk boundaries are the server's own.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GoObject, isObject } from './go-json.ts';

export interface Recording {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** Header lines that the recorder sent, beside those of every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly status: number;
  /** Status line and headers as they came, without the final empty line. */
  readonly head: string;
  /** One for each HTTP chunk; the whole body if it has a length. */
  readonly chunks: readonly string[];
  /** What the recorder did to the body, if anything. */
  readonly notes: readonly string[];
}

/** The fields of both recorders' files that are read here. */
interface FixtureFile {
  name?: string;
  case?: string;
  request: { method: string; path: string; headers?: Record<string, string>; body: string };
  response: { head?: string; statusLine?: string; headerBlock?: string; chunks?: string[]; body?: string };
  notes?: string[];
}

const directory = join(import.meta.dirname, '../fixtures/ollama-0.33.0');
export const recordings: readonly Recording[] = load(directory);
export const wireRecordings: readonly Recording[] = load(join(directory, 'wire-recorder'));
const byName = new Map(recordings.map((recording) => [recording.name, recording]));

function load(from: string): Recording[] {
  return readdirSync(from)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => {
      const {
        request,
        response,
        notes = [],
        ...rest
      } = JSON.parse(readFileSync(join(from, file), 'utf8')) as FixtureFile;
      const head = response.head ?? `${response.statusLine}\r\n${response.headerBlock}`.trim();
      return {
        name: rest.name ?? rest.case ?? file,
        method: request.method,
        path: request.path,
        headers: request.headers ?? {},
        body: request.body,
        status: Number(head.split(' ')[1]),
        head,
        chunks: response.chunks ?? (response.body === '' ? [] : [response.body ?? '']),
        notes,
      };
    });
}

/** One of the recordings by record.ts. */
export function recorded(name: string): Recording {
  const found = byName.get(name);
  if (!found) throw new Error(`no recording is called ${name}`);
  return found;
}

/** The header lines that a handler set: without the date, the framing and the hop-by-hop ones. */
export function recordedHeaders(name: string): Record<string, string> {
  const lines = recorded(name).head.split('\r\n').slice(1);
  const pairs = lines.map((line): [string, string] => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 2),
  ]);
  return Object.fromEntries(pairs.filter(([key]) => !/^(?:date|content-length|transfer-encoding)$/i.test(key)));
}

/** The JSON of one chunk: an NDJSON line, the first SSE event of a chunk, or a whole body. */
export function recordedJson(name: string, index: number): GoObject {
  const chunk = recorded(name).chunks.at(index) ?? '';
  const value: unknown = JSON.parse(/^data: (.*)$/m.exec(chunk)?.[1] ?? chunk);
  if (!isObject(value)) throw new Error(`${name}[${index}] is no object`);
  return value;
}

/** Every `data:` object of a recorded event stream, in order. */
export function recordedEvents(name: string): GoObject[] {
  return [
    ...recorded(name)
      .chunks.join('')
      .matchAll(/^data: (\{.*)$/gm),
  ].map((match) => JSON.parse(match[1] ?? '') as GoObject);
}
