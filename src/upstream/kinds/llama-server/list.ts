// Reads the models of llama-server. It has one, or, as a router, all that it can load, each with its status (tools/server/README.md,
// "Using multiple models").
import { isCount, mostContext } from '../../counts.ts';
import { entryOf, readJson } from '../../json-route.ts';
import type { Fields, Listed, UpstreamKind } from '../../kind.ts';
import { listedOf, v1ModelsOf } from '../../v1-models.ts';

const owner = 'llamacpp';

/** Undefined if it is not llama-server, which owns every model that it lists. */
export const allModels: UpstreamKind['models'] = (...asked) => v1ModelsOf(owner, listed, ...asked);

/** A sleeping model is not in memory: the next call loads it again. */
export const loadedModels: UpstreamKind['loaded'] = async (server, signal, via) => {
  const found = (await v1ModelsOf(owner, (entry) => (isLoaded(entry) ? listed(entry) : []), server, signal, via)) ?? [];
  const isOne = found.length === 1 && statusOf(found[0]?.openai) === undefined;
  if (!isOne) return found;
  const props = entryOf(await readJson(server, '/props', signal, via));
  return props?.['is_sleeping'] === true ? [] : found;
};

/** A server with one model writes no status. */
const isLoaded = (entry: Fields): boolean => ['loaded', undefined].includes(statusOf(entry));

function statusOf(entry: Fields | undefined): string | undefined {
  const value = entryOf(entry?.['status'])?.['value'];
  return typeof value === 'string' ? value : undefined;
}

/** `architecture` says what goes in and comes out (b11549); whether a template has tools is not said. */
function capabilitiesOf(entry: Fields): string[] | undefined {
  const { input_modalities: input, output_modalities: output } = entryOf(entry['architecture']) ?? {};
  if (!Array.isArray(input) || !Array.isArray(output)) return undefined;
  return [...(output.includes('text') ? ['completion'] : []), ...(input.includes('image') ? ['vision'] : [])];
}

function listed(entry: Fields): Listed[] {
  const { size, n_ctx: context, ftype } = entryOf(entry['meta']) ?? {};
  return listedOf(entry, {
    size: isCount(size, Number.MAX_SAFE_INTEGER) ? size : null,
    isLoaded: isLoaded(entry),
    capabilities: capabilitiesOf(entry),
    context: isLoaded(entry) && isCount(context, mostContext) ? context : undefined,
    details: { format: 'gguf', quantization_level: typeof ftype === 'string' ? ftype : '' },
  });
}
