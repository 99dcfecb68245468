// SGLang. Its facts are those of its documentation and of its protocol.py. Its /health has a token generated, so the gateway
// never asks it; every model that it lists is loaded.
import { GaugeDetails } from '../../gauge-details.ts';
import type { UpstreamKind } from '../../kind.ts';
import { QueueGauges } from '../../queue-gauges.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { listedWithLength, v1ModelsOf } from '../../v1-models.ts';

const models: UpstreamKind['models'] = (...asked) => v1ModelsOf('sglang', listedWithLength, ...asked);

export const sglang: UpstreamKind = {
  name: 'sglang',
  probe: (server, signal) => models(server, signal, []),
  models,
  loaded: async (...asked) => (await models(...asked)) ?? [],
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
  openDetails: () => new GaugeDetails(new QueueGauges('sglang:num_running_reqs', 'sglang:num_queue_reqs')),
  usage: askedByStreamOptions,
  // It ends the call about two seconds later.
  cancel: (call, reason) => call.abort(reason),
  extras: {
    sampling: { top_k: 'top_k', min_p: 'min_p', repeat_penalty: 'repetition_penalty' },
    reasoning: 'reasoning_content',
    takesTemplateArguments: true,
    // Only a logit processor bounds reasoning, which is code that the server would run.
    efforts: ['none', 'low', 'medium', 'high'],
    continuesAnswers: 'asked',
  },
  fields: {
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'max_new_tokens'],
    choices: ['n', 'best_of'],
    // Tokens in place of what the template would make of the messages.
    templates: ['input_ids'],
    templateArguments: ['chat_template_kwargs'],
    grammars: ['response_format', 'text', 'json_schema', 'regex', 'ebnf', 'stop_regex'],
    deferred: ['background'],
    debug: [
      'return_hidden_states',
      'return_routed_experts',
      'return_token_ids',
      'return_prompt_token_ids',
      'return_meta_info',
      'return_cached_tokens_details',
    ],
    shared: [
      'ignore_eos',
      'min_tokens',
      'min_new_tokens',
      'priority',
      'rid',
      'lora_path',
      'session_id',
      'session_params',
      // Code that the server would run.
      'custom_logit_processor',
      'custom_params',
      // Another machine that it would fetch the prompt from.
      'bootstrap_host',
      'bootstrap_port',
      'bootstrap_room',
      'routed_dp_rank',
      'disagg_prefill_dp_rank',
      'data_parallel_rank',
      'custom_labels',
      'extra_key',
      'ngram_corpus_id',
      'images_config',
      'max_dynamic_patch',
      'min_dynamic_patch',
      'embed_overrides',
      'embed_override_token_id',
    ],
  },
};
