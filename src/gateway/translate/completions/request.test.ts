import { expect, test } from 'vitest';
import { messagesFromChat } from './request.ts';

const translate = (body: object) =>
  messagesFromChat({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...body });
const messagesOf = (messages: readonly object[]): unknown => translate({ messages }).body['messages'];
const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=', detail: 'auto' } };

test('fields have counterparts', () => {
  const { body, asksForUsage } = translate({
    max_tokens: 20,
    max_completion_tokens: 10,
    stop: 'END',
    temperature: 0.5,
    top_p: 0.9,
    tools: [{ type: 'function', function: { name: 'look', description: 'd', parameters: { type: 'object' } } }],
    tool_choice: 'required',
    reasoning_effort: 'high',
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } },
    stream: true,
    stream_options: { include_usage: true },
    user: 'somebody',
    frequency_penalty: 0,
  });
  expect(asksForUsage).toBe(true);
  expect(body).toEqual({
    max_tokens: 10,
    messages: [{ role: 'user', content: 'hi' }],
    stop_sequences: ['END'],
    temperature: 0.5,
    top_p: 0.9,
    tools: [{ name: 'look', description: 'd', input_schema: { type: 'object' } }],
    tool_choice: { type: 'any' },
    output_config: { effort: 'high', format: { type: 'json_schema', schema: { type: 'object' } } },
  });
  expect(translate({}).body['max_tokens']).toBe(4096);
  expect(translate({ reasoning_effort: 'none' }).body['thinking']).toEqual({ type: 'disabled' });
  expect(translate({ tool_choice: { type: 'function', function: { name: 'x' } } }).body['tool_choice']).toEqual({
    type: 'tool',
    name: 'x',
  });
});

test('messages become blocks, and instructions a system prompt', () => {
  const { body } = translate({
    messages: [
      { role: 'system', content: 'a' },
      { role: 'developer', content: [{ type: 'text', text: 'b' }] },
      { role: 'user', content: [{ type: 'text', text: 'c' }, image] },
      {
        role: 'assistant',
        content: null,
        refusal: null,
        reasoning_content: 'hm',
        tool_calls: [{ id: 'x', type: 'function', function: { name: 'n', arguments: '' } }],
      },
      { role: 'tool', tool_call_id: 'x', content: [{ type: 'text', text: 'd' }] },
    ],
  });
  expect(body['system']).toEqual([
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
  ]);
  expect(body['messages']).toEqual([
    {
      role: 'user',
      content: [
        { type: 'text', text: 'c' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } },
      ],
    },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'n', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', content: [{ type: 'text', text: 'd' }] }] },
  ]);
});

test.each<[string, object, string]>([
  ['a seed', { seed: 1 }, 'seed has'],
  ['a bias', { logit_bias: { 1: 2 } }, 'logit_bias has'],
  ['a penalty', { frequency_penalty: 0.1 }, 'frequency_penalty has'],
  ['an old function', { functions: [] }, 'functions has'],
  ['sound', { modalities: ['audio'] }, 'modalities has no counterpart there for "audio"'],
  ['keeping the answer', { store: true }, 'store needs'],
  ['metadata', { metadata: { a: 'b' } }, 'metadata has'],
  ['a length of zero', { max_tokens: 0 }, 'max_tokens must be a whole number above 0'],
])('%s is refused by its name', (_, body, sentence) => {
  expect(() => translate(body)).toThrow(sentence);
});

test.each<[string, object, string]>([
  [
    'an image by its address',
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x/' } }] },
    'messages[0].content[0].image_url.url must be',
  ],
  [
    'a recording',
    { role: 'user', content: [{ type: 'input_audio', input_audio: {} }] },
    'messages[0].content[0].type has',
  ],
  ['a name', { role: 'user', content: 'x', name: 'y' }, 'messages[0].name has'],
  ['another role', { role: 'function', content: 'x' }, 'messages[0].role has'],
  [
    'arguments that are no object',
    { role: 'assistant', tool_calls: [{ id: 'x', function: { name: 'n', arguments: '[]' } }] },
    'messages[0].tool_calls[0].function.arguments must be a JSON object',
  ],
])('%s is refused by its name', (_, message, sentence) => {
  expect(() => messagesOf([message])).toThrow(sentence);
});
