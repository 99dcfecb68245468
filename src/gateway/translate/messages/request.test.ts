import { describe, expect, test } from 'vitest';
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import { kindNamed } from '../../../upstream/kinds.ts';
import { parseExactly } from '../chat/exact-json.ts';
import { chatFromMessages } from './request.ts';

const fieldsOf = (kind: string): OpenAiExtras => kindNamed(kind)?.extras ?? { sampling: {} };
const vllm = fieldsOf('vllm');
const translate = (body: object, takes = vllm) =>
  chatFromMessages({ model: 'm', max_tokens: 8, messages: [{ role: 'user', content: 'hi' }], ...body }, takes);
const messagesOf = (messages: readonly object[], takes = vllm): unknown =>
  translate({ messages }, takes).body['messages'];
const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } };
const imagePart = { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } };

describe('the messages of a call', () => {
  test('a system prompt comes first, several texts of it in one message', () => {
    const system = [
      { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
      { type: 'text', text: 'b' },
    ];
    expect(translate({ system }).body['messages']).toEqual([
      { role: 'system', content: 'a\n\nb' },
      { role: 'user', content: 'hi' },
    ]);
    expect(translate({ system: 'a' }).body['messages']).toContainEqual({ role: 'system', content: 'a' });
  });

  test('a text is a string, several blocks are parts', () => {
    expect(messagesOf([{ role: 'user', content: [{ type: 'text', text: 'a' }] }])).toEqual([
      { role: 'user', content: 'a' },
    ]);
    expect(messagesOf([{ role: 'user', content: [{ type: 'text', text: 'a' }, image] }])).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'a' }, imagePart] },
    ]);
  });

  test('results of tools become messages before the text that follows, and their images come with that text', () => {
    const call = { type: 'tool_use', id: 'c1', name: 'look', input: { at: 1 } };
    const messages = [
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 'x' },
          { type: 'text', text: 'let me see' },
          call,
          { ...call, id: 'c2' },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'c1', content: [{ type: 'text', text: 'seen' }, image] },
          { type: 'tool_result', tool_use_id: 'c2', content: 'no', is_error: true },
          { type: 'text', text: 'and now?' },
        ],
      },
    ];
    const wanted = { type: 'function', function: { name: 'look', arguments: '{"at":1}' } };
    expect(messagesOf(messages)).toEqual([
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
      { role: 'tool', tool_call_id: 'c2', content: 'Error:\n\nno' },
      { role: 'user', content: [imagePart, { type: 'text', text: 'and now?' }] },
    ]);
  });

  test('numbers keep all their digits', () => {
    const text = `{"model":"m","max_tokens":8,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
      {"type":"tool_use","id":"a","name":"n","input":{"id":12345678901234567890,"x":1.0,"y":1e400}}]}],
      "tools":[{"name":"n","input_schema":{"type":"object","maximum":9007199254740993}}]}`;
    const written = JSON.stringify(chatFromMessages(parseExactly(text), vllm).body);
    expect(written).toContain('{\\"id\\":12345678901234567890,\\"x\\":1.0,\\"y\\":1e400}');
    expect(written).toContain('"maximum":9007199254740993');
  });

  test('a last message of the assistant is continued, where the server can', () => {
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'The answer is' },
    ];
    expect(translate({ messages }).body).toMatchObject({ continue_final_message: true, add_generation_prompt: false });
    const llama = translate({ messages }, fieldsOf('llama-server'));
    expect(llama.body).not.toHaveProperty('continue_final_message');
    expect(llama.asked.begun).toBe('The answer is');
    expect(() => translate({ messages }, fieldsOf('openai'))).toThrow(/messages\[1\]\.role must not be the assistant/);
  });
});

test('tools, their choice and the fields of sampling have counterparts', () => {
  const asked = translate({
    tools: [{ name: 'look', description: 'd', input_schema: { type: 'object' }, cache_control: null, type: 'custom' }],
    tool_choice: { type: 'any', disable_parallel_tool_use: true },
    stop_sequences: ['END'],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 4,
    metadata: { user_id: 'somebody' },
    output_config: { effort: 'low', format: { type: 'json_schema', schema: { type: 'object' } } },
  });
  expect(asked.body).toEqual({
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: 8,
    tools: [{ type: 'function', function: { name: 'look', description: 'd', parameters: { type: 'object' } } }],
    tool_choice: 'required',
    parallel_tool_calls: false,
    stop: ['END'],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 4,
    reasoning_effort: 'low',
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'answer', schema: { type: 'object' }, strict: true },
    },
  });
  expect(translate({ tool_choice: { type: 'tool', name: 'look' } }).body['tool_choice']).toEqual({
    type: 'function',
    function: { name: 'look' },
  });
});

test('thinking is asked for in the words of the kind', () => {
  const enabled = { thinking: { type: 'enabled', budget_tokens: 2048 } };
  const on = { chat_template_kwargs: { enable_thinking: true, thinking: true } };
  expect(translate(enabled).body).toMatchObject({ thinking_token_budget: 2048, ...on });
  expect(translate(enabled, fieldsOf('llama-server')).body).toMatchObject({ thinking_budget_tokens: 2048, ...on });
  for (const kind of ['sglang', 'lmstudio', 'openai'])
    expect(() => translate(enabled, fieldsOf(kind))).toThrow('thinking.budget_tokens');
  const disabled = { thinking: { type: 'disabled' } };
  expect(translate(disabled).body).toMatchObject({ chat_template_kwargs: { enable_thinking: false } });
  expect(translate(disabled, fieldsOf('openai')).body).not.toHaveProperty('chat_template_kwargs');
  expect(translate({ thinking: { type: 'adaptive', display: 'omitted' } }).asked.omitsThinking).toBe(true);
});

const user = (block: object): object => ({ messages: [{ role: 'user', content: [block] }] });

test.each<[string, object, string]>([
  ['an unknown field', { frobnicate: 1 }, 'frobnicate has no counterpart'],
  ['a name that is no name', { 'a b"c': 1 }, 'a field of the request has'],
  ['a length of zero', { max_tokens: 0 }, 'max_tokens must be a whole number above 0'],
  ['no length', { max_tokens: null }, 'max_tokens is required'],
  ['a container', { container: 'c' }, 'container has'],
  ['servers of MCP', { mcp_servers: [] }, 'mcp_servers has'],
  ['another speed', { speed: 'fast' }, 'speed has no counterpart there for "fast"'],
  ['other metadata', { metadata: { team: 'x' } }, 'metadata.team has'],
  ['a tool of Anthropic', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools[0].type has'],
  ['a deferred tool', { tools: [{ name: 'x', input_schema: {}, defer_loading: true }] }, 'tools[0].defer_loading has'],
  [
    'an image by its address',
    user({ type: 'image', source: { type: 'url', url: 'http://x/' } }),
    '.source.type must be',
  ],
  [
    'an image of another type',
    user({ type: 'image', source: { ...image.source, media_type: 'image/svg+xml' } }),
    'media_type',
  ],
  [
    'a document',
    user({ type: 'document', source: {} }),
    'messages[0].content[0].type has no counterpart there for "document"',
  ],
  ['citations', user({ type: 'text', text: 'x', citations: [{}] }), 'messages[0].content[0].citations has'],
  [
    'a result after text',
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x' },
            { type: 'tool_result', tool_use_id: 'c' },
          ],
        },
      ],
    },
    'must come before',
  ],
  [
    'hidden thoughts',
    { messages: [{ role: 'assistant', content: [{ type: 'redacted_thinking', data: 'x' }] }] },
    'content[0].type has',
  ],
  ['another role', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role has'],
  ['a message that is none', { messages: [7] }, 'messages[0] must be an object'],
])('%s is refused by its name', (_, body, sentence) => {
  expect(() => translate(body)).toThrow(sentence);
});

test('a length may be written with an exponent', () => {
  const body = '{"model":"m","max_tokens":1e3,"messages":[]}';
  expect(chatFromMessages(parseExactly(body), vllm).body).toMatchObject({ max_tokens: 1000 });
});

test('fields of other kinds are refused where the server does not read them', () => {
  expect(() => translate({ top_k: 1 }, fieldsOf('openai'))).toThrow('top_k');
  expect(() => translate({ output_config: { effort: 'max' } })).toThrow('output_config.effort');
});
