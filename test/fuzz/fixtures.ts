// The seeds of the corpora: texts with Go's verdicts, and recorded requests and answers of a real Ollama.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = join(import.meta.dirname, '../fixtures');

interface Recording {
  readonly request: { readonly path: string; readonly body?: string };
  readonly response: { readonly chunks?: readonly string[]; readonly body?: string };
}

export const jsonTexts = (
  JSON.parse(readFileSync(join(directory, 'json-texts.json'), 'utf8')) as { text: string }[]
).map(({ text }) => text);

const recorded = join(directory, 'ollama-0.33.0');
const recordings = readdirSync(recorded)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(recorded, name), 'utf8')) as Recording);

/** Request bodies, with the path that each was sent to. */
export const requestBodies = recordings.flatMap(({ request }) =>
  request.body ? [{ path: request.path, body: request.body }] : [],
);

/** Whole answers, with the path of the call. */
export const answers = recordings.map(({ request, response }) => ({
  path: request.path,
  body: response.chunks?.join('') ?? response.body ?? '',
}));
