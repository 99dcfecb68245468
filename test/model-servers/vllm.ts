// vLLM after its documentation and protocol.py (0.29): what it lists, its metrics, and its streams with usage at the end, on
// every event (continuous_usage_stats) and with cached tokens (--enable-prompt-tokens-details).
import { absent, chatStream, type Imitation } from './imitation.ts';

const model = 'Qwen/Qwen3-8B';

const list = JSON.stringify({
  object: 'list',
  data: [
    {
      id: model,
      object: 'model',
      created: 1_700_000_000,
      owned_by: 'vllm',
      root: model,
      parent: null,
      max_model_len: 40_960,
      permission: [],
    },
  ],
});

const metrics = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="${model}"} 2.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="${model}"} 3.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="${model}"} 0.25
`;

export const vllm: Imitation = {
  missing: '{"detail":"Not Found"}',
  answer({ method, url, body }, { health, usage }) {
    if (health === 'loading') return absent;
    switch (`${method} ${url}`) {
      case 'GET /health':
        return { status: health === 'failed' ? 503 : 200, body: '' };
      case 'GET /v1/models':
        return { body: list };
      case 'GET /metrics':
        return { type: 'text/plain; version=1.0.0; charset=utf-8', body: metrics };
      case 'POST /tokenize':
        return { body: '{"count":3,"max_model_len":40960,"tokens":[151644,872,198],"token_strs":null}' };
      case 'POST /v1/chat/completions':
        return {
          type: body['stream'] === true ? 'text/event-stream; charset=utf-8' : 'application/json',
          body: chatStream(model, usage, (completion) => ({
            prompt_tokens: 9,
            total_tokens: 9 + completion,
            completion_tokens: completion,
            prompt_tokens_details: { cached_tokens: 8 },
            completion_tokens_details: { reasoning_tokens: 2 },
          })),
        };
    }
    return undefined;
  },
};
