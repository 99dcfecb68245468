// Servers of OpenAI's family in versions that have no route of another dialect: only /v1/chat/completions generates. What they
// answer is a script of the test, so that a conversation of several turns can be played.
import { done, event, type Heard, type Imitation, type Said } from './imitation.ts';

/** A server of which nothing is known but that it has OpenAI's list. */
export const plain: Imitation = {
  missing: 'Not Found',
  answer: ({ method, url }) =>
    method === 'GET' && url === '/v1/models'
      ? {
          body: JSON.stringify({ object: 'list', data: [{ id: 'tiny', object: 'model', created: 1, owned_by: 'me' }] }),
        }
      : undefined,
};

/** `lacks`: its answer for a route that it does not have, if that is no 404. */
export const older = (imitation: Imitation, chat: (heard: Heard) => Said, lacks?: Said): Imitation => ({
  ...imitation,
  answer: (heard, state) => {
    if (heard.method !== 'POST' || heard.url === '/tokenize') return imitation.answer(heard, state);
    return heard.url === '/v1/chat/completions' ? chat(heard) : lacks;
  },
});

export interface Piece {
  readonly content?: string;
  readonly reasoning?: string;
  readonly refusal?: string;
  readonly tool_calls?: readonly object[];
}

export const usage = {
  prompt_tokens: 12,
  completion_tokens: 6,
  total_tokens: 18,
  prompt_tokens_details: { cached_tokens: 8 },
  completion_tokens_details: { reasoning_tokens: 2 },
};

/** An answer in these pieces, whole or as a stream, as the call asks for it. */
export function chatOf({ body }: Heard, pieces: readonly Piece[], reason: string, more: object = {}): Said {
  const common = { id: 'chatcmpl-1', created: 1_700_000_000, model: body['model'] };
  if (body['stream'] !== true) {
    const choice = { index: 0, message: { role: 'assistant', ...joined(pieces) }, finish_reason: reason, ...more };
    return { body: JSON.stringify({ ...common, object: 'chat.completion', choices: [choice], usage }) };
  }
  const frame = (choices: readonly object[], rest: object = {}): string =>
    event({ ...common, object: 'chat.completion.chunk', choices, ...rest });
  const asks = (body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true;
  return {
    body: [
      frame([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]),
      ...pieces.map((delta) => frame([{ index: 0, delta, finish_reason: null }])),
      frame([{ index: 0, delta: {}, finish_reason: reason, ...more }]),
      ...(asks ? [frame([], { usage })] : []),
      done,
    ],
  };
}

/** The pieces of one message, put together. */
function joined(pieces: readonly Piece[]): object {
  const message: Record<string, unknown> = { content: null };
  const calls: { id?: string; function: { name?: string; arguments: string } }[] = [];
  for (const { tool_calls: deltas = [], ...texts } of pieces) {
    for (const [name, text] of Object.entries(texts))
      message[name] = `${(message[name] as string | null) ?? ''}${text}`;
    for (const delta of deltas as readonly {
      index: number;
      id?: string;
      function: { name?: string; arguments?: string };
    }[]) {
      const call = (calls[delta.index] ??= { function: { arguments: '' } });
      if (delta.id !== undefined) call.id = delta.id;
      if (delta.function.name !== undefined) call.function.name = delta.function.name;
      call.function.arguments += delta.function.arguments ?? '';
    }
  }
  if (calls.length > 0) message['tool_calls'] = calls.map((call) => ({ ...call, type: 'function' }));
  return message;
}
