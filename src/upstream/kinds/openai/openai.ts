// Servers of which the gate knows only that they have OpenAI's list of models (/v1/models): vLLM, llama-server, TGI and
// others. The fields of all of them are bounded, since it can be any of them.
import type { UpstreamKind } from '../../kind.ts';
import { noDetails } from '../../no-details.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { v1Models } from '../../v1-models.ts';

export const openai: UpstreamKind = {
  name: 'openai',
  probe: (server, signal) => v1Models(server, signal, []),
  models: v1Models,
  loaded: () => Promise.resolve([]),
  // Which of the routes below /v1 such servers have differs. One with others is of another kind.
  paths: { has: (path) => path.startsWith('/v1/') },
  listDialects: ['openai'],
  openDetails: () => noDetails,
  usage: askedByStreamOptions,
  cancel: (call, reason) => call.abort(reason),
  fields: {
    // llama-server reads n_predict, vLLM max_completion_tokens, TGI max_new_tokens, and each of them some of the others.
    // num_predict is here because such a server can be a proxy in front of Ollama.
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'max_new_tokens', 'num_predict', 'n_predict'],
    choices: ['n', 'n_cmpl', 'best_of', 'num_return_sequences'],
    // `text` is where the Responses API has its schema.
    grammars: ['response_format', 'text'],
    deferred: ['background'],
    // Dearer capacity of the account.
    shared: ['service_tier'],
  },
};
