// SGLang after its documentation and protocol.py: what it lists, its metrics (--enable-metrics), and its streams, whose usage has
// cached tokens (--enable-cache-report) and reasoning tokens.
import { absent, chatStream, type Imitation } from './imitation.ts';

const model = 'Qwen/Qwen3-8B';

const list = JSON.stringify({
  object: 'list',
  data: [
    {
      id: model,
      object: 'model',
      created: 1_700_000_000,
      owned_by: 'sglang',
      root: model,
      parent: null,
      max_model_len: 40_960,
    },
  ],
});

const metrics = `# HELP sglang:num_running_reqs The number of running requests.
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="${model}"} 2.0
# HELP sglang:num_queue_reqs The number of requests in the waiting queue.
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{model_name="${model}"} 3.0
# HELP sglang:token_usage The token usage.
# TYPE sglang:token_usage gauge
sglang:token_usage{model_name="${model}"} 0.28
`;

/** It has Ollama's lists and chat as well (srt/entrypoints/ollama). */
const tags = JSON.stringify({
  models: [
    {
      name: model,
      model,
      modified_at: '2026-08-01T00:00:00.000Z',
      size: 0,
      digest: 'sha256:sglang0000000000000000000000000000000000000000000000000000000000',
      details: { format: 'sglang', family: 'Qwen3-8B', parameter_size: 'unknown' },
    },
  ],
});

export const sglang: Imitation = {
  missing: '{"detail":"Not Found"}',
  answer({ method, url }, { health, usage }) {
    if (health === 'loading') return absent;
    if (health === 'failed') return { status: 503, body: '' };
    switch (`${method} ${url}`) {
      case 'GET /api/tags':
        return { body: tags };
      case 'GET /v1/models':
        return { body: list };
      case 'GET /metrics':
        return { type: 'text/plain; version=0.0.4', body: metrics };
      case 'POST /v1/chat/completions':
        return {
          type: 'text/event-stream; charset=utf-8',
          body: chatStream(model, usage, (completion) => ({
            prompt_tokens: 9,
            total_tokens: 9 + completion,
            completion_tokens: completion,
            prompt_tokens_details: { cached_tokens: 8 },
            reasoning_tokens: 2,
          })),
        };
    }
    return undefined;
  },
};
