// OpenAI's own API after its documentation (api-reference/chat): a list without an owner that a kind would know, `usage: null` in
// every event but the last, and the parts of both figures.
import { chatStream, type Imitation } from './imitation.ts';

const model = 'gpt-5.4-mini';

const list = JSON.stringify({
  object: 'list',
  data: [{ id: model, object: 'model', created: 1_700_000_000, owned_by: 'system' }],
});

const failure = (message: string, type: string): string =>
  JSON.stringify({ error: { message, type, param: null, code: null } });

export const openai: Imitation = {
  missing: failure('Invalid URL', 'invalid_request_error'),
  answer({ method, url }, { health, usage }) {
    if (health !== 'up') return { status: 503, body: failure('The engine is currently overloaded', 'server_error') };
    if (method === 'GET' && url === '/v1/models') return { body: list };
    if (method === 'POST' && url === '/v1/chat/completions')
      return {
        type: 'text/event-stream; charset=utf-8',
        body: chatStream(
          model,
          usage === 'last' ? 'null then last' : usage,
          (completion) => ({
            prompt_tokens: 9,
            completion_tokens: completion,
            total_tokens: 9 + completion,
            prompt_tokens_details: { cached_tokens: 8, audio_tokens: 0 },
            completion_tokens_details: {
              reasoning_tokens: 2,
              audio_tokens: 0,
              accepted_prediction_tokens: 0,
              rejected_prediction_tokens: 0,
            },
          }),
          { service_tier: 'default', system_fingerprint: 'fp_1', obfuscation: 'x9Q' },
        ),
      };
    return undefined;
  },
};
