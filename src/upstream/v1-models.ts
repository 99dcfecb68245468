// Reads OpenAI's list of models (/v1/models), for every kind that has it. Each entry is also given in the format of Ollama's
// list.
import { isCount, mostContext } from './counts.ts';
import { entriesOf, entryOf, readJson } from './json-route.ts';
import type { Fields, Listed, UpstreamKind } from './kind.ts';

/** Undefined if the server does not have the route. */
export const v1Models: UpstreamKind['models'] = async (server, signal, via) =>
  (await v1Entries(server, signal, via))?.flatMap((entry) => listedOf(entry));

/** The list of a server whose entries say who owns them; undefined if it is of another kind. */
export async function v1ModelsOf(
  owner: string,
  listed: (entry: Fields) => readonly Listed[],
  ...[server, signal, via]: Parameters<UpstreamKind['models']>
): Promise<readonly Listed[] | undefined> {
  const entries = await v1Entries(server, signal, via);
  return entries?.some((entry) => entry['owned_by'] === owner) ? entries.flatMap(listed) : undefined;
}

async function v1Entries(...[server, signal, via]: Parameters<UpstreamKind['models']>): Promise<Fields[] | undefined> {
  const found = await readJson(server, '/v1/models', signal, via);
  return found
    ? entriesOf(found, 'data')
        .map(entryOf)
        .filter((entry) => entry !== undefined)
    : undefined;
}

/** What a server says of a model beside its name. */
export type Facts = Pick<Listed, 'context' | 'isLoaded' | 'capabilities'> & {
  readonly size?: number | null;
  /** For Ollama's `details`. */
  readonly details?: Fields;
};

/** A model of vLLM or SGLang, whose lists give the longest context. */
export function listedWithLength(entry: Fields): Listed[] {
  const context = entry['max_model_len'];
  return listedOf(entry, { context: isCount(context, mostContext) ? context : undefined });
}

export function listedOf(
  entry: Fields,
  { size = null, context, isLoaded, capabilities, details = {} }: Facts = {},
): Listed[] {
  const name = entry['id'];
  if (typeof name !== 'string') return [];
  const ollama = inOllamasWords(name, entry, size ?? 0, details);
  return [{ name, size, isRemote: false, digest: undefined, context, isLoaded, capabilities, ollama, openai: entry }];
}

function inOllamasWords(name: string, entry: Fields, size: number, more: Fields): Fields {
  const created = typeof entry['created'] === 'number' && entry['created'] < 1e11 ? entry['created'] : 0;
  const details = {
    parent_model: '',
    format: '',
    family: '',
    families: null,
    parameter_size: '',
    quantization_level: '',
    ...more,
  };
  const modifiedAt = new Date(Math.max(0, created) * 1000).toISOString();
  return { name, model: name, modified_at: modifiedAt, size, digest: '', details };
}
