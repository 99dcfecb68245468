// llama.cpp's llama-server, with one model or as a router of several. Its facts are those of tools/server/README.md, and of
// b11549 as recorded in test/fixtures.
import type { UpstreamKind } from '../../kind.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { LlamaDetails } from './details.ts';
import { allModels, loadedModels } from './list.ts';
import { llamaLoads } from './load.ts';

export const llamaServer: UpstreamKind = {
  name: 'llama-server',
  probe: (server, signal) => allModels(server, signal, []),
  models: allModels,
  loaded: loadedModels,
  paths: new Set([
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/responses',
    '/v1/embeddings',
    '/v1/audio/transcriptions',
    '/v1/models',
    '/v1/messages',
    '/v1/messages/count_tokens',
  ]),
  listDialects: ['openai'],
  openDetails: () => new LlamaDetails(),
  loads: llamaLoads,
  // Without the field its last piece has `timings`, which the meter reads where there is no usage.
  usage: askedByStreamOptions,
  // It stops when the connection closes, during the processing of a prompt after the current batch.
  cancel: (call, reason) => call.abort(reason),
  // Seen in b11549: two of five calls that follow a stream on its connection are lost.
  closesAfterStreams: true,
  extras: {
    sampling: {
      top_k: 'top_k',
      min_p: 'min_p',
      typical_p: 'typical_p',
      repeat_penalty: 'repeat_penalty',
      repeat_last_n: 'repeat_last_n',
    },
    reasoning: 'reasoning_content',
    takesTemplateArguments: true,
    reasoningBudget: 'thinking_budget_tokens',
    efforts: ['low', 'medium', 'high'],
    // tools/server/README.md names no field for it; templates that know efforts read this argument.
    effortIsTemplateArgument: true,
    // Seen in b11549, on /v1/messages too.
    continuesAnswers: 'repeated',
  },
  fields: {
    // A negative n_predict has no end.
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n_predict'],
    choices: ['n', 'n_cmpl'],
    // It parses the raw text of a template that a caller sends.
    templates: ['chat_template', 'chat_format', 'chat_parser', 'generation_prompt', 'preserved_tokens'],
    templateArguments: ['chat_template_kwargs'],
    grammars: ['response_format', 'json_schema', 'grammar', 'grammar_triggers', 'text'],
    // What it has rendered, and which fields the answer has: those with the usage can be left out.
    debug: ['verbose', 'return_tokens', 'response_fields'],
    capped: [['n_probs', 100]],
    shared: [
      // They choose a slot, which can be that of another caller, and what stays in its cache.
      'id_slot',
      'cache_prompt',
      'n_cache_reuse',
      'n_keep',
      'n_discard',
      // Calls with different adapters are not worked on together.
      'lora',
      'backend_sampling',
      'sse_ping_interval',
      'speculative.n_max',
      'speculative.n_min',
      'speculative.p_min',
      'ignore_eos',
      // It lets anyone who knows the id of an answer control it.
      'reasoning_control',
    ],
  },
};
