// Anthropic's messages and OpenAI's responses from servers that have neither route, by the official clients: what they get,
// what the server is asked, and that the call is counted, bounded and ended like any other.
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { anthropic } from '../model-servers/anthropic.ts';
import { type Heard, type ImitatedServer, type Imitation, imitate, type Said } from '../model-servers/imitation.ts';
import { llamaServer } from '../model-servers/llama-server.ts';
import { lmstudio } from '../model-servers/lmstudio.ts';
import { chatOf, older, plain } from '../model-servers/older.ts';
import { sglang } from '../model-servers/sglang.ts';
import { vllm } from '../model-servers/vllm.ts';

interface Case {
  readonly kind: string;
  readonly imitation: Imitation;
  readonly model: string;
  /** Its answer for a route that it does not have, if that is no 404. */
  readonly lacks?: Said;
}

const cases: readonly Case[] = [
  { kind: 'openai', imitation: plain, model: 'tiny' },
  { kind: 'vllm', imitation: vllm, model: 'Qwen/Qwen3-8B' },
  { kind: 'sglang', imitation: sglang, model: 'Qwen/Qwen3-8B' },
  { kind: 'llama-server', imitation: llamaServer, model: 'tiny.gguf' },
  {
    kind: 'lmstudio',
    imitation: lmstudio,
    model: 'gemma-3-270m-it-qat',
    lacks: { body: '{"error":"Unexpected endpoint or method. (POST /v1/messages). Returning 200 anyway"}' },
  },
];

const begin = (index: number, city: string): object => ({
  index,
  id: `call_${city}`,
  type: 'function',
  function: { name: 'weather', arguments: '' },
});
const piece = (index: number, text: string): object => ({ index, function: { arguments: text } });

/** Two calls of a tool whose pieces are mixed. */
const callPieces = [
  { content: '見てみます。' },
  { tool_calls: [begin(0, 'Tokyo'), begin(1, 'Osaka')] },
  { tool_calls: [piece(1, '{"city":'), piece(0, '{"city":"東')] },
  { tool_calls: [piece(0, '京"}'), piece(1, '"大阪"}')] },
];

function script(heard: Heard): Said {
  const { body } = heard;
  const messages = body['messages'] as readonly { role: string }[];
  if (messages.some(({ role }) => role === 'tool'))
    return chatOf(heard, [{ content: '晴れ' }, { content: 'です。' }], 'stop');
  if (body['tools'] !== undefined) return chatOf(heard, callPieces, 'tool_calls');
  if (body['response_format'] !== undefined)
    return chatOf(heard, [{ content: '{"sky":' }, { content: '"blue"}' }], 'stop');
  const thinks = [{ reasoning: 'Let me' }, { reasoning: ' think…' }];
  return chatOf(heard, [...thinks, { content: '空は' }, { content: '青い🌊' }], 'stop');
}

const schema = { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] };
const exact = {
  promptTokens: 12,
  completionTokens: 6,
  cacheReadTokens: 8,
  source: 'exact',
  outcome: 'completed',
} as const;

describe.each(cases)('$kind', ({ kind, imitation, model, lacks }) => {
  let server: ImitatedServer;
  let gate: TestGate;
  let secret: string;
  let rows = 0;
  let answer: (heard: Heard) => Said;
  let claude: Anthropic;
  let openai: OpenAI;

  beforeAll(async () => {
    server = await imitate(older(imitation, (heard) => answer(heard), lacks));
    gate = await openGate(server.url, { PROBE_SECONDS: '0.05' });
    ({ secret } = await gate.key());
    claude = new Anthropic({ baseURL: gate.url, apiKey: secret, authToken: null, maxRetries: 0 });
    openai = new OpenAI({ baseURL: `${gate.url}/v1`, apiKey: secret, maxRetries: 0 });
    await eventually(() => expect(gate.servers.all[0]?.kindName).toBe(kind));
  });
  beforeEach(() => {
    answer = script;
    server.state.isHeld = false;
    server.heard.length = 0;
  });
  afterAll(async () => {
    await gate.stop();
    server.close();
  });

  const asked = (): readonly Record<string, unknown>[] =>
    server.heard.filter(({ method }) => method === 'POST').map(({ url, body }) => ({ url, ...body }));
  /** Rows since the last look. */
  async function recorded(more: number): Promise<unknown[]> {
    rows += more;
    return (await gate.ledger(rows)).slice(-more);
  }

  const hello = [{ role: 'user' as const, content: 'なぜ?' }];

  test('is asked for the route itself once, and then translated', async () => {
    for (const client of [1, 2]) {
      const message = await claude.messages.create({ model, max_tokens: 16, messages: hello });
      expect(message.content.at(-1), String(client)).toEqual({ type: 'text', text: '空は青い🌊', citations: null });
    }
    for (const client of [1, 2]) {
      const response = await openai.responses.create({ model, input: 'なぜ?' });
      expect(response.output_text, String(client)).toBe('空は青い🌊');
    }
    expect(asked().map(({ url }) => url)).toEqual([
      '/v1/messages',
      '/v1/chat/completions',
      '/v1/chat/completions',
      '/v1/responses',
      '/v1/chat/completions',
      '/v1/chat/completions',
    ]);
    for (const row of await recorded(4)) expect(row).toMatchObject(exact);
  });

  test('answers messages, whole and streamed, with thoughts and usage', async () => {
    const thinking = { type: 'adaptive' as const };
    const whole = await claude.messages.create({ model, max_tokens: 16, messages: hello, thinking });
    const content = [
      { type: 'thinking', thinking: 'Let me think…', signature: '' },
      { type: 'text', text: '空は青い🌊', citations: null },
    ];
    const told = {
      input_tokens: 4,
      cache_read_input_tokens: 8,
      output_tokens: 6,
      output_tokens_details: { thinking_tokens: 2 },
    };
    expect(whole).toMatchObject({ model, role: 'assistant', content, stop_reason: 'end_turn', usage: told });
    const stream = claude.messages.stream({ model, max_tokens: 16, messages: hello, thinking });
    const pieces: string[] = [];
    stream.on('text', (text) => pieces.push(text));
    const last = await stream.finalMessage();
    expect(pieces).toEqual(['空は', '青い🌊']);
    expect(last).toMatchObject({ model, content, stop_reason: 'end_turn', usage: told });
    for (const row of await recorded(2)) expect(row).toMatchObject(exact);
    expect(asked()[1]).toMatchObject({ max_tokens: 16, stream: true, stream_options: { include_usage: true } });
  });

  test('plays a conversation with tools over two turns of messages', async () => {
    const tools = [{ name: 'weather', description: 'd', input_schema: schema }];
    const message = await claude.messages.stream({ model, max_tokens: 64, messages: hello, tools }).finalMessage();
    expect(message).toMatchObject({
      stop_reason: 'tool_use',
      content: [
        { type: 'text', text: '見てみます。' },
        { type: 'tool_use', id: 'call_Tokyo', name: 'weather', input: { city: '東京' } },
        { type: 'tool_use', id: 'call_Osaka', name: 'weather', input: { city: '大阪' } },
      ],
    });
    const results = [
      { type: 'tool_result' as const, tool_use_id: 'call_Tokyo', content: '晴れ' },
      { type: 'tool_result' as const, tool_use_id: 'call_Osaka', content: [{ type: 'text' as const, text: '雨' }] },
    ];
    const second = await claude.messages.create({
      model,
      max_tokens: 64,
      tools,
      messages: [
        ...hello,
        { role: 'assistant', content: message.content },
        { role: 'user', content: [...results, { type: 'text', text: 'つまり?' }] },
      ],
    });
    expect(second.content).toMatchObject([{ type: 'text', text: '晴れです。' }]);
    const wanted = (city: string, name: string): object => ({
      id: `call_${city}`,
      type: 'function',
      function: { name: 'weather', arguments: `{"city":"${name}"}` },
    });
    expect(asked()[1]?.['messages']).toEqual([
      { role: 'user', content: 'なぜ?' },
      { role: 'assistant', content: '見てみます。', tool_calls: [wanted('Tokyo', '東京'), wanted('Osaka', '大阪')] },
      { role: 'tool', tool_call_id: 'call_Tokyo', content: '晴れ' },
      { role: 'tool', tool_call_id: 'call_Osaka', content: '雨' },
      { role: 'user', content: 'つまり?' },
    ]);
    const function_ = { name: 'weather', description: 'd', parameters: schema };
    expect(asked()[1]?.['tools']).toEqual([{ type: 'function', function: function_ }]);
    for (const row of await recorded(2)) expect(row).toMatchObject(exact);
  });

  test('takes images and holds answers to a schema', async () => {
    const image = { type: 'base64' as const, media_type: 'image/png' as const, data: 'iVBORw0KGgo=' };
    const message = await claude.messages.create({
      model,
      max_tokens: 64,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: image },
            { type: 'text', text: '何色?' },
          ],
        },
      ],
      output_config: { format: { type: 'json_schema', schema } },
    });
    expect(message.content).toMatchObject([{ type: 'text', text: '{"sky":"blue"}' }]);
    const response = await openai.responses.create({
      model,
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'auto' },
            { type: 'input_text', text: '何色?' },
          ],
        },
      ],
      text: { format: { type: 'json_schema', name: 'sky', schema, strict: true } },
    });
    expect(response.output_text).toBe('{"sky":"blue"}');
    for (const body of asked()) {
      const [{ content }] = body['messages'] as [{ content: { type: string; image_url?: { url: string } }[] }];
      expect(content.map(({ type }) => type)).toEqual(['image_url', 'text']);
      expect(content[0]?.image_url?.url).toBe('data:image/png;base64,iVBORw0KGgo=');
      expect(body['response_format']).toMatchObject({ type: 'json_schema', json_schema: { schema } });
    }
    await recorded(2);
  });

  test('answers responses as a stream with the full sequence of events, thoughts and usage', async () => {
    const stream = openai.responses.stream({ model, input: 'なぜ?', max_output_tokens: 16, instructions: '短く' });
    const types: string[] = [];
    let text = '';
    for await (const event of stream) {
      if (types.at(-1) !== event.type) types.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    expect(text).toBe('空は青い🌊');
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const response = await stream.finalResponse();
    expect(response).toMatchObject({
      model,
      status: 'completed',
      instructions: '短く',
      store: false,
      output_text: '空は青い🌊',
      usage: {
        input_tokens: 12,
        input_tokens_details: { cached_tokens: 8 },
        output_tokens: 6,
        output_tokens_details: { reasoning_tokens: 2 },
        total_tokens: 18,
      },
    });
    expect(asked()[0]).toMatchObject({ max_tokens: 16, messages: [{ role: 'system', content: '短く' }, {}] });
    expect(await recorded(1)).toMatchObject([exact]);
  });

  test('plays a conversation with tools over two turns of responses', async () => {
    const tools = [{ type: 'function' as const, name: 'weather', parameters: schema, strict: true }];
    const first = await openai.responses.stream({ model, input: hello, tools }).finalResponse();
    const calls = first.output.filter((item) => item.type === 'function_call');
    expect(calls).toMatchObject([
      { call_id: 'call_Tokyo', name: 'weather', arguments: '{"city":"東京"}', status: 'completed' },
      { call_id: 'call_Osaka', name: 'weather', arguments: '{"city":"大阪"}', status: 'completed' },
    ]);
    const second = await openai.responses.create({
      model,
      tools,
      input: [
        ...hello,
        ...first.output.map((item) =>
          item.type === 'function_call'
            ? {
                type: item.type,
                call_id: item.call_id,
                name: item.name,
                arguments: item.arguments,
                id: item.id as string,
              }
            : (item as never),
        ),
        ...calls.map((call) => ({ type: 'function_call_output' as const, call_id: call.call_id, output: '晴れ' })),
      ],
    });
    expect(second.output_text).toBe('晴れです。');
    expect(((asked()[1]?.['messages'] ?? []) as { role: string }[]).map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'tool',
    ]);
    for (const row of await recorded(2)) expect(row).toMatchObject(exact);
  });

  test('refuses what cannot be translated by its name, in the words of the caller, and asks no server', async () => {
    const document = {
      type: 'document' as const,
      source: { type: 'text' as const, media_type: 'text/plain' as const, data: 'x' },
    };
    await expect(
      claude.messages.create({ model, max_tokens: 16, messages: [{ role: 'user', content: [document] }] }),
    ).rejects.toMatchObject({
      status: 400,
      error: {
        type: 'error',
        error: { type: 'invalid_request_error', message: expect.stringContaining('messages[0].content[0].type') },
      },
    });
    await expect(openai.responses.create({ model, input: 'x', previous_response_id: 'resp_1' })).rejects.toMatchObject({
      status: 400,
      code: 'untranslatable',
      type: 'invalid_request_error',
      message: expect.stringContaining('previous_response_id'),
    });
    expect(asked()).toEqual([]);
  });

  test('holds the answer to the plan', async () => {
    const { secret: bounded } = await gate.member({ maxOutputTokens: 7 });
    for (const [path, body] of [
      ['/v1/messages', { max_tokens: 5_000, messages: hello }],
      ['/v1/responses', { input: 'x' }],
    ] as const)
      expect((await post(gate.url + path, bounded, { model, ...body })).status).toBe(200);
    expect(asked().map((body) => body['max_tokens'])).toEqual([7, 7]);
    await recorded(2);
  });

  test('ends a stream with the error of the server, in the words of the caller', async () => {
    answer = (heard) => {
      const said = chatOf(heard, [{ content: '空' }], 'stop');
      return {
        ...said,
        body: [...(said.body as string[]).slice(0, 2), 'data: {"error":{"message":"out of memory"}}\n\n'],
      };
    };
    await expect(claude.messages.stream({ model, max_tokens: 16, messages: hello }).finalMessage()).rejects.toThrow(
      'out of memory',
    );
    const read = async (): Promise<void> => {
      for await (const _ of await openai.responses.create({ model, input: 'x', stream: true }));
    };
    await expect(read()).rejects.toThrow('out of memory');
    for (const row of await recorded(2)) expect(row).toMatchObject({ outcome: 'upstream_error' });
  });

  // What a server may send does not depend on its kind.
  test.each<[string, readonly string[]]>(
    kind !== 'openai'
      ? []
      : [
          [
            'arguments that are no JSON',
            [
              '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"n","arguments":"{]"}}]},"finish_reason":"tool_calls"}]}',
            ],
          ],
          ['an event that is no JSON', ['{"choices":[{"index":0']],
          [
            'a call with a wrong index',
            ['{"choices":[{"index":0,"delta":{"tool_calls":[{"index":-4,"function":{"name":"n"}}]}}]}'],
          ],
          ['no reason for its end', ['{"choices":[{"index":0,"delta":{"content":"x"}}]}']],
          ['an event without an end', [`{"choices":[{"index":0,"delta":{"content":"${'x'.repeat(2 * 1024 * 1024)}`]],
          [
            'ten thousand tool calls',
            Array.from(
              { length: 10_000 },
              (_, index) =>
                `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":${index},"id":"c${index}","function":{"name":"n","arguments":"{}"}}]}}]}`,
            ),
          ],
        ],
  )('ends the call of a server that sends %s', async (_, events) => {
    answer = () => ({ body: [...events.map((text) => `data: ${text}\n\n`), 'data: [DONE]\n\n'] });
    await expect(claude.messages.stream({ model, max_tokens: 16, messages: hello }).finalMessage()).rejects.toThrow(
      'The model server answered with',
    );
    expect(await recorded(1)).toMatchObject([{ outcome: 'failed' }]);
  });

  test('a caller who leaves frees the server', async () => {
    server.state.isHeld = true;
    const stream = claude.messages.stream({ model, max_tokens: 16, messages: hello });
    stream.on('streamEvent', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toThrow();
    await server.abandoned;
    expect(await recorded(1)).toMatchObject([{ outcome: 'client_closed' }]);
    await eventually(() => expect(gate.servers.all[0]?.inFlight).toBe(0));
  });

  test('counts the tokens of a prompt where the server can', async () => {
    const call = { model, system: '短く', messages: hello, tools: [{ name: 'weather', input_schema: schema }] };
    if (kind !== 'vllm') {
      await expect(claude.messages.countTokens(call)).rejects.toMatchObject({
        status: 501,
        error: { error: { code: 'upstream_lacks_route' } },
      });
      return;
    }
    expect(await claude.messages.countTokens(call)).toEqual({ input_tokens: 3 });
    expect(asked().at(-1)).toEqual({
      url: '/tokenize',
      model,
      messages: [{ role: 'system', content: '短く' }, ...hello],
      tools: [{ type: 'function', function: { name: 'weather', parameters: schema } }],
    });
  });
});

describe('anthropic', () => {
  let server: ImitatedServer;
  let gate: TestGate;
  let secret: string;
  let client: OpenAI;
  let say: (body: Heard['body']) => readonly object[];
  const model = 'claude-opus-4-6';
  const usage = { input_tokens: 1, cache_creation_input_tokens: 2, cache_read_input_tokens: 6, output_tokens: 1 };

  beforeAll(async () => {
    server = await imitate({
      ...anthropic,
      answer: (heard, state) => {
        const said = anthropic.answer(heard, state);
        if (heard.url !== '/v1/messages' || said?.status !== undefined) return said;
        return messageOf(heard, say(heard.body));
      },
    });
    gate = await openGate(server.url, { PROBE_SECONDS: '0.05' });
    ({ secret } = await gate.key());
    client = new OpenAI({ baseURL: `${gate.url}/v1`, apiKey: secret, maxRetries: 0 });
    await eventually(() => expect(gate.servers.all[0]?.kindName).toBe('anthropic'));
  });
  beforeEach(() => {
    server.heard.length = 0;
    say = () => [{ type: 'text', text: '空は青い🌊' }];
  });
  afterAll(async () => {
    await gate.stop();
    server.close();
  });

  /** The last call, between which and now the server may have been probed. */
  const last = (): Heard | undefined => server.heard.findLast(({ method }) => method === 'POST');

  /** A message of these blocks, whole or as events. */
  function messageOf({ body }: Heard, blocks: readonly object[]): Said {
    const stop = blocks.some((block) => 'input' in block) ? 'tool_use' : 'end_turn';
    const message = { id: 'msg_1', type: 'message', role: 'assistant', model, stop_sequence: null };
    const told = { ...usage, output_tokens: 6, output_tokens_details: { thinking_tokens: 2 } };
    if (body['stream'] !== true)
      return { body: JSON.stringify({ ...message, content: blocks, stop_reason: stop, usage: told }) };
    const events = [
      { type: 'message_start', message: { ...message, content: [], stop_reason: null, usage } },
      { type: 'ping' },
      ...blocks.flatMap((block, index) => eventsOf(block as Record<string, unknown>, index)),
      { type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: 6 } },
      { type: 'message_stop' },
    ];
    return { body: events.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`) };
  }

  function eventsOf(block: Record<string, unknown>, index: number): { type: string }[] {
    const [empty, deltas] =
      block['type'] === 'tool_use'
        ? [
            { ...block, input: {} },
            Array.from(Object.keys(block['input'] as object).length > 0 ? JSON.stringify(block['input']) : '').map(
              (char) => ({ type: 'input_json_delta', partial_json: char }),
            ),
          ]
        : block['type'] === 'thinking'
          ? [
              { ...block, thinking: '' },
              [
                { type: 'thinking_delta', thinking: block['thinking'] },
                { type: 'signature_delta', signature: 's' },
              ],
            ]
          : [{ type: 'text', text: '' }, [{ type: 'text_delta', text: block['text'] }]];
    return [
      { type: 'content_block_start', index, content_block: empty } as never,
      ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
      { type: 'content_block_stop', index } as never,
    ];
  }

  const messages = [{ role: 'user' as const, content: 'なぜ?' }];
  const counted = { promptTokens: 9, completionTokens: 6, cacheReadTokens: 6, source: 'exact', outcome: 'completed' };

  test('answers chats, whole and streamed, with usage where it is asked for', async () => {
    const whole = await client.chat.completions.create({ model, messages });
    expect(whole).toMatchObject({
      object: 'chat.completion',
      model,
      choices: [{ index: 0, message: { role: 'assistant', content: '空は青い🌊' }, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 6,
        total_tokens: 15,
        prompt_tokens_details: { cached_tokens: 6 },
        completion_tokens_details: { reasoning_tokens: 2 },
      },
    });
    for (const include_usage of [false, true]) {
      let text = '';
      const usages = [];
      const stream = await client.chat.completions.create({
        model,
        messages,
        stream: true,
        stream_options: { include_usage },
      });
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (chunk.usage) usages.push(chunk.usage.total_tokens);
      }
      expect(text).toBe('空は青い🌊');
      expect(usages).toEqual(include_usage ? [15] : []);
    }
    expect(last()).toMatchObject({
      url: '/v1/messages',
      headers: { 'anthropic-version': '2023-06-01' },
      body: { model, max_tokens: 4096, stream: true, messages },
    });
    expect(last()?.body).not.toHaveProperty('stream_options');
    for (const row of await gate.ledger(3)) expect(row).toMatchObject(counted);
  });

  test('plays a conversation with tools over two turns of a chat', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: schema } }];
    say = ({ messages: heard }) =>
      (heard as unknown[]).length > 1
        ? [{ type: 'text', text: '晴れです。' }]
        : [
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'text', text: '見てみます。' },
            { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: '東京' } },
            { type: 'tool_use', id: 'toolu_2', name: 'weather', input: {} },
          ];
    const first = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    const [choice] = first.choices;
    expect(choice).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: '見てみます。', reasoning_content: 'hm' },
    });
    expect(choice?.message.tool_calls).toMatchObject([
      { id: 'toolu_1', function: { name: 'weather', arguments: '{"city":"東京"}' } },
      { id: 'toolu_2', function: { name: 'weather', arguments: '{}' } },
    ]);
    const second = await client.chat.completions.create({
      model,
      tools,
      parallel_tool_calls: false,
      max_completion_tokens: 64,
      messages: [
        { role: 'system', content: '短く' },
        ...messages,
        choice?.message as never,
        { role: 'tool', tool_call_id: 'toolu_1', content: '晴れ' },
        { role: 'tool', tool_call_id: 'toolu_2', content: '雨' },
        { role: 'user', content: 'つまり?' },
      ],
    });
    expect(second.choices[0]?.message.content).toBe('晴れです。');
    expect(last()?.body).toMatchObject({
      max_tokens: 64,
      system: [{ type: 'text', text: '短く' }],
      tools: [{ name: 'weather', input_schema: schema }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      messages: [
        { role: 'user', content: 'なぜ?' },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: '見てみます。' },
            { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: '東京' } },
            { type: 'tool_use', id: 'toolu_2', name: 'weather', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: '晴れ' }] },
            { type: 'tool_result', tool_use_id: 'toolu_2', content: [{ type: 'text', text: '雨' }] },
          ],
        },
        { role: 'user', content: 'つまり?' },
      ],
    });
  });

  test("answers Ollama's chats and OpenAI's responses by translating twice", async () => {
    const rows = (await gate.ledger(0)).length;
    const ollama = new Ollama({ host: gate.url, headers: { 'x-api-key': secret } });
    const options = { num_predict: 20, top_k: 3 };
    const whole = await ollama.chat({ model, messages, options });
    expect(whole).toMatchObject({
      model,
      message: { content: '空は青い🌊' },
      done_reason: 'stop',
      prompt_eval_count: 9,
      eval_count: 6,
    });
    expect(last()?.body).toEqual({ model, max_tokens: 20, top_k: 3, messages, stream: false });
    let text = '';
    for await (const part of await ollama.chat({ model, messages, options, stream: true }))
      text += part.message.content;
    expect(text).toBe('空は青い🌊');
    expect((await client.responses.create({ model, input: 'なぜ?' })).output_text).toBe('空は青い🌊');
    say = () => [
      { type: 'thinking', thinking: 'hm', signature: 's' },
      { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: '東京' } },
    ];
    const tools = [{ type: 'function' as const, name: 'weather', parameters: schema, strict: null }];
    const response = await client.responses.stream({ model, input: 'なぜ?', tools }).finalResponse();
    expect(response).toMatchObject({
      output: [
        { type: 'reasoning', content: [{ text: 'hm' }] },
        { type: 'function_call', call_id: 'toolu_1', arguments: '{"city":"東京"}' },
      ],
      usage: { input_tokens: 9, input_tokens_details: { cached_tokens: 6 }, output_tokens: 6 },
    });
    const function_ = { name: 'weather', description: 'd', parameters: schema as never };
    const called = await ollama.chat({ model, messages, tools: [{ type: 'function', function: function_ }] });
    expect(called.message).toMatchObject({
      thinking: 'hm',
      tool_calls: [{ function: { name: 'weather', arguments: { city: '東京' } } }],
    });
    expect(new Set(server.heard.filter(({ method }) => method === 'POST').map(({ url }) => url))).toEqual(
      new Set(['/v1/messages']),
    );
    for (const row of (await gate.ledger(rows + 5)).slice(rows)) expect(row).toMatchObject(counted);
    await expect(ollama.chat({ model, messages, options: { seed: 1 } })).rejects.toThrow('seed');
    await expect(ollama.embed({ model, input: 'x' })).rejects.toMatchObject({ status_code: 501 });
  });

  test('refuses what cannot be translated by its name', async () => {
    for (const [body, name] of [
      [{ n: 2 }, 'n must be 1'],
      [{ seed: 1 }, 'seed has'],
      [{ temperature: 1.5 }, 'temperature must not be above 1'],
      [{ logprobs: true }, 'logprobs has'],
      [{ response_format: { type: 'json_object' } }, 'response_format.type has'],
    ] as const)
      await expect(client.chat.completions.create({ model, messages, ...body })).rejects.toMatchObject({
        status: 400,
        code: 'untranslatable',
        message: expect.stringContaining(name),
      });
    expect(server.heard.filter(({ method }) => method === 'POST')).toEqual([]);
  });
});
