// Servers of which the gate knows only that they keep OpenAI's list of models (/v1/models): vLLM, llama-server, TGI and the
// like. Since any of them may stand there, the fields of all of them are bounded.
import { entriesOf, entryOf, readJson } from '../../json-route.ts';
import type { Fields, Listed, ModelDetails, UpstreamKind } from '../../kind.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';

const models: UpstreamKind['models'] = async (server, signal, via) => {
  const found = await readJson(server, '/v1/models', signal, via);
  return found ? entriesOf(found, 'data').flatMap(listedOf) : undefined;
};

/** No route of this family says anything of a single model. */
const noDetails: ModelDetails = {
  contextOf: () => undefined,
  answerTokensOf: () => undefined,
  slotsOf: () => undefined,
  look: () => Promise.resolve(),
};

export const openai: UpstreamKind = {
  name: 'openai',
  probe: (server, signal) => models(server, signal, []),
  models,
  loaded: () => Promise.resolve([]),
  listDialects: ['openai'],
  openDetails: () => noDetails,
  usage: askedByStreamOptions,
  cancel: (call, reason) => call.abort(reason),
  fields: {
    // llama-server: n_predict, with max_tokens and num_predict's other names as aliases. vLLM, TGI: the rest. Some of these
    // servers are gates in front of an Ollama.
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'max_new_tokens', 'num_predict', 'n_predict'],
    choices: ['n', 'n_cmpl', 'best_of', 'num_return_sequences'],
    reloadOptions: [],
    reloads: [],
    templates: [],
    debug: [],
    capped: [],
  },
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
