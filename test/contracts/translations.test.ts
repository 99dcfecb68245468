// What every translated call promises, for each kind of server of OpenAI's family that lacks the route: clients of Ollama's API get
// what they ask for, whole and streamed; nothing that they ask for is dropped; and the call is bounded, counted and ended as
// one that needs no translation.
import { type ChatResponse, Ollama } from 'ollama';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { answerOf, type Words } from '../model-servers/generation.ts';
import { type ImitatedServer, type Imitation, imitate } from '../model-servers/imitation.ts';
import { llamaServer } from '../model-servers/llama-server.ts';
import { lmstudio } from '../model-servers/lmstudio.ts';
import { plainOpenai } from '../model-servers/plain-openai.ts';
import { sglang } from '../model-servers/sglang.ts';
import { vllm } from '../model-servers/vllm.ts';

interface Case {
  readonly kind: string;
  readonly imitation: Imitation;
  readonly words: Words;
  /** Options beside OpenAI's, as the server gets them. */
  readonly sampling: Readonly<Record<string, number>>;
  /** Reasoning can be switched on, and given back. */
  readonly thinks: boolean;
  /** The member with the reasoning of an earlier answer. */
  readonly givesBack?: string;
  readonly json: object;
  readonly hasLogprobs: boolean;
  /** Contexts, where the server says them. */
  readonly context: number | undefined;
  /** What its list says that the model can do. */
  readonly capabilities?: readonly string[];
}

const usage = (completion: number): object => ({
  prompt_tokens: 9,
  completion_tokens: completion,
  total_tokens: 9 + completion,
});
const jsonObject = { type: 'json_object' };

const cases: readonly Case[] = [
  {
    kind: 'llama-server',
    imitation: llamaServer,
    words: { model: 'tiny.gguf', reasoning: 'reasoning_content', usage },
    sampling: { top_k: 5, min_p: 0.1, repeat_penalty: 1.1 },
    thinks: true,
    givesBack: 'reasoning_content',
    json: jsonObject,
    hasLogprobs: true,
    context: 256,
    capabilities: ['completion'],
  },
  {
    kind: 'vllm',
    imitation: vllm,
    words: { model: 'Qwen/Qwen3-8B', reasoning: 'reasoning', usage },
    sampling: { top_k: 5, min_p: 0.1, repetition_penalty: 1.1 },
    thinks: true,
    givesBack: 'reasoning',
    json: jsonObject,
    hasLogprobs: true,
    context: 40_960,
  },
  {
    kind: 'sglang',
    imitation: sglang,
    words: { model: 'Qwen/Qwen3-8B', reasoning: 'reasoning_content', usage },
    sampling: { top_k: 5, min_p: 0.1, repetition_penalty: 1.1 },
    thinks: true,
    givesBack: 'reasoning_content',
    json: jsonObject,
    hasLogprobs: true,
    context: 40_960,
  },
  {
    kind: 'lmstudio',
    imitation: lmstudio,
    words: { model: 'gemma-3-270m-it-qat', reasoning: 'reasoning_content', usage },
    sampling: { top_k: 5, repeat_penalty: 1.1 },
    thinks: false,
    json: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } },
    hasLogprobs: false,
    context: 4096,
    capabilities: ['completion'],
  },
  {
    kind: 'openai',
    imitation: plainOpenai,
    words: { model: 'some-model', reasoning: 'reasoning_content', usage },
    sampling: {},
    thinks: false,
    json: jsonObject,
    hasLogprobs: true,
    context: undefined,
  },
];

const messages = [{ role: 'user', content: 'なぜ?' }];
const said = '空は青い🌊';
/** One pixel each. */
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const jpeg = '/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//';
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};

describe.each(cases)(
  '$kind',
  ({ kind, imitation, words, sampling, thinks, givesBack, json, hasLogprobs, context, capabilities }) => {
    const { model } = words;
    let server: ImitatedServer;
    let gate: TestGate;
    let secret: string;
    let client: Ollama;
    let rows = 0;

    beforeAll(async () => {
      server = await imitate({
        ...imitation,
        answer: (heard, state) => {
          const answer = answerOf(heard, words) ?? imitation.answer(heard, state);
          // Held after the first piece with text.
          const pieces = state.isHeld && Array.isArray(answer?.body) ? answer.body.slice(0, 2) : undefined;
          return pieces ? { ...answer, body: [pieces.join('')] } : answer;
        },
      });
      gate = await openGate(server.url, { PROBE_SECONDS: '0.05' });
      ({ secret } = await gate.key());
      client = new Ollama({ host: gate.url, headers: { 'x-api-key': secret } });
      await eventually(() => {
        const [known] = gate.servers.all;
        expect(known?.kindName).toBe(kind);
        expect(known?.details.contextOf([...(known.models.names ?? [])][0] as string)).toBe(context);
      });
    });
    afterAll(async () => {
      await gate.stop();
      server.close();
    });
    beforeEach(() => {
      server.heard.length = 0;
    });

    /** What the server got with the last call. */
    const received = (): Readonly<Record<string, unknown>> =>
      server.heard.findLast(({ method }) => method === 'POST')?.body ?? {};
    const collect = async <T>(parts: AsyncIterable<T>): Promise<T[]> => {
      const found: T[] = [];
      for await (const part of parts) found.push(part);
      return found;
    };
    const streamed = async (more: object): Promise<ChatResponse[]> =>
      collect(await client.chat({ model, messages, ...more, stream: true }));
    const refusal = async (path: string, body: object): Promise<string> => {
      const answer = await post(gate.url + path, secret, { model, ...body });
      expect(answer.headers.get('x-sekisho-error-code')).toBe('untranslatable');
      return ((await answer.json()) as { error: string }).error;
    };
    /** The rows that calls have left since the last look. */
    const newRows = async (count: number): Promise<readonly unknown[]> => {
      const found = await eventually(async () => {
        // Refusals may share a row.
        const sent = (await gate.ledger(0)).filter(({ outcome }) => outcome !== 'refused');
        expect(sent.length).toBe(rows + count);
        return sent;
      });
      rows += count;
      return found.slice(-count);
    };

    test('chats, whole and streamed, and is counted exactly', async () => {
      const whole = await client.chat({ model, messages });
      expect(whole).toMatchObject({
        model,
        message: { role: 'assistant', content: said },
        done: true,
        done_reason: 'stop',
        prompt_eval_count: 9,
        eval_count: 4,
      });
      const parts = await streamed({});
      expect(parts.map(({ message, done }) => [message.content, done])).toEqual([
        ['空は', false],
        ['青い', false],
        ['🌊', false],
        ['', true],
      ]);
      expect(parts.at(-1)).toMatchObject({ model, done_reason: 'stop', prompt_eval_count: 9, eval_count: 4 });
      expect(parts.at(-1)?.total_duration).toBeGreaterThan(0);
      expect(new Date(String(whole.created_at)).getTime()).toBeGreaterThan(Date.now() - 60_000);
      expect(server.heard.filter(({ method }) => method === 'POST').map(({ url, body }) => [url, body])).toEqual([
        ['/v1/chat/completions', { model, messages, stream: false }],
        ['/v1/chat/completions', { model, messages, stream: true, stream_options: { include_usage: true } }],
      ]);
      for (const row of await newRows(2))
        expect(row).toMatchObject({ promptTokens: 9, completionTokens: 4, source: 'exact', outcome: 'completed' });
    });

    test('finds its model under any spelling of Ollama’s', async () => {
      const other = `${model.toUpperCase()}:LATEST`;
      expect(await client.chat({ model: other, messages })).toMatchObject({ model: other, message: { content: said } });
      expect(received()['model']).toBe(model);
      await newRows(1);
    });

    test('generates, whole and streamed, with a system message and without a template', async () => {
      const call = { model, prompt: 'なぜ?', system: 'Be short.' };
      expect(await client.generate(call)).toMatchObject({ model, response: said, done: true, eval_count: 4 });
      expect(received()['messages']).toEqual([{ role: 'system', content: 'Be short.' }, ...messages]);
      const parts = await collect(await client.generate({ ...call, stream: true }));
      expect(parts.map(({ response }) => response).join('')).toBe(said);
      const raw = { model, prompt: '<s>なぜ?', raw: true, options: { num_predict: 7 } };
      expect(await client.generate(raw)).toMatchObject({ response: said, done_reason: 'stop', eval_count: 4 });
      expect(received()).toEqual({ model, prompt: '<s>なぜ?', max_tokens: 7, stream: false });
      const rawParts = await collect(await client.generate({ ...raw, stream: true }));
      expect(rawParts.map(({ response }) => response).join('')).toBe(said);
      for (const row of await newRows(4)) expect(row).toMatchObject({ completionTokens: 4, source: 'exact' });
    });

    test('calls tools, and gets their results', async () => {
      const answers = [
        await client.chat({ model, messages, tools: [weather] }),
        ...(await streamed({ tools: [weather] })),
      ];
      const calls = answers.flatMap(({ message }) => message.tool_calls ?? []);
      const call = { id: 'call-1', function: { index: 0, name: 'weather', arguments: { city: '東京' } } };
      expect(calls).toMatchObject([call, call]);
      expect(received()['tools']).toEqual([weather]);
      expect(answers.map(({ done_reason: reason }) => reason).filter(Boolean)).toEqual(['stop', 'stop']);
      const two = [
        { id: 'a', function: { name: 'weather', arguments: { city: '東京' } } },
        { function: { name: 'time', arguments: {} } },
      ];
      await client.chat({
        model,
        messages: [
          ...messages,
          { role: 'assistant', content: '', tool_calls: two },
          { role: 'tool', tool_name: 'time', content: '12:00' },
          { role: 'tool', tool_name: 'weather', content: 'rain' },
        ],
      });
      expect(received()['messages']).toEqual([
        ...messages,
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"city":"東京"}' } },
            { id: 'call_1_1', type: 'function', function: { name: 'time', arguments: '{}' } },
          ],
        },
        { role: 'tool', content: '12:00', tool_call_id: 'call_1_1' },
        { role: 'tool', content: 'rain', tool_call_id: 'a' },
      ]);
      await newRows(3);
    });

    test('keeps every digit of a number in the arguments of a tool', async () => {
      const answer = await post(`${gate.url}/api/chat`, secret, { model, messages, tools: [weather] });
      expect(await answer.text()).toContain('"arguments":{"city":"東京","big":12345678901234567890}');
      const given = `{"model":"${model}","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"n":12345678901234567890}}}]}],"stream":false}`;
      expect((await post(`${gate.url}/api/chat`, secret, given)).status).toBe(200);
      expect(JSON.stringify(received())).toContain(String.raw`"{\"n\":12345678901234567890}"`);
      await newRows(2);
    });

    test('continues what the assistant has begun, or says that it cannot', async () => {
      const begun = [...messages, { role: 'assistant', content: '空は' }];
      if (!thinks) {
        expect(await refusal('/api/chat', { messages: begun })).toMatch(/messages\[1\] must not be the assistant/);
        return;
      }
      const answers = [await client.chat({ model, messages: begun })];
      const flags = kind === 'llama-server' ? {} : { continue_final_message: true, add_generation_prompt: false };
      expect(received()).toMatchObject({ messages: begun, ...flags });
      const parts: string[] = [];
      for await (const { message } of await client.chat({ model, messages: begun, stream: true }))
        parts.push(message.content);
      // Only llama-server repeats the beginning, so only there it is left out.
      const rest = kind === 'llama-server' ? said.slice(2) : said;
      expect([answers[0]?.message.content, parts.join('')]).toEqual([rest, rest]);
      await newRows(2);
    });

    test('sees images', async () => {
      await client.chat({ model, messages: [{ role: 'user', content: '?', images: [png, jpeg] }] });
      const image = (type: string, data: string): object => ({
        type: 'image_url',
        image_url: { url: `data:image/${type};base64,${data}` },
      });
      const parts = [{ type: 'text', text: '?' }, image('png', png), image('jpeg', jpeg)];
      expect(received()['messages']).toEqual([{ role: 'user', content: parts }]);
      await client.generate({ model, prompt: '?', images: [png, jpeg] });
      expect(received()['messages']).toEqual([{ role: 'user', content: parts }]);
      expect(await refusal('/api/generate', { prompt: '?', images: ['AAAA'] })).toMatch(/images\[0\]/);
      await newRows(2);
    });

    test('thinks, or says that it cannot be told to', async () => {
      if (!thinks) {
        expect(await refusal('/api/chat', { messages, think: true })).toMatch(/and think has no counterpart there/);
        expect(await refusal('/api/generate', { prompt: 'x', think: false })).toMatch(/think/);
        await client.chat({ model, messages: [{ role: 'assistant', content: 'a', thinking: 'b' }, ...messages] });
        expect(received()['messages']).toEqual([{ role: 'assistant', content: 'a' }, ...messages]);
        await newRows(1);
        return;
      }
      const whole = await client.chat({ model, messages, think: true });
      expect(whole.message).toMatchObject({ thinking: 'Let me think…', content: said });
      const parts = await streamed({ think: 'high' });
      expect(parts.map(({ message }) => message.thinking ?? '').join('')).toBe('Let me think…');
      expect(received()).toMatchObject({ reasoning_effort: 'high' });
      expect((await client.generate({ model, prompt: 'x', think: true })).thinking).toBe('Let me think…');
      await client.chat({ model, messages: [...messages, whole.message, ...messages], think: false });
      const [, given] = received()['messages'] as Record<string, unknown>[];
      expect(given?.[givesBack as string]).toBe('Let me think…');
      expect(received()['chat_template_kwargs']).toEqual({ enable_thinking: false, thinking: false });
      await newRows(4);
    });

    test('answers in JSON, by a schema or without', async () => {
      const schema = { type: 'object', properties: { sky: { type: 'string' } }, required: ['sky'] };
      expect(JSON.parse((await client.chat({ model, messages, format: schema })).message.content)).toEqual({
        sky: 'blue',
      });
      expect(received()['response_format']).toEqual({
        type: 'json_schema',
        json_schema: { name: 'answer', strict: true, schema },
      });
      const { response = '' } = await client.generate({ model, prompt: 'x', format: 'json' });
      expect(JSON.parse(response)).toEqual({ sky: 'blue' });
      expect(received()['response_format']).toEqual(json);
      await newRows(2);
    });

    test('gets the options that it takes, and refuses the others by name', async () => {
      const options = {
        num_predict: 1,
        temperature: 0.5,
        top_p: 0.9,
        seed: 42,
        stop: ['\n'],
        presence_penalty: 0.25,
        frequency_penalty: 0.75,
      };
      const own: Record<string, number> = { top_k: 5, min_p: 0.1, repeat_penalty: 1.1 };
      const names: Record<string, string> = { repeat_penalty: 'repetition_penalty' };
      const taken = Object.keys(own).filter((name) => name in sampling || (names[name] ?? name) in sampling);
      const more = Object.fromEntries(taken.map((name) => [name, own[name]]));
      const answer = await client.chat({ model, messages, options: { ...options, ...more } });
      expect(answer.done_reason).toBe('length');
      const { num_predict: length, ...rest } = options;
      expect(received()).toEqual({ model, messages, stream: false, ...rest, max_tokens: length, ...sampling });
      for (const name of [...Object.keys(own).filter((each) => !taken.includes(each)), 'num_gpu', 'tfs_z'])
        expect(await refusal('/api/chat', { messages, options: { [name]: 1 } })).toContain(`and options.${name} `);
      await newRows(1);
    });

    test('has the context that was asked for, or refuses', async () => {
      const small = await post(`${gate.url}/api/chat`, secret, { model, messages, options: { num_ctx: 256 } });
      expect(small.status).toBe(context === undefined ? 400 : 200);
      await small.text();
      expect(await refusal('/api/chat', { messages, options: { num_ctx: 1_000_000 } })).toMatch(
        context === undefined ? /num_ctx cannot be set by a call/ : `num_ctx is above ${context}`,
      );
      await newRows(context === undefined ? 0 : 1);
    });

    test('reports log probabilities, or refuses', async () => {
      if (!hasLogprobs) {
        expect(await refusal('/api/chat', { messages, logprobs: true })).toMatch(/logprobs/);
        return;
      }
      const whole = (await (
        await post(`${gate.url}/api/chat`, secret, { model, messages, logprobs: true, top_logprobs: 2, stream: false })
      ).json()) as { logprobs: unknown[] };
      expect(whole.logprobs).toHaveLength(3);
      expect(received()).toMatchObject({ logprobs: true, top_logprobs: 2 });
      const lines = await (
        await post(`${gate.url}/api/generate`, secret, { model, prompt: 'x', logprobs: true })
      ).text();
      const found = lines.split('\n').filter((line) => line.includes('"logprobs":[{"token":'));
      expect(found).toHaveLength(3);
      await newRows(2);
    });

    test.each([
      ['/api/chat', { messages, extra: 1 }, 'extra'],
      ['/api/chat', { messages, truncate: true }, 'truncate'],
      ['/api/chat', { messages, shift: true }, 'shift'],
      ['/api/chat', { messages, keep_alive: 0 }, 'keep_alive'],
      ['/api/chat', { messages, keep_alive: '0s' }, 'keep_alive'],
      ['/api/chat', { messages: [{ role: 'user', content: 'x', name: 'a' }] }, 'messages[0].name'],
      ['/api/chat', { messages: [{ role: 'system', content: 'x', images: [png] }] }, 'messages[0].images'],
      ['/api/chat', { messages: [{ role: 'user', content: 'x', thinking: 'y' }] }, 'messages[0].thinking'],
      ['/api/chat', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0]'],
      ['/api/chat', { messages, tools: [{ ...weather, items: 1 }] }, 'tools[0].items'],
      ['/api/chat', { messages, max_tokens: 5 }, 'max_tokens'],
      ['/api/chat', { messages, n: 2 }, 'n'],
      ['/api/generate', { prompt: 'x', suffix: 'y' }, 'suffix'],
      ['/api/generate', { prompt: 'x', template: '{{ .Prompt }}' }, 'template'],
      ['/api/generate', { prompt: 'x', context: [1, 2] }, 'context'],
      ['/api/generate', { prompt: 'x', raw: true }, 'raw'],
      ['/api/generate', { prompt: 'x', width: 5 }, 'width'],
      ['/api/embed', { input: 'x', truncate: true }, 'truncate'],
      ['/api/embed', { input: [] }, 'input'],
      ['/api/embed', { input: 'x', options: { temperature: 1 } }, 'options.temperature'],
      ['/api/embeddings', { prompt: '' }, 'prompt'],
    ])('%s %j is refused by the name of the field, and nothing is sent', async (path, body, name) => {
      expect(await refusal(path, body)).toContain(`The model server speaks another API, and ${name} `);
      expect(server.heard.filter(({ method }) => method === 'POST')).toEqual([]);
    });

    test('says of its models what the server says, and what version of the API this is', async () => {
      expect(await client.version()).toEqual({ version: '0.33.0' });
      const shown = await client.show({ model });
      expect(shown).toMatchObject({ details: { parent_model: '' }, model_info: {} });
      expect(shown.parameters).toEqual(
        context === undefined ? undefined : expect.stringMatching(`^num_ctx +${context}$`),
      );
      expect(shown.capabilities).toEqual(capabilities);
      await expect(client.show({ model: 'missing' })).rejects.toThrow("model 'missing' not found");
      expect(await refusal('/api/show', { system: 'x' })).toContain('system');
      expect(
        (await fetch(`${gate.url}/api/version`, { method: 'HEAD', headers: { 'x-api-key': secret } })).status,
      ).toBe(200);
      expect(server.heard.filter(({ method }) => method === 'POST')).toEqual([]);
      await newRows(4);
    });

    test('answers a call that loads a model where the server says that it is loaded', async () => {
      for (const [path, call] of [
        ['/api/chat', { messages: [] }],
        ['/api/chat', { keep_alive: '5m' }],
        ['/api/generate', { prompt: '' }],
        ['/api/generate', {}],
      ] as const) {
        const answer = await post(gate.url + path, secret, { model, ...call });
        const body = (await answer.json()) as object;
        if (context === undefined)
          expect([answer.status, body]).toEqual([400, expect.objectContaining({ code: 'untranslatable' })]);
        else
          expect([answer.status, body]).toEqual([
            200,
            expect.objectContaining({ model, done: true, done_reason: 'load' }),
          ]);
      }
      expect(server.heard.filter(({ method }) => method === 'POST')).toEqual([]);
      await newRows(4);
    });

    test('accepts what changes nothing there', async () => {
      const idle = { keep_alive: '5m', truncate: false, shift: false, think: null, tools: [], format: '', options: {} };
      expect((await post(`${gate.url}/api/chat`, secret, { model, messages, ...idle, stream: false })).status).toBe(
        200,
      );
      expect(received()).toEqual({ model, messages, stream: false });
      await newRows(1);
    });

    test('embeds, in the order of the texts and with unit vectors', async () => {
      const found = await client.embed({ model, input: ['aaaa', ''] });
      expect(found).toMatchObject({ model, prompt_eval_count: 9 });
      expect(found.embeddings).toEqual([
        [0.6, 0, 0.8],
        [1, 0, 0],
      ]);
      expect(received()).toEqual({ model, input: ['aaaa', ''] });
      await client.embed({ model, input: 'aaaa', dimensions: 3 });
      expect(received()).toEqual({ model, input: 'aaaa', dimensions: 3 });
      expect((await client.embeddings({ model, prompt: 'aaaa' })).embedding).toEqual([3, 0, 4]);
      for (const row of await newRows(3)) expect(row).toMatchObject({ promptTokens: 9, source: 'exact' });
    });

    test('stops working on a call whose caller has left', async () => {
      server.state.isHeld = true;
      const stream = await client.chat({ model, messages, stream: true });
      const reading = collect(stream);
      stream.abort();
      await expect(reading).rejects.toThrow('aborted');
      await server.abandoned;
      server.state.isHeld = false;
      expect(await newRows(1)).toMatchObject([{ outcome: 'client_closed' }]);
      expect(gate.servers.all[0]?.inFlight).toBe(0);
    });

    test('keeps a plan’s bounds', async () => {
      const member = await gate.member({ maxOutputTokens: 100, maxImages: 1, maxEmbeddingInputs: 1 });
      const call = async (path: string, body: object): Promise<Response> =>
        post(gate.url + path, member.secret, { model, stream: false, ...body });
      for (const options of [{}, { num_predict: 5_000 }, { num_predict: -1 }, null])
        for (const [path, body] of [
          ['/api/chat', { messages }],
          ['/api/generate', { prompt: 'x' }],
          ['/api/generate', { prompt: 'x', raw: true }],
        ] as const) {
          expect((await call(path, { ...body, options })).status).toBe(200);
          expect(received()['max_tokens'], JSON.stringify([path, body, options])).toBe(100);
        }
      expect((await call('/api/generate', { prompt: 'x', images: [png, png] })).status).toBe(400);
      expect((await call('/api/embed', { input: ['a', 'b'], stream: undefined })).status).toBe(400);
    });
  },
);
