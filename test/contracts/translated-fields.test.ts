// The tables of docs/model-servers.md about the fields of translated calls, cell by cell: each row has calls, and what the
// real translation makes of them for a server of each kind. A row without calls, and a name in a row that no call shows, fail.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/domain/error.ts';
import { plainName } from '../../src/gateway/model-names.ts';
import { operations } from '../../src/gateway/operation.ts';
import { CallTranslation, type Translating } from '../../src/gateway/translate/call-translation.ts';
import { kindNamed } from '../../src/upstream/kinds.ts';
import { knownFrom } from '../../src/upstream/known-models.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/model-servers.md'), 'utf8');

type Body = Readonly<Record<string, unknown>>;
type Kind = 'llama-server' | 'vllm' | 'sglang' | 'lmstudio' | 'openai' | 'ollama' | 'anthropic';

const templated: readonly Kind[] = ['llama-server', 'vllm', 'sglang'];
const plain: readonly Kind[] = ['lmstudio', 'openai', 'anthropic'];
/** The kinds of OpenAI's family. */
const family: readonly Kind[] = ['llama-server', 'vllm', 'sglang', 'lmstudio', 'openai'];
const loadedContext = 4096;

/** What a server of the kind gets, or the refusal. */
function sent(path: string, kind: Kind, body: Body): { readonly path: string; readonly body: Body } | GatewayError {
  const operation = operations.find((each) => each.path === path && each.body === 'json');
  if (!operation) throw new Error(`There is no ${path}.`);
  const has = kind === 'anthropic' ? ['/v1/messages'] : ['/v1/chat/completions', '/v1/completions'];
  const server = {
    kind: kindNamed(kind),
    routes: {},
    mayHave: (route: string) => has.includes(route),
    models: knownFrom([]),
    details: { contextOf: () => loadedContext },
    health: { up: true },
  } as unknown as Translating;
  const bytes = Buffer.from(JSON.stringify({ model: 'm', ...body }));
  const call = CallTranslation.of({
    operation,
    models: [plainName('m')],
    stream: false,
    usageInjected: false,
    body: bytes,
    figured: undefined,
  });
  if (!call) throw new Error(`${path} is not translated.`);
  try {
    const opened = call.openFor(server, false);
    return { path: opened.sending.served.path, body: JSON.parse(String(opened.body.bytes())) as Body };
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
}

/** `refused`: with the name of the field. `nothing`: the server gets the same as without it. An object: a part of what it gets. */
type Outcome = { readonly refused: string } | 'nothing' | { readonly gets: Body; readonly at?: string };
type Case = readonly [kinds: readonly Kind[], asks: Body, outcome: Outcome, path?: string];

const refused = (field: string): Outcome => ({ refused: field });
const gets = (body: Body, at?: string): Outcome => (at === undefined ? { gets: body } : { gets: body, at });

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const pictures: readonly (readonly [type: string, data: string])[] = [
  ['png', png],
  ['jpeg', '/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//'],
  ['gif', 'R0lGODlhAQABAAAAACwAAAAAAQABAAA='],
  ['webp', 'UklGRhYAAABXRUJQVlA4TAoAAAAvAAAAAP8B/wE='],
];
const schema = { type: 'object', properties: { city: { type: 'string' } } };
const named = { name: 'weather', parameters: schema };
const tools = [{ type: 'function', function: named }];
const user = { role: 'user', content: 'x' };
const text = (words: string): Body => ({ type: 'text', text: words });
const begun = { role: 'assistant', content: 'It is' };
const called = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } };
const strict = { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } };

interface Table {
  readonly title: string;
  readonly path: string;
  readonly base: Body;
  readonly rows: Readonly<Record<string, readonly Case[]>>;
}

const generate = '/api/generate';
const ollama: Table = {
  title: '**`/api/chat` and `/api/generate` on `/v1/chat/completions`**',
  path: '/api/chat',
  base: { messages: [user] },
  rows: {
    '`messages`; `system` and `prompt`': [
      [family, {}, gets({ messages: [user] }, '/v1/chat/completions')],
      [
        family,
        { messages: undefined, system: 's', prompt: 'p' },
        gets(
          {
            messages: [
              { role: 'system', content: 's' },
              { role: 'user', content: 'p' },
            ],
          },
          '/v1/chat/completions',
        ),
        generate,
      ],
    ],
    'a last message of the assistant without tool calls': [
      [['llama-server'], { messages: [user, begun] }, gets({ messages: [user, begun] })],
      [['anthropic'], { messages: [user, begun] }, gets({ messages: [user, { ...begun, content: [text('It is')] }] })],
      [
        ['vllm', 'sglang'],
        { messages: [user, begun] },
        gets({ continue_final_message: true, add_generation_prompt: false }),
      ],
      [['lmstudio', 'openai'], { messages: [user, begun] }, refused('messages[1]')],
    ],
    '`images` of a user’s message (PNG, JPEG, GIF, WebP, BMP)': pictures
      .concat([['bmp', 'Qk06AAAAAAAAADYAAAAoAAAAAQAAAAEAAAABABgAAAAAAAQAAAA=']])
      .map(([type, data]) => [
        family,
        { messages: [{ ...user, images: [data] }] },
        gets({
          messages: [
            {
              role: 'user',
              content: [
                { type: 'text', text: 'x' },
                { type: 'image_url', image_url: { url: `data:image/${type};base64,${data}` } },
              ],
            },
          ],
        }),
      ]),
    '`tool_calls`, messages with the role `tool`': [
      [
        family,
        {
          messages: [
            user,
            {
              role: 'assistant',
              content: '',
              tool_calls: [{ function: { name: 'weather', arguments: { city: 'Oslo' } } }],
            },
            { role: 'tool', tool_name: 'weather', content: 'rain' },
          ],
        },
        gets({
          messages: [
            user,
            { role: 'assistant', content: '', tool_calls: [{ ...called, id: 'call_1_0' }] },
            { role: 'tool', content: 'rain', tool_call_id: 'call_1_0' },
          ],
        }),
      ],
    ],
    '`thinking` of an earlier answer': [
      [
        ['llama-server', 'sglang'],
        { messages: [user, { ...begun, thinking: 'hm' }, user] },
        gets({ messages: [user, { ...begun, reasoning_content: 'hm' }, user] }),
      ],
      [
        ['vllm'],
        { messages: [user, { ...begun, thinking: 'hm' }, user] },
        gets({ messages: [user, { ...begun, reasoning: 'hm' }, user] }),
      ],
      [
        ['lmstudio', 'openai'],
        { messages: [user, { ...begun, thinking: 'hm' }, user] },
        gets({ messages: [user, begun, user] }),
      ],
    ],
    '`tools` of the type `function`': [[family, { tools }, gets({ tools })]],
    '`format`: `"json"`, a schema': [
      [
        ['llama-server', 'vllm', 'sglang', 'openai'],
        { format: 'json' },
        gets({ response_format: { type: 'json_object' } }),
      ],
      [
        ['lmstudio'],
        { format: 'json' },
        gets({ response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } } }),
      ],
      [family, { format: schema }, gets({ response_format: strict })],
    ],
    '`think`: true, false': [
      [templated, { think: true }, gets({ chat_template_kwargs: { enable_thinking: true, thinking: true } })],
      [templated, { think: false }, gets({ chat_template_kwargs: { enable_thinking: false, thinking: false } })],
      [plain, { think: true }, refused('think')],
    ],
    '`think`: `low`, `medium`, `high`': ['low', 'medium', 'high'].flatMap((think): readonly Case[] => [
      [
        templated,
        { think },
        gets({
          reasoning_effort: think,
          chat_template_kwargs: { enable_thinking: true, thinking: true, reasoning_effort: think },
        }),
      ],
      [['openai'], { think }, gets({ reasoning_effort: think })],
      [['lmstudio'], { think }, refused('think')],
    ]),
    '`logprobs`, `top_logprobs`': [
      [
        ['llama-server', 'vllm', 'sglang', 'openai'],
        { logprobs: true, top_logprobs: 2 },
        gets({ logprobs: true, top_logprobs: 2 }),
      ],
      [['lmstudio'], { logprobs: true, top_logprobs: 2 }, refused('logprobs')],
    ],
    '`options`: `num_predict`, `temperature`, `top_p`, `seed`, `stop`, `presence_penalty`, `frequency_penalty`': [
      [
        family,
        {
          options: {
            num_predict: 7,
            temperature: 0.5,
            top_p: 0.9,
            seed: 3,
            stop: ['.'],
            presence_penalty: 0.1,
            frequency_penalty: 0.2,
          },
        },
        gets({
          max_tokens: 7,
          temperature: 0.5,
          top_p: 0.9,
          seed: 3,
          stop: ['.'],
          presence_penalty: 0.1,
          frequency_penalty: 0.2,
        }),
      ],
      [family, { options: { num_predict: -1 } }, 'nothing'],
    ],
    '`options`: `top_k`, `min_p`, `typical_p`, `repeat_penalty`, `repeat_last_n`': (
      [
        [
          'llama-server',
          {
            top_k: 'top_k',
            min_p: 'min_p',
            typical_p: 'typical_p',
            repeat_penalty: 'repeat_penalty',
            repeat_last_n: 'repeat_last_n',
          },
        ],
        ['vllm', { top_k: 'top_k', min_p: 'min_p', repeat_penalty: 'repetition_penalty' }],
        ['sglang', { top_k: 'top_k', min_p: 'min_p', repeat_penalty: 'repetition_penalty' }],
        ['lmstudio', { top_k: 'top_k', repeat_penalty: 'repeat_penalty' }],
        ['openai', {}],
      ] as readonly (readonly [Kind, Readonly<Record<string, string>>])[]
    ).flatMap(([kind, takes]) =>
      ['top_k', 'min_p', 'typical_p', 'repeat_penalty', 'repeat_last_n'].map((name): Case => {
        const own = takes[name];
        return [
          [kind],
          { options: { [name]: 1 } },
          own === undefined ? refused(`options.${name}`) : gets({ [own]: 1 }),
        ];
      }),
    ),
    '`options.num_ctx`': [
      [family, { options: { num_ctx: loadedContext } }, 'nothing'],
      [family, { options: { num_ctx: loadedContext + 1 } }, refused('options.num_ctx')],
    ],
    '`keep_alive`': [
      [family, { keep_alive: '5m' }, 'nothing'],
      [family, { keep_alive: 0 }, refused('keep_alive')],
    ],
    '`truncate: false`, `shift: false`': [[family, { truncate: false, shift: false }, 'nothing']],
    '`raw`': [
      [
        family,
        { messages: undefined, prompt: 'p', raw: true, options: { num_predict: 7 } },
        gets({ prompt: 'p', max_tokens: 7 }, '/v1/completions'),
        generate,
      ],
      [family, { messages: undefined, prompt: 'p', raw: true }, refused('raw'), generate],
      ...(
        [
          ['images', { images: [png] }, 'images'],
          ['format', { format: 'json' }, 'raw'],
          ['think', { think: 'low' }, 'raw'],
          ['logprobs', { logprobs: true }, 'raw'],
        ] as const
      ).map(
        ([, asks, field]): Case => [
          ['vllm'],
          { messages: undefined, prompt: 'p', raw: true, options: { num_predict: 7 }, ...asks },
          refused(field),
          generate,
        ],
      ),
    ],
    '`suffix`, `template`, `context`, `truncate: true`, `shift: true`, other options and all others': [
      ...(
        [
          ['suffix', 's'],
          ['template', 't'],
          ['context', [1]],
          ['truncate', true],
          ['shift', true],
        ] as const
      ).map(
        ([name, value]): Case => [family, { messages: undefined, prompt: 'p', [name]: value }, refused(name), generate],
      ),
      [family, { options: { mirostat: 1 } }, refused('options.mirostat')],
      [family, { of_a_later_version: 1 }, refused('of_a_later_version')],
    ],
  },
};

const claudeTool = { name: 'weather', input_schema: schema };
const use = { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Oslo' } };
const thought = { type: 'thinking', thinking: 'hm', signature: 'x' };
const messages: Table = {
  title: '**`/v1/messages` on `/v1/chat/completions`**',
  path: '/v1/messages',
  base: { max_tokens: 8, messages: [user] },
  rows: {
    '`system`, messages with the role `system`': [
      [
        family,
        {
          system: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
          messages: [user, { role: 'system', content: 'c' }],
        },
        gets({ messages: [{ role: 'system', content: 'a\n\nb' }, user, { role: 'system', content: 'c' }] }),
      ],
    ],
    '`tool_result`': [
      [
        family,
        {
          messages: [
            user,
            { role: 'assistant', content: [use] },
            {
              role: 'user',
              content: [
                { type: 'tool_result', tool_use_id: 'call_1', is_error: true, content: 'rain' },
                { type: 'text', text: 'y' },
              ],
            },
          ],
        },
        gets({
          messages: [
            user,
            { role: 'assistant', content: null, tool_calls: [called] },
            { role: 'tool', tool_call_id: 'call_1', content: 'Error:\n\nrain' },
            { role: 'user', content: 'y' },
          ],
        }),
      ],
    ],
    '`tool_use`': [
      [
        family,
        {
          messages: [
            user,
            { role: 'assistant', content: [use] },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'r' }] },
          ],
        },
        gets({
          messages: [
            user,
            { role: 'assistant', content: null, tool_calls: [called] },
            { role: 'tool', tool_call_id: 'call_1', content: 'r' },
          ],
        }),
      ],
    ],
    '`thinking` blocks': (
      [
        [['llama-server', 'sglang'], { reasoning_content: 'hm' }],
        [['vllm'], { reasoning: 'hm' }],
        [['lmstudio', 'openai', 'ollama'], {}],
      ] as readonly (readonly [readonly Kind[], Body])[]
    ).map(([kinds, given]) => [
      kinds,
      { messages: [user, { role: 'assistant', content: [thought, { type: 'text', text: 'a' }] }, user] },
      gets({ messages: [user, { role: 'assistant', content: 'a', ...given }, user] }),
    ]),
    '`tools`, `tool_choice`, `disable_parallel_tool_use`': [
      [
        family,
        { tools: [claudeTool], tool_choice: { type: 'any', disable_parallel_tool_use: true } },
        gets({ tools, tool_choice: 'required', parallel_tool_calls: false }),
      ],
    ],
    '`max_tokens`, `stop_sequences`, `temperature`, `top_p`': [
      [
        family,
        { max_tokens: 7, stop_sequences: ['.'], temperature: 0.5, top_p: 0.9 },
        gets({ max_tokens: 7, stop: ['.'], temperature: 0.5, top_p: 0.9 }),
      ],
    ],
    '`top_k`': [
      [['llama-server', 'vllm', 'sglang', 'lmstudio'], { top_k: 5 }, gets({ top_k: 5 })],
      [['openai', 'ollama'], { top_k: 5 }, refused('top_k')],
    ],
    '`thinking`: `enabled` with `budget_tokens`': (
      [
        ['llama-server', 'thinking_budget_tokens'],
        ['vllm', 'thinking_token_budget'],
        ['sglang', undefined],
        ['lmstudio', undefined],
        ['openai', undefined],
      ] as readonly (readonly [Kind, string | undefined])[]
    ).map(([kind, own]) => [
      [kind],
      { thinking: { type: 'enabled', budget_tokens: 1024 } },
      own === undefined
        ? refused('thinking.budget_tokens')
        : gets({ [own]: 1024, chat_template_kwargs: { enable_thinking: true } }),
    ]),
    '`thinking`: `disabled`; `adaptive`': [
      [templated, { thinking: { type: 'disabled' } }, gets({ chat_template_kwargs: { enable_thinking: false } })],
      [['lmstudio', 'openai'], { thinking: { type: 'disabled' } }, 'nothing'],
      [family, { thinking: { type: 'adaptive' } }, 'nothing'],
    ],
    '`display`': ['omitted', 'summarized'].map((display) => [
      family,
      { thinking: { type: 'adaptive', display } },
      'nothing',
    ]),
    '`output_config`: `effort`, `format`': [
      [['vllm', 'sglang', 'openai'], { output_config: { effort: 'low' } }, gets({ reasoning_effort: 'low' })],
      [
        ['llama-server'],
        { output_config: { effort: 'low' } },
        gets({ chat_template_kwargs: { reasoning_effort: 'low' } }),
      ],
      [['vllm'], { output_config: { effort: 'max' } }, refused('output_config.effort')],
      [family, { output_config: { format: { type: 'json_schema', schema } } }, gets({ response_format: strict })],
    ],
    'a last message of the assistant': [
      [['llama-server'], { messages: [user, begun] }, gets({ messages: [user, begun] })],
      [
        ['vllm', 'sglang'],
        { messages: [user, begun] },
        gets({ continue_final_message: true, add_generation_prompt: false }),
      ],
      [['lmstudio', 'openai', 'ollama'], { messages: [user, begun] }, refused('messages[1].role')],
    ],
    '`cache_control`, `eager_input_streaming`': [
      [family, { cache_control: { type: 'ephemeral' } }, 'nothing'],
      [
        family,
        { tools: [{ ...claudeTool, cache_control: { type: 'ephemeral' }, eager_input_streaming: true }] },
        gets({ tools }),
      ],
    ],
    '`metadata.user_id`': [[family, { metadata: { user_id: 'u' } }, 'nothing']],
    '`service_tier`, `speed: standard`, `context_management` that keeps all thoughts': [
      [
        family,
        {
          service_tier: 'auto',
          speed: 'standard',
          context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
        },
        'nothing',
      ],
    ],
    'documents, citations, tools of Anthropic’s servers, `container`, `mcp_servers` and all others': [
      [
        family,
        { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'text', data: 'x' } }] }] },
        refused('messages[0].content[0].type'),
      ],
      [
        family,
        { messages: [{ role: 'user', content: [{ type: 'text', text: 'x', citations: [{}] }] }] },
        refused('messages[0].content[0].citations'),
      ],
      [family, { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, refused('tools[0].type')],
      [family, { container: 'c' }, refused('container')],
      [family, { mcp_servers: [{}] }, refused('mcp_servers')],
      [family, { of_a_later_version: 1 }, refused('of_a_later_version')],
    ],
  },
};

const responses: Table = {
  title: '**`/v1/responses` on `/v1/chat/completions`**',
  path: '/v1/responses',
  base: { input: 'x' },
  rows: {
    '`instructions`, `input`': [
      [
        ['vllm'],
        {
          instructions: 'i',
          input: [
            { role: 'developer', content: 'd' },
            { role: 'user', content: 'x' },
            { type: 'reasoning', id: 'r', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
            { role: 'assistant', content: 'a' },
            { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' },
            { type: 'function_call_output', call_id: 'call_1', output: 'rain' },
          ],
        },
        gets({
          messages: [
            { role: 'system', content: 'i' },
            { role: 'system', content: 'd' },
            user,
            { role: 'assistant', reasoning: 'hm', content: 'a', tool_calls: [called] },
            { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
          ],
        }),
      ],
    ],
    '`function_call_output`': [
      [
        family,
        {
          input: [
            user,
            { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' },
            {
              type: 'function_call_output',
              call_id: 'call_1',
              output: [
                { type: 'input_text', text: 'rain' },
                { type: 'input_image', image_url: `data:image/png;base64,${png}` },
              ],
            },
          ],
        },
        gets({
          messages: [
            user,
            { role: 'assistant', content: null, tool_calls: [called] },
            { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
            { role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }] },
          ],
        }),
      ],
    ],
    '`tools` of the type `function`, `tool_choice`, `parallel_tool_calls`': [
      [
        family,
        { tools: [{ type: 'function', ...named }], tool_choice: 'required', parallel_tool_calls: false },
        gets({ tools, tool_choice: 'required', parallel_tool_calls: false }),
      ],
    ],
    '`text.format`': [
      [
        family,
        { text: { format: { type: 'json_schema', name: 'answer', strict: true, schema } } },
        gets({ response_format: strict }),
      ],
    ],
    '`max_output_tokens`, `temperature`, `top_p`': [
      [
        family,
        { max_output_tokens: 7, temperature: 0.5, top_p: 0.9 },
        gets({ max_tokens: 7, temperature: 0.5, top_p: 0.9 }),
      ],
    ],
    '`reasoning.effort`, `reasoning.summary`': [
      [
        ['vllm', 'sglang', 'openai'],
        { reasoning: { effort: 'low', summary: 'auto' } },
        gets({ reasoning_effort: 'low' }),
      ],
      [['llama-server'], { reasoning: { effort: 'low' } }, gets({ chat_template_kwargs: { reasoning_effort: 'low' } })],
    ],
    '`metadata`': [[family, { metadata: { a: 'b' } }, 'nothing']],
    '`user`, `safety_identifier`, `prompt_cache_…`': [
      [family, { user: 'u', safety_identifier: 's', prompt_cache_key: 'k', prompt_cache_retention: '24h' }, 'nothing'],
    ],
    '`max_tool_calls`, `include` of `reasoning.encrypted_content` and tools, `stream_options`': [
      [
        family,
        {
          max_tool_calls: 3,
          include: ['reasoning.encrypted_content', 'web_search_call.action.sources'],
          stream_options: { include_obfuscation: false },
        },
        'nothing',
      ],
    ],
    '`previous_response_id`, `conversation`, `prompt`, `store: true`, `background: true`': (
      [
        ['previous_response_id', 'resp_1'],
        ['conversation', 'conv_1'],
        ['prompt', { id: 'p' }],
        ['store', true],
        ['background', true],
      ] as const
    ).map(([name, value]) => [family, { [name]: value }, refused(name)]),
    'other tools, other items, `top_logprobs`, `truncation: auto` and all others': [
      [family, { tools: [{ type: 'web_search' }] }, refused('tools[0].type')],
      [family, { input: [{ type: 'computer_call', id: 'c' }] }, refused('input[0].type')],
      [family, { top_logprobs: 2 }, refused('top_logprobs')],
      [family, { truncation: 'auto' }, refused('truncation')],
      [family, { store: false, text: { verbosity: 'medium' }, truncation: 'disabled' }, 'nothing'],
      [family, { of_a_later_version: 1 }, refused('of_a_later_version')],
    ],
  },
};

const toClaude: readonly Kind[] = ['anthropic'];
const completions: Table = {
  title: '**`/v1/chat/completions` on `/v1/messages`**',
  path: '/v1/chat/completions',
  base: { messages: [user] },
  rows: {
    'messages with the role `system` or `developer`': [
      [
        toClaude,
        {
          messages: [
            { role: 'system', content: 'a' },
            { role: 'developer', content: 'b' },
            user,
            { role: 'system', content: 'c' },
            user,
          ],
        },
        gets({
          system: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
          messages: [user, { role: 'system', content: [text('c')] }, user],
        }),
      ],
    ],
    'messages with the role `tool`': [
      [
        toClaude,
        {
          messages: [
            user,
            { role: 'assistant', content: null, tool_calls: [called, { ...called, id: 'call_2' }] },
            { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
            { role: 'tool', tool_call_id: 'call_2', content: 'sun' },
          ],
        },
        gets({
          messages: [
            user,
            { role: 'assistant', content: [use, { ...use, id: 'call_2' }] },
            {
              role: 'user',
              content: [
                { type: 'tool_result', tool_use_id: 'call_1', content: [text('rain')] },
                { type: 'tool_result', tool_use_id: 'call_2', content: [text('sun')] },
              ],
            },
          ],
        }),
      ],
    ],
    '`tool_calls`, `tools`, `tool_choice`, `parallel_tool_calls`': [
      [
        toClaude,
        {
          messages: [
            user,
            { role: 'assistant', content: null, tool_calls: [called] },
            { role: 'tool', tool_call_id: 'call_1', content: 'r' },
          ],
          tools,
          tool_choice: 'required',
          parallel_tool_calls: false,
        },
        gets({
          tools: [claudeTool],
          tool_choice: { type: 'any', disable_parallel_tool_use: true },
          messages: [
            user,
            { role: 'assistant', content: [use] },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: [text('r')] }] },
          ],
        }),
      ],
    ],
    '`max_tokens`, `max_completion_tokens`': [
      [toClaude, { max_tokens: 9, max_completion_tokens: 7 }, gets({ max_tokens: 7 })],
      [toClaude, {}, gets({ max_tokens: 4096 })],
    ],
    '`stop`, `temperature` (up to 1), `top_p`, `top_k`': [
      [
        toClaude,
        { stop: '.', temperature: 1, top_p: 0.9, top_k: 5 },
        gets({ stop_sequences: ['.'], temperature: 1, top_p: 0.9, top_k: 5 }),
      ],
      [toClaude, { temperature: 1.1 }, refused('temperature')],
    ],
    '`reasoning_effort`': [
      [toClaude, { reasoning_effort: 'low' }, gets({ output_config: { effort: 'low' } })],
      [toClaude, { reasoning_effort: 'none' }, gets({ thinking: { type: 'disabled' } })],
    ],
    '`response_format: json_schema`': [
      [toClaude, { response_format: strict }, gets({ output_config: { format: { type: 'json_schema', schema } } })],
    ],
    '`reasoning_content` of earlier answers': [
      [
        toClaude,
        { messages: [user, { ...begun, reasoning_content: 'hm' }, user] },
        gets({ messages: [user, { ...begun, content: [text('It is')] }, user] }),
      ],
    ],
    '`user`, `safety_identifier`, `prompt_cache_…`': [
      [
        toClaude,
        { user: 'u', safety_identifier: 's', prompt_cache_key: 'k', prompt_cache_retention: '24h' },
        'nothing',
      ],
    ],
    '`n` above 1, `seed`, `logprobs`, `logit_bias`, penalties, `json_object`, audio and all others': [
      ...(
        [
          ['n', 2],
          ['seed', 1],
          ['logprobs', true],
          ['logit_bias', { '1': 1 }],
          ['presence_penalty', 0.1],
          ['frequency_penalty', 0.1],
          ['audio', { voice: 'v' }],
          ['of_a_later_version', 1],
        ] as const
      ).map(([name, value]): Case => [toClaude, { [name]: value }, refused(name)]),
      [toClaude, { response_format: { type: 'json_object' } }, refused('response_format.type')],
      [toClaude, { store: false, verbosity: 'medium', modalities: ['text'] }, 'nothing'],
    ],
  },
};

/** Names of what the answer has, which other tests of translations hold. */
const ofAnswers: ReadonlySet<string> = new Set(['reasoning_text']);

const tables = [ollama, messages, responses, completions];

/** Field and meaning of each row of the table below the title. */
function rowsOf(title: string): readonly (readonly [field: string, becomes: string])[] {
  const lines = (page.split(title)[1] ?? '').split('\n').slice(1);
  const from = lines.findIndex((line) => line.startsWith('| ---'));
  const rows = lines.slice(from + 1);
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith('|')),
    )
    .map((line) => {
      const [, field = '', becomes = ''] = line.split('|').map((cell) => cell.trim());
      return [field.replaceAll("'", '’'), becomes];
    });
}

/** The names in code of a cell; of `store: true`, and of a name that ends in `…`, what comes before. */
const namesIn = (cell: string): readonly string[] =>
  Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) =>
    name
      .replaceAll('"', '')
      .replace(/…$/, '')
      .replace(/^(\w+): (?:true|false)$/, '$1'),
  );

describe.each(tables)('$title', ({ title, path: usual, base, rows }) => {
  const documented = rowsOf(title);

  test('every row of the document has calls, and no call is without a row', () => {
    expect(documented.map(([field]) => field)).toEqual(Object.keys(rows));
  });

  test.each(documented)('%s', (field, becomes) => {
    const shown: string[] = [];
    for (const [kinds, asks, outcome, path = usual] of rows[field] ?? [])
      for (const kind of kinds) {
        const what = `${kind} ${path} ${JSON.stringify(asks)}`;
        const got = sent(path, kind, { ...base, ...asks });
        shown.push(kind, JSON.stringify(asks), JSON.stringify(got instanceof GatewayError ? got.message : got));
        if (typeof outcome === 'object' && 'refused' in outcome) {
          expect(got, what).toBeInstanceOf(GatewayError);
          expect((got as GatewayError).code, what).toBe('untranslatable');
          expect((got as GatewayError).message, what).toContain(outcome.refused);
          shown.push('refused');
          continue;
        }
        if (got instanceof GatewayError) throw new Error(`${what}: ${got.message}`);
        if (outcome === 'nothing') {
          expect(got, what).toEqual(sent(path, kind, base));
          continue;
        }
        expect(got.body, what).toMatchObject(outcome.gets);
        if (outcome.at !== undefined) expect(got.path, what).toBe(outcome.at);
      }
    const all = shown.join('\n');
    for (const name of [...namesIn(field), ...namesIn(becomes)].filter((each) => !ofAnswers.has(each)))
      for (const part of name.split(/\.|: /)) expect(all, `${name} of the row`).toContain(part);
    expect(/refused/.test(becomes), 'says whether something is refused').toBe(shown.includes('refused'));
  });
});
