// vLLM. Its facts are those of its documentation and of its protocol.py; every model that it lists is loaded.
import { GaugeDetails } from '../../gauge-details.ts';
import { refuseFailing } from '../../json-route.ts';
import type { UpstreamKind } from '../../kind.ts';
import { QueueGauges } from '../../queue-gauges.ts';
import { askedByStreamOptions } from '../../stream-usage.ts';
import { listedWithLength, v1ModelsOf } from '../../v1-models.ts';

const models: UpstreamKind['models'] = (...asked) => v1ModelsOf('vllm', listedWithLength, ...asked);

export const vllm: UpstreamKind = {
  name: 'vllm',
  async probe(server, signal) {
    const found = await models(server, signal, []);
    // The list is also answered when the engine behind it has died; only /health says so.
    if (found) await refuseFailing(server, '/health', signal);
    return found;
  },
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
    // No caller reaches it; versions without the route above count by it.
    '/tokenize',
  ]),
  listDialects: ['openai'],
  openDetails: () => new GaugeDetails(new QueueGauges('vllm:num_requests_running', 'vllm:num_requests_waiting')),
  // With continuous_usage_stats every event has the usage so far; the meter takes the last.
  usage: askedByStreamOptions,
  cancel: (call, reason) => call.abort(reason),
  extras: {
    sampling: { top_k: 'top_k', min_p: 'min_p', repeat_penalty: 'repetition_penalty' },
    // chat_utils.py, _parse_chat_message_content; it passes on `reasoning_content` to no template.
    reasoning: 'reasoning',
    takesTemplateArguments: true,
    // It answers 400 unless it was started with --reasoning-config.
    reasoningBudget: 'thinking_token_budget',
    efforts: ['none', 'low', 'medium', 'high'],
    continuesAnswers: 'asked',
  },
  fields: {
    lengths: ['max_tokens', 'max_completion_tokens', 'max_output_tokens'],
    choices: ['n', 'best_of', 'beam_width'],
    templates: ['chat_template'],
    // `tokenize` among them has held up the whole server (CVE-2025-62426).
    templateArguments: ['chat_template_kwargs'],
    grammars: [
      'response_format',
      'text',
      'structured_outputs',
      'guided_json',
      'guided_regex',
      'guided_choice',
      'guided_grammar',
      'guided_whitespace_pattern',
    ],
    deferred: ['background'],
    debug: [
      'prompt_logprobs',
      'return_token_ids',
      'return_tokens_as_token_ids',
      'return_prompt_text',
      'return_token_offsets',
      'return_mm_kwargs',
      'enable_response_messages',
    ],
    shared: [
      'ignore_eos',
      'min_tokens',
      // It overtakes the calls of others.
      'priority',
      // Another call with the same id would be ended.
      'request_id',
      'session_id',
      'kv_transfer_params',
      'ec_transfer_params',
      'vllm_xargs',
      // The name of a Python function that it would call (older versions).
      'logits_processors',
      // A serialized tensor that it would load (CVE-2025-62164).
      'prompt_embeds',
      // Arguments of the program that reads images and videos.
      'mm_processor_kwargs',
      'media_io_kwargs',
    ],
  },
};
