import { expect, test } from 'vitest';
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import { kindNamed } from '../../../upstream/kinds.ts';
import { chatFromResponses } from './request.ts';

const fieldsOf = (kind: string): OpenAiExtras => kindNamed(kind)?.extras ?? { sampling: {} };
const vllm = fieldsOf('vllm');
const translate = (body: object, takes = vllm) => chatFromResponses({ model: 'm', input: 'hi', ...body }, takes);
const messagesOf = (input: unknown): unknown => translate({ input }).body['messages'];
const address = 'data:image/png;base64,aGk=';
const image = { type: 'input_image', image_url: address, detail: 'low' };
const imagePart = { type: 'image_url', image_url: { url: address, detail: 'low' } };

test('an input can be a text or a list of messages', () => {
  expect(translate({ instructions: 'be brief' }).body['messages']).toEqual([
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'hi' },
  ]);
  const input = [
    { role: 'developer', content: 'd' },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }, image] },
    {
      role: 'assistant',
      content: [{ type: 'output_text', text: 'b', annotations: [] }],
      id: 'msg_1',
      status: 'completed',
    },
    { role: 'user', content: 'c' },
  ];
  expect(messagesOf(input)).toEqual([
    { role: 'system', content: 'd' },
    { role: 'user', content: [{ type: 'text', text: 'a' }, imagePart] },
    { role: 'assistant', content: 'b' },
    { role: 'user', content: 'c' },
  ]);
});

test('thoughts, text and calls of one turn are one message, and results follow it', () => {
  const call = { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}', id: 'fc_1', status: 'completed' };
  const input = [
    { role: 'user', content: 'hi' },
    { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
    { role: 'assistant', content: 'let me see' },
    call,
    { ...call, call_id: 'c2' },
    { type: 'function_call_output', call_id: 'c1', output: 'seen' },
    { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'also' }, image] },
    { role: 'user', content: 'and now?' },
  ];
  const wanted = { type: 'function', function: { name: 'look', arguments: '{}' } };
  expect(messagesOf(input)).toEqual([
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: 'let me see',
      reasoning: 'hm',
      tool_calls: [
        { id: 'c1', ...wanted },
        { id: 'c2', ...wanted },
      ],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'seen' },
    { role: 'tool', tool_call_id: 'c2', content: 'also' },
    { role: 'user', content: [imagePart] },
    { role: 'user', content: 'and now?' },
  ]);
});

test('tools, formats, efforts and lengths have counterparts', () => {
  const schema = { type: 'object' };
  const { body, asked } = translate({
    tools: [{ type: 'function', name: 'look', description: 'd', parameters: schema, strict: true }],
    tool_choice: { type: 'function', name: 'look' },
    parallel_tool_calls: false,
    text: { format: { type: 'json_schema', name: 'n', schema, strict: true } },
    reasoning: { effort: 'low', summary: 'auto' },
    max_output_tokens: 8,
    temperature: 0,
    top_p: 0.5,
    store: false,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: 'k',
    user: 'somebody',
    metadata: { a: 'b' },
  });
  expect(body).toEqual({
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: 8,
    temperature: 0,
    top_p: 0.5,
    tools: [{ type: 'function', function: { name: 'look', description: 'd', parameters: schema, strict: true } }],
    tool_choice: { type: 'function', function: { name: 'look' } },
    parallel_tool_calls: false,
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } },
    reasoning_effort: 'low',
  });
  expect(asked.summarizes).toBe(true);
  expect(asked.repeated).toMatchObject({ metadata: { a: 'b' }, max_output_tokens: 8, temperature: 0 });
});

const item = (value: object): object => ({ input: [value] });

test.each<[string, object, string]>([
  ['an earlier response', { previous_response_id: 'resp_1' }, 'previous_response_id needs a server that keeps'],
  ['a conversation', { conversation: 'c' }, 'conversation needs'],
  ['a stored prompt', { prompt: { id: 'p' } }, 'prompt needs'],
  ['keeping the answer', { store: true }, 'store needs'],
  ['an answer in the background', { background: true }, 'background needs'],
  [
    'a tool that the server runs',
    { tools: [{ type: 'web_search' }] },
    'tools[0].type has no counterpart there for "web_search"',
  ],
  ['a choice among tools', { tool_choice: { type: 'allowed_tools' } }, 'tool_choice.type has'],
  ['probabilities', { include: ['message.output_text.logprobs'] }, 'include has'],
  ['probabilities of tokens', { top_logprobs: 2 }, 'top_logprobs has'],
  ['truncation', { truncation: 'auto' }, 'truncation has'],
  ['an item by its id', item({ type: 'item_reference', id: 'x' }), 'input[0].type has'],
  ['a file', item({ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }), 'input[0].content[0].type has'],
  [
    'an image by its address',
    item({ role: 'user', content: [{ type: 'input_image', image_url: 'https://x/y' }] }),
    'image_url must be',
  ],
  ['an image by its id', item({ role: 'user', content: [{ type: 'input_image', file_id: 'x' }] }), 'file_id must be'],
  ['encrypted thoughts', item({ type: 'reasoning', encrypted_content: 'x' }), 'encrypted_content can only'],
  ['a phase', item({ role: 'assistant', content: 'x', phase: 'commentary' }), 'input[0].phase has'],
  ['verbosity', { text: { verbosity: 'low' } }, 'text.verbosity has'],
  ['an unknown field', { frobnicate: 1 }, 'frobnicate has'],
  ['an unknown effort', { reasoning: { effort: 'xhigh' } }, 'reasoning.effort has'],
  ['no input', { input: null }, 'input is required'],
])('%s is refused by its name', (_, body, sentence) => {
  expect(() => translate(body)).toThrow(sentence);
});
