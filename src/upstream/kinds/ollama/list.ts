// Reads Ollama's lists of all models (/api/tags) and of loaded ones (/api/ps). Each entry is also given in the format of
// OpenAI's list, as Ollama's own /v1/models would write it.
import { entriesOf, entryOf, readJson } from '../../json-route.ts';
import type { Fields, Listed, UpstreamKind } from '../../kind.ts';

/** Undefined if the server does not have the route, or only imitates it. */
export const allModels: UpstreamKind['models'] = async (server, signal, via) => {
  const found = await readJson(server, '/api/tags', signal, via);
  if (isLlamas(found) || isSglangs(found)) return undefined;
  return found ? entriesOf(found, 'models').flatMap(listedOf) : undefined;
};

/** Older versions of llama-server have this route too, and list their model in OpenAI's format beside Ollama's. */
function isLlamas(list: unknown): boolean {
  const data = entryOf(list)?.['data'];
  return Array.isArray(data) && entryOf(data[0])?.['owned_by'] === 'llamacpp';
}

/** SGLang has Ollama's chat and lists, without tools, thinking or pulls (srt/entrypoints/ollama/serving.py, get_tags). */
function isSglangs(list: unknown): boolean {
  const models = entryOf(list)?.['models'];
  return Array.isArray(models) && entryOf(entryOf(models[0])?.['details'])?.['format'] === 'sglang';
}

export const loadedModels: UpstreamKind['loaded'] = async (server, signal, via) => {
  const found = await readJson(server, '/api/ps', signal, via);
  return found ? entriesOf(found, 'models').flatMap(listedOf) : [];
};

/** These fields are kept in both formats, because a key may not be allowed to see models of other machines. */
const remoteFields = ['remote_host', 'remote_model'];

function listedOf(value: unknown): Listed[] {
  const entry = entryOf(value);
  const name = entry?.['name'] ?? entry?.['model'];
  if (!entry || typeof name !== 'string') return [];
  const { size, digest } = entry as { size?: unknown; digest?: unknown };
  const remote = remoteFields.filter((field) => entry[field]).map((field) => [field, entry[field]] as const);
  return [
    {
      name,
      size: Number.isSafeInteger(size) ? (size as number) : null,
      isRemote: remote.length > 0,
      digest: typeof digest === 'string' && digest !== '' ? digest : undefined,
      ollama: entry,
      openai: {
        id: name,
        object: 'model',
        created: createdAt(entry),
        owned_by: 'library',
        ...Object.fromEntries(remote),
      },
    },
  ];
}

/** Unix seconds. */
function createdAt(entry: Fields): number {
  const at = Date.parse(String(entry['modified_at']));
  return Number.isNaN(at) ? 0 : Math.floor(at / 1000);
}
