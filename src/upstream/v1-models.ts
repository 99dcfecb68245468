// Reads OpenAI's list of models (/v1/models), for every kind that has it. Each entry is also given in the format of Ollama's
// list.
import { entriesOf, entryOf, readJson } from './json-route.ts';
import type { Fields, Listed, UpstreamKind } from './kind.ts';

/** Undefined if the server does not have the route. */
export const v1Models: UpstreamKind['models'] = async (server, signal, via) => {
  const found = await readJson(server, '/v1/models', signal, via);
  return found ? entriesOf(found, 'data').flatMap(listedOf) : undefined;
};

function listedOf(value: unknown): Listed[] {
  const entry = entryOf(value);
  const name = entry?.['id'];
  if (!entry || typeof name !== 'string') return [];
  return [{ name, size: null, isRemote: false, digest: undefined, ollama: inOllamasWords(name, entry), openai: entry }];
}

function inOllamasWords(name: string, entry: Fields): Fields {
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
  return { name, model: name, modified_at: modifiedAt, size: 0, digest: '', details };
}
