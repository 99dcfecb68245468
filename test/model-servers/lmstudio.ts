// LM Studio 0.4 after its documentation (developer/rest/list): its list with loaded instances, and its 200 for a route that it does
// not have.
import { absent, chatStream, type Imitation } from './imitation.ts';

const model = 'gemma-3-270m-it-qat';

const list = JSON.stringify({
  models: [
    {
      type: 'llm',
      publisher: 'lmstudio-community',
      key: model,
      display_name: 'Gemma 3 270m Instruct Qat',
      architecture: 'gemma3',
      quantization: { name: 'Q4_0', bits_per_weight: 4 },
      size_bytes: 241_410_208,
      params_string: '270M',
      loaded_instances: [{ id: model, config: { context_length: 4096 } }],
      max_context_length: 32_768,
      format: 'gguf',
      capabilities: { vision: false, trained_for_tool_use: false },
      description: null,
    },
    {
      type: 'embedding',
      publisher: 'gaianet',
      key: 'text-embedding-nomic-embed-text-v1.5-embedding',
      display_name: 'Nomic Embed Text v1.5',
      quantization: { name: 'F16', bits_per_weight: 16 },
      size_bytes: 274_290_560,
      params_string: null,
      loaded_instances: [],
      max_context_length: 2048,
      format: 'gguf',
    },
  ],
});

const v1 = JSON.stringify({
  data: [
    { id: model, object: 'model', owned_by: 'organization_owner' },
    { id: 'text-embedding-nomic-embed-text-v1.5-embedding', object: 'model', owned_by: 'organization_owner' },
  ],
  object: 'list',
});

export const lmstudio: Imitation = {
  missing: '{}',
  answer({ method, url }, { health, usage }) {
    if (health === 'loading') return absent;
    if (health === 'failed') return { status: 500, body: '{"error":"failed"}' };
    switch (`${method} ${url}`) {
      case 'GET /api/v1/models':
        return { body: list };
      case 'GET /v1/models':
        return { body: v1 };
      case 'POST /v1/chat/completions':
        return {
          body: chatStream(model, usage, (completion) => ({
            prompt_tokens: 9,
            completion_tokens: completion,
            total_tokens: 9 + completion,
            completion_tokens_details: { reasoning_tokens: 2 },
          })),
        };
    }
    return { body: `{"error":"Unexpected endpoint or method. (${method} ${url})"}` };
  },
};
