// LM Studio from 0.4 on, by its documentation (/api/v1/models). Older versions are servers with /v1/models like any other.
import { isCount, mostContext } from '../../counts.ts';
import { GaugeDetails } from '../../gauge-details.ts';
import { entriesOf, entryOf, readJson } from '../../json-route.ts';
import type { Fields, Listed, UpstreamKind } from '../../kind.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { listedOf } from '../../v1-models.ts';

/** Undefined if it has no such list, or one of another kind. */
const models: UpstreamKind['models'] = async (...asked) => (await entriesAt(...asked))?.flatMap(listed);

async function entriesAt(...[server, signal, via]: Parameters<UpstreamKind['models']>): Promise<Fields[] | undefined> {
  const found = entryOf(await readJson(server, '/api/v1/models', signal, via));
  // It answers routes that it does not have with a 200 and an error.
  if (!found || !('models' in found)) return undefined;
  const entries = entriesOf(found, 'models')
    .map(entryOf)
    .filter((entry) => entry !== undefined);
  return entries.every((entry) => Array.isArray(entry['loaded_instances'])) ? entries : undefined;
}

const instancesOf = (entry: Fields): readonly unknown[] => entry['loaded_instances'] as readonly unknown[];

function listed(entry: Fields): Listed[] {
  const { key, publisher, size_bytes: size, format, params_string: parameters, quantization } = entry;
  const context = entryOf(entryOf(instancesOf(entry)[0])?.['config'])?.['context_length'];
  const level = entryOf(quantization)?.['name'];
  return listedOf(
    { id: key, object: 'model', created: 0, owned_by: typeof publisher === 'string' ? publisher : '' },
    {
      isLoaded: instancesOf(entry).length > 0,
      size: isCount(size, Number.MAX_SAFE_INTEGER) ? size : null,
      context: isCount(context, mostContext) ? context : undefined,
      capabilities: capabilitiesOf(entry),
      details: {
        format: typeof format === 'string' ? format : '',
        parameter_size: typeof parameters === 'string' ? parameters : '',
        quantization_level: typeof level === 'string' ? level : '',
      },
    },
  );
}

/** `type` is `llm` or `embedding`. */
function capabilitiesOf({ type, capabilities }: Fields): string[] {
  if (type === 'embedding') return ['embedding'];
  const { vision, trained_for_tool_use: tools } = entryOf(capabilities) ?? {};
  return ['completion', ...(vision === true ? ['vision'] : []), ...(tools === true ? ['tools'] : [])];
}

export const lmstudio: UpstreamKind = {
  name: 'lmstudio',
  probe: (server, signal) => models(server, signal, []),
  models,
  loaded: async (...asked) =>
    ((await entriesAt(...asked)) ?? []).filter((entry) => instancesOf(entry).length > 0).flatMap(listed),
  paths: new Set([
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/responses',
    '/v1/embeddings',
    '/v1/models',
    '/v1/messages',
  ]),
  listDialects: ['openai'],
  openDetails: () => new GaugeDetails(),
  usage: askedByStreamOptions,
  // It finishes the processing of a prompt first.
  cancel: (call, reason) => call.abort(reason),
  lacksRoute: (answer) => answer.includes('"Unexpected endpoint or method'),
  // docs/developer/openai-compat/chat-completions; it refuses json_object (lmstudio-bug-tracker#189).
  extras: {
    sampling: { top_k: 'top_k', repeat_penalty: 'repeat_penalty' },
    lacks: new Set(['json_object', 'logprobs', 'reasoning_effort']),
  },
  fields: {
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens'],
    grammars: ['response_format', 'text'],
    // How long the model stays loaded, a second model beside it, and programs of the machine that it would use as tools.
    shared: ['ttl', 'draft_model', 'integrations'],
  },
};
