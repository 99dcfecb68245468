// Servers of which the gate knows only that they keep OpenAI's list of models (/v1/models): vLLM, llama-server, TGI and the
// like. Since any of them may stand there, the fields of all of them are bounded.
import type { ModelDetails, UpstreamKind } from '../../kind.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { v1Models } from '../../v1-models.ts';

/** No route of this family says anything of a single model. */
const noDetails: ModelDetails = {
  contextOf: () => undefined,
  answerTokensOf: () => undefined,
  slotsOf: () => undefined,
  look: () => Promise.resolve(),
};

export const openai: UpstreamKind = {
  name: 'openai',
  probe: (server, signal) => v1Models(server, signal, []),
  models: v1Models,
  loaded: () => Promise.resolve([]),
  listDialects: ['openai'],
  openDetails: () => noDetails,
  usage: askedByStreamOptions,
  cancel: (call, reason) => call.abort(reason),
  fields: {
    // llama-server reads n_predict, vLLM max_completion_tokens, TGI max_new_tokens, and all of them some of the others. Some of
    // these servers are gates in front of an Ollama.
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'max_new_tokens', 'num_predict', 'n_predict'],
    choices: ['n', 'n_cmpl', 'best_of', 'num_return_sequences'],
  },
};
