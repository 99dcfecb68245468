// What a server of OpenAI's family generates for a translated call: each feature that a request asks for shows in the answer.
// Kinds differ in the name of the reasoning and in how they count, which the caller says.
import { done, event, type Heard, type Said } from './imitation.ts';

export interface Words {
  readonly model: string;
  /** The member with the reasoning. */
  readonly reasoning: 'reasoning_content' | 'reasoning';
  readonly usage: (completion: number) => object;
}

interface Piece {
  readonly delta: Readonly<Record<string, unknown>>;
  readonly logprobs?: { readonly content: readonly unknown[] };
}

const thoughts = ['Let me', ' think…'];
const said = ['空は', '青い', '🌊'];

const toolCall = (fields: object): Piece['delta'] => ({ tool_calls: [{ index: 0, ...fields }] });

function piecesFor(body: Heard['body'], { reasoning }: Words): { pieces: Piece[]; reason: string } {
  const pieces: Piece[] = [{ delta: { role: 'assistant', content: '' } }];
  const template = body['chat_template_kwargs'] as { enable_thinking?: boolean } | undefined;
  if (template?.enable_thinking === true || body['reasoning_effort'] !== undefined)
    for (const thought of thoughts) pieces.push({ delta: { [reasoning]: thought } });
  if (Array.isArray(body['tools'])) {
    pieces.push(
      { delta: toolCall({ id: 'call-1', type: 'function', function: { name: 'weather', arguments: '' } }) },
      { delta: toolCall({ function: { arguments: '{"city":"東' } }) },
      { delta: toolCall({ function: { arguments: '京","big":12345678901234567890}' } }) },
    );
    return { pieces, reason: 'tool_calls' };
  }
  const texts = body['response_format'] === undefined ? said : ['{"sky":', '"blue"}'];
  for (const text of texts) {
    const entry = { token: text, logprob: -0.5, bytes: [1], top_logprobs: [] };
    pieces.push({
      delta: { content: text },
      ...(body['logprobs'] === true ? { logprobs: { content: [entry] } } : {}),
    });
  }
  return { pieces, reason: body['max_tokens'] === 1 ? 'length' : 'stop' };
}

/** The answer of a route that generates or embeds; undefined for other routes. */
export function answerOf(heard: Heard, words: Words): Said | undefined {
  switch (heard.url) {
    case '/v1/chat/completions':
      return generate(heard, words);
    case '/v1/completions':
      return complete(heard, words);
    case '/v1/embeddings':
      return embed(heard, words);
    default:
      return undefined;
  }
}

/** Embeddings in another order than their texts; that of a text has its length as the last figure, and is no unit vector. */
function embed({ body }: Heard, { model, usage }: Words): Said {
  const inputs = typeof body['input'] === 'string' ? [body['input']] : (body['input'] as string[]);
  const data = inputs.map((text, index) => ({ object: 'embedding', index, embedding: [3, 0, text.length] }));
  return { body: JSON.stringify({ object: 'list', model, data: data.toReversed(), usage: usage(0) }) };
}

function complete({ body }: Heard, { model, usage }: Words): Said {
  const common = { id: 'cmpl-1', object: 'text_completion', created: 1_700_000_000, model };
  if (body['stream'] !== true)
    return {
      body: JSON.stringify({
        ...common,
        choices: [{ index: 0, text: said.join(''), logprobs: null, finish_reason: 'stop' }],
        usage: usage(4),
      }),
    };
  const frame = (choices: object[], more: object = {}): string => event({ ...common, choices, ...more });
  return {
    type: 'text/event-stream; charset=utf-8',
    body: [
      ...said.map((text) => frame([{ index: 0, text, finish_reason: null }])),
      frame([{ index: 0, text: '', finish_reason: 'stop' }]),
      frame([], { usage: usage(4) }),
      done,
    ],
  };
}

/** The answer of /v1/chat/completions, whole or as a stream. */
function generate({ body }: Heard, words: Words): Said {
  const { pieces, reason } = piecesFor(body, words);
  const common = { id: 'chatcmpl-1', created: 1_700_000_000, model: words.model };
  const usage = words.usage(4);
  if (body['stream'] === true) {
    const frame = (choices: object[], more: object = {}): string =>
      event({ ...common, object: 'chat.completion.chunk', choices, ...more });
    return {
      type: 'text/event-stream; charset=utf-8',
      body: [
        ...pieces.map((piece) => frame([{ index: 0, ...piece, finish_reason: null }])),
        frame([{ index: 0, delta: {}, finish_reason: reason }]),
        ...(body['stream_options'] === undefined ? [] : [frame([], { usage })]),
        done,
      ],
    };
  }
  return { body: JSON.stringify({ ...common, object: 'chat.completion', choices: [whole(pieces, reason)], usage }) };
}

function whole(pieces: readonly Piece[], reason: string): object {
  const message: Record<string, unknown> = { role: 'assistant', content: null };
  const entries: unknown[] = [];
  for (const { delta, logprobs } of pieces) {
    entries.push(...(logprobs?.content ?? []));
    for (const [name, value] of Object.entries(delta))
      if (name === 'tool_calls')
        addCall(message, value as [{ id?: string; function: { name?: string; arguments: string } }]);
      else if (name !== 'role') message[name] = ((message[name] ?? '') as string) + (value as string);
  }
  return { index: 0, message, logprobs: entries.length > 0 ? { content: entries } : null, finish_reason: reason };
}

function addCall(
  message: Record<string, unknown>,
  [call]: [{ id?: string; function: { name?: string; arguments: string } }],
): void {
  const calls = (message['tool_calls'] ??= [
    { id: call.id, type: 'function', function: { name: call.function.name, arguments: '' } },
  ]) as [{ function: { arguments: string } }];
  calls[0].function.arguments += call.function.arguments;
}
