// Anthropic's API after its documentation: its list in pages, the header that every request needs, and its streams.
import type { Imitation, UsageForm } from './imitation.ts';

const model = 'claude-opus-4-6';

const list = JSON.stringify({
  data: [{ type: 'model', id: model, display_name: 'Claude Opus 4.6', created_at: '2026-02-04T00:00:00Z' }],
  has_more: false,
  first_id: model,
  last_id: model,
});

const failure = (type: string, message: string): string => JSON.stringify({ type: 'error', error: { type, message } });

/** A stream of a message. Its first event has the prompt; the last but one has the answer, and mostly the whole usage again. */
function eventsOf(form: UsageForm): string[] {
  const prompt = { input_tokens: 1, cache_creation_input_tokens: 2, cache_read_input_tokens: 6 };
  const answer = { output_tokens: 4, output_tokens_details: { thinking_tokens: 3 } };
  const usage = form === 'none' ? {} : { usage: form === 'every' ? { ...prompt, ...answer } : answer };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', content: [], model, stop_reason: null };
  const events: readonly { readonly type: string; readonly [field: string]: unknown }[] = [
    {
      type: 'message_start',
      message: {
        ...message,
        stop_sequence: null,
        ...(form === 'none' ? {} : { usage: { ...prompt, output_tokens: 1 } }),
      },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'ping' },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } },
    ...(form === 'after an error'
      ? [{ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }]
      : [{ type: 'content_block_stop', index: 0 }]),
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, ...usage },
    { type: 'message_stop' },
  ];
  return events.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`);
}

export const anthropic: Imitation = {
  missing: failure('not_found_error', 'Not Found'),
  answer({ method, url, headers }, { health, usage }) {
    if (health === 'failed') return { status: 529, body: failure('overloaded_error', 'Overloaded') };
    if (health === 'loading') return { status: 500, body: failure('api_error', 'Internal server error') };
    if (headers['anthropic-version'] === undefined)
      return { status: 400, body: failure('invalid_request_error', 'anthropic-version: header is required') };
    if (method === 'GET' && url.split('?')[0] === '/v1/models') return { body: list };
    if (method === 'POST' && url === '/v1/messages') return { body: eventsOf(usage) };
    return undefined;
  },
};
