// What servers answer to translated calls although their API does not allow it: each caller gets an answer that the client of
// their dialect reads, or its error, and never one with parts left out; and whatever the server generated is counted.
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { anthropic } from '../model-servers/anthropic.ts';
import { done, event, type ImitatedServer, imitate, type Said } from '../model-servers/imitation.ts';
import { plain } from '../model-servers/older.ts';

type Dialect = 'ollama' | 'anthropic' | 'responses' | 'completions';

interface Stage {
  readonly gate: TestGate;
  readonly server: ImitatedServer;
  readonly secret: string;
  said: Said;
  /** The row of the only call since the last look. */
  row(): Promise<unknown>;
  /** What the client of the dialect reads: the texts and the calls of tools. @throws as the client does. */
  ask(dialect: Dialect, stream: boolean): Promise<{ text: string; calls: unknown[] }>;
  readonly path: (dialect: Dialect) => string;
  close(): Promise<void>;
}

const paths = {
  ollama: '/api/chat',
  anthropic: '/v1/messages',
  responses: '/v1/responses',
  completions: '/v1/chat/completions',
} as const;

async function collect<Part>(parts: AsyncIterable<Part>): Promise<Part[]> {
  const found: Part[] = [];
  for await (const part of parts) found.push(part);
  return found;
}

async function stage(kind: 'openai' | 'anthropic'): Promise<Stage> {
  const model = kind === 'openai' ? 'tiny' : 'claude-opus-4-6';
  const own = kind === 'openai' ? paths.completions : paths.anthropic;
  const imitation = kind === 'openai' ? plain : anthropic;
  const server = await imitate({
    ...imitation,
    answer: (heard, state) => {
      if (heard.method !== 'POST') return imitation.answer(heard, state);
      return heard.url === own ? self.said : undefined;
    },
  });
  const gate = await openGate(server.url, { PROBE_SECONDS: '0.05' });
  const { secret } = await gate.key();
  await eventually(() => expect(gate.servers.all[0]?.kindName).toBe(kind));
  const messages = [{ role: 'user' as const, content: 'x' }];
  const claude = new Anthropic({ baseURL: gate.url, apiKey: secret, authToken: null, maxRetries: 0 });
  const openai = new OpenAI({ baseURL: `${gate.url}/v1`, apiKey: secret, maxRetries: 0 });
  const ollama = new Ollama({ host: gate.url, headers: { 'x-api-key': secret } });
  let rows = 0;

  const asks: Record<Dialect, Stage['ask'] extends (d: Dialect, s: infer S) => infer R ? (stream: S) => R : never> = {
    async ollama(stream) {
      const parts = stream
        ? await collect(await ollama.chat({ model, messages, stream: true }))
        : [await ollama.chat({ model, messages })];
      expect(parts.at(-1)?.done).toBe(true);
      return {
        text: parts.map(({ message }) => message.content).join(''),
        calls: parts.flatMap(({ message }) => message.tool_calls ?? []).map(({ function: f }) => [f.name, f.arguments]),
      };
    },
    async anthropic(stream) {
      const asked = { model, messages, max_tokens: 9 };
      const { content, stop_reason: reason } = stream
        ? await claude.messages.stream(asked).finalMessage()
        : await claude.messages.create(asked);
      expect(reason).not.toBeNull();
      return {
        text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
        calls: content.flatMap((block) => (block.type === 'tool_use' ? [[block.name, block.input]] : [])),
      };
    },
    async responses(stream) {
      const { output, status } = stream
        ? await openai.responses.stream({ model, input: 'x' }).finalResponse()
        : await openai.responses.create({ model, input: 'x' });
      expect(status).not.toBe('in_progress');
      const texts = output.flatMap((item) => (item.type === 'message' ? item.content : []));
      return {
        text: texts.map((part) => (part.type === 'output_text' ? part.text : part.refusal)).join(''),
        calls: output.flatMap((item) =>
          item.type === 'function_call' ? [[item.name, JSON.parse(item.arguments) as unknown]] : [],
        ),
      };
    },
    async completions(stream) {
      const { choices } = stream
        ? await openai.chat.completions.stream({ model, messages }).finalChatCompletion()
        : await openai.chat.completions.create({ model, messages });
      const [choice] = choices;
      return {
        text: choice?.message.content ?? '',
        calls: (choice?.message.tool_calls ?? []).flatMap((call) =>
          call.type === 'function' ? [[call.function.name, JSON.parse(call.function.arguments) as unknown]] : [],
        ),
      };
    },
  };
  const self: Stage = {
    gate,
    server,
    secret,
    said: { body: '' },
    row: async () => (await gate.ledger(++rows)).at(-1),
    ask: (dialect, stream) => asks[dialect](stream),
    path: (dialect) => paths[dialect],
    close: async () => {
      await gate.stop();
      server.close();
    },
  };
  return self;
}

const bounds = { ollama: {}, anthropic: { max_tokens: 9 }, completions: { max_tokens: 9 } };
const exact = { promptTokens: 12, completionTokens: 6, source: 'exact' };

describe('a server of OpenAI’s family', () => {
  const dialects = ['ollama', 'anthropic', 'responses'] as const;
  const usage = { prompt_tokens: 12, completion_tokens: 6, total_tokens: 18 };
  const delta = (value: object, reason: unknown = null): string =>
    event({ choices: [{ index: 0, delta: value, finish_reason: reason }] });
  const calls = (...found: object[]): string => delta({ tool_calls: found });
  const last = (reason: unknown): string => delta({}, reason) + event({ choices: [], usage }) + done;
  const whole = (message: object, reason: unknown = 'stop'): Said => ({
    body: JSON.stringify({ choices: [{ index: 0, message, finish_reason: reason }], usage }),
  });
  let on: Stage;
  beforeAll(async () => {
    on = await stage('openai');
  });
  afterAll(() => on.close());

  const one = { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } };
  const two = { id: 'b', type: 'function', function: { name: 'g', arguments: '{"y":2}' } };
  const both = [
    ['f', { x: 1 }],
    ['g', { y: 2 }],
  ];
  const readable: [string, string, { text: string; calls: unknown[] }][] = [
    [
      'tool calls without an index',
      calls({ ...one, function: { name: 'f', arguments: '' } }) +
        calls({ function: { arguments: '{"x":' } }) +
        calls({ function: { arguments: '1}' } }) +
        calls(two) +
        last('tool_calls'),
      { text: '', calls: both },
    ],
    [
      'tool calls that all have the index 0',
      calls({ index: 0, ...one }) + calls({ index: 0, ...two }) + last('tool_calls'),
      { text: '', calls: both },
    ],
    [
      'arguments that are objects',
      calls({ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } }) + last('tool_calls'),
      { text: '', calls: both.slice(0, 1) },
    ],
    [
      'a message in each event',
      event({ choices: [{ index: 0, message: { content: 'a' } }] }) + last('stop'),
      { text: 'a', calls: [] },
    ],
    ['a text in each event', event({ choices: [{ index: 0, text: 'a' }] }) + last('stop'), { text: 'a', calls: [] }],
  ];
  test.each(readable)('may stream %s', async (_, body, expected) => {
    on.said = { body: [body] };
    for (const dialect of dialects) {
      expect(await on.ask(dialect, true), dialect).toEqual(expected);
      expect(await on.row()).toMatchObject({ ...exact, outcome: 'completed' });
    }
  });

  const unreadable: [string, object, unknown][] = [
    ['a content that is a number', { content: 5 }, 'stop'],
    ['a content in parts', { content: [{ type: 'text', text: 'x' }] }, 'stop'],
    ['thoughts in a list', { content: 'x', reasoning: ['y'] }, 'stop'],
    ['tool calls that are a text', { content: 'x', tool_calls: 'y' }, 'stop'],
    [
      'a tool call without a name',
      { tool_calls: [{ index: 0, id: 'a', function: { arguments: '{}' } }] },
      'tool_calls',
    ],
    ['a tool call of another type', { tool_calls: [{ index: 0, id: 'a', type: 'custom', custom: {} }] }, 'tool_calls'],
    ['a call in the older form', { function_call: { name: 'f', arguments: '{}' } }, 'function_call'],
    ['a recording', { audio: { id: 'a', data: 'AAAA' } }, 'stop'],
    ['no reason for its end', { content: 'x' }, null],
    ['a number as the reason', { content: 'x' }, 5],
    ['an answer that it gave up', { content: 'x' }, 'abort'],
  ];
  test.each(unreadable)('cannot answer with %s: that is an error, and is counted', async (_, message, reason) => {
    for (const dialect of dialects)
      for (const stream of [true, false]) {
        on.said = stream ? { body: [delta(message) + last(reason)] } : whole(message, reason);
        await expect(on.ask(dialect, stream), `${dialect} ${stream}`).rejects.toThrow(/The model server answered with/);
        expect(await on.row(), dialect).toMatchObject({ ...exact, outcome: 'failed' });
      }
  });

  test('may cut a tool call off: the reason says so, and the caller gets no object that it is not', async () => {
    const cut = { index: 0, id: 'a', function: { name: 'f', arguments: '{"x":' } };
    for (const stream of [true, false]) {
      on.said = stream ? { body: [calls(cut) + last('length')] } : whole({ tool_calls: [cut] }, 'length');
      expect(await on.ask('ollama', stream)).toEqual({ text: '', calls: [] });
      expect(await on.row()).toMatchObject({ ...exact, outcome: 'completed' });
    }
  });

  test('that names an event an error ends the answer with one error, and the record says so', async () => {
    on.said = { body: [`${delta({ content: 'a' })}event: error\ndata: {"message":"boom"}\n\n`] };
    for (const dialect of [...dialects, 'completions'] as const) {
      const body =
        dialect === 'responses' ? { input: 'x' } : { messages: [{ role: 'user', content: 'x' }], ...bounds[dialect] };
      const answer = await post(on.gate.url + on.path(dialect), on.secret, { model: 'tiny', stream: true, ...body });
      const text = await answer.text().catch(() => '');
      expect(text.match(/boom/g), dialect).toHaveLength(1);
      expect(text, dialect).not.toContain('stopped before');
      expect(await on.row(), dialect).toMatchObject({ outcome: 'upstream_error' });
    }
  });

  test('that reports an error in a whole answer does not make it an answer, whatever its status', async () => {
    for (const body of [
      '{"error":"boom"}',
      '{"error":{"message":"boom","code":"c"}}',
      '{"object":"error","message":"boom"}',
    ])
      for (const dialect of [...dialects, 'completions'] as const) {
        on.said = { body };
        await expect(on.ask(dialect, false), dialect).rejects.toThrow(/boom/);
        expect(await on.row(), dialect).toMatchObject({ outcome: 'upstream_error', status: 502 });
      }
  });

  test('cannot make the gateway build more than an answer is worth', async () => {
    const many = `[${'[],'.repeat(5_000_000)}[]]`;
    on.said = { body: `{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"more":${many}}` };
    for (const dialect of dialects) {
      await expect(on.ask(dialect, false), dialect).rejects.toThrow('an answer that is not JSON');
      expect(await on.row(), dialect).toMatchObject({ outcome: 'failed', status: 502 });
    }
  });
});

describe('a server of Anthropic’s API', () => {
  const dialects = ['completions', 'ollama', 'responses'] as const;
  const named = (value: { type: string; [field: string]: unknown }): string => `event: ${value.type}\n${event(value)}`;
  const message = { id: 'm', type: 'message', role: 'assistant', content: [], model: 'm', stop_reason: null };
  const begin = named({
    type: 'message_start',
    message: { ...message, usage: { input_tokens: 12, output_tokens: 1 } },
  });
  const block = (value: object, ...deltas: object[]): string =>
    named({ type: 'content_block_start', index: 0, content_block: value }) +
    deltas.map((delta) => named({ type: 'content_block_delta', index: 0, delta })).join('') +
    named({ type: 'content_block_stop', index: 0 });
  const text = block({ type: 'text', text: '' }, { type: 'text_delta', text: 'a' });
  const last = (reason: string): string =>
    named({ type: 'message_delta', delta: { stop_reason: reason }, usage: { output_tokens: 6 } });
  const stop = named({ type: 'message_stop' });
  let on: Stage;
  beforeAll(async () => {
    on = await stage('anthropic');
  });
  afterAll(() => on.close());
  beforeEach(() => {
    on.server.heard.length = 0;
  });

  const said = { text: 'a', calls: [] };
  test.each([
    ['an answer without its first event', text + last('end_turn') + stop],
    ['an end mark of the other family after its own', begin + text + last('end_turn') + stop + done],
    ['more after its end', begin + text + last('end_turn') + stop + text + stop],
  ])('may stream %s', async (_, body) => {
    on.said = { body: [body] };
    for (const dialect of dialects) {
      expect(await on.ask(dialect, true), dialect).toEqual(said);
      expect(await on.row(), dialect).toMatchObject({ outcome: 'completed', completionTokens: 6 });
    }
  });

  test('ends a stream by its own mark only, translated or not', async () => {
    on.said = { body: [begin + text + last('end_turn') + done] };
    for (const dialect of [...dialects, 'anthropic'] as const) {
      await expect(on.ask(dialect, true), dialect).rejects.toThrow(/model server/);
      expect(await on.row(), dialect).toMatchObject({ ...exact, outcome: 'failed' });
    }
  });

  const tool = { type: 'tool_use', id: 't', name: 'f', input: {} };
  test.each([
    ['a text that is a number', { type: 'text', text: 5 }, []],
    ['a piece that is a number', { type: 'text', text: '' }, [{ type: 'text_delta', text: 5 }]],
    ['thoughts that are a number', { type: 'thinking', thinking: 5 }, []],
    ['a piece of an unknown type', { type: 'text', text: '' }, [{ type: 'image_delta', data: 'x' }]],
    ['a tool call without a name', { ...tool, name: '' }, []],
    ['input that is a text', { ...tool, input: '{}' }, []],
    ['input twice', { ...tool, input: { x: 1 } }, [{ type: 'input_json_delta', partial_json: '{"x":1}' }]],
  ] as const)('cannot stream %s: that is an error, and is counted', async (_, value, deltas) => {
    on.said = { body: [begin + block(value, ...deltas) + last('end_turn') + stop] };
    for (const dialect of dialects) {
      await expect(on.ask(dialect, true), dialect).rejects.toThrow(/The model server answered with/);
      expect(await on.row(), dialect).toMatchObject({ ...exact, outcome: 'failed' });
    }
    if (deltas.length > 0) return;
    const usage = { input_tokens: 12, output_tokens: 6 };
    on.said = { body: JSON.stringify({ type: 'message', content: [value], stop_reason: 'end_turn', usage }) };
    for (const dialect of dialects) {
      await expect(on.ask(dialect, false), dialect).rejects.toThrow(/The model server answered with/);
      expect(await on.row(), dialect).toMatchObject({ ...exact, outcome: 'failed' });
    }
  });

  test('that falls silent after an error has not completed the call', async () => {
    on.server.state.isHeld = true;
    const failure = named({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });
    on.said = { body: [begin + failure] };
    for (const dialect of [...dialects, 'anthropic'] as const) {
      await expect(on.ask(dialect, true), dialect).rejects.toThrow(/Overloaded/);
      expect(await on.row(), dialect).toMatchObject({ outcome: 'upstream_error' });
    }
    on.server.state.isHeld = false;
  });
});

test('a 404 that never ends is the answer of a server without the model, and holds no turn for it', async () => {
  const server = await imitate({
    ...plain,
    answer: (heard, state) =>
      heard.method === 'POST' ? { status: 404, type: 'text/plain', body: ['No'] } : plain.answer(heard, state),
  });
  server.state.isHeld = true;
  const gate = await openGate(server.url, { PROBE_SECONDS: '0.05', SLOTS: '1' });
  const { secret } = await gate.key();
  await eventually(() => expect(gate.servers.all[0]?.kindName).toBe('openai'));
  const messages = [{ role: 'user', content: 'x' }];
  const statuses = await Promise.all(
    [
      ['/v1/messages', { messages, max_tokens: 9 }],
      ['/v1/messages/count_tokens', { messages }],
      ['/v1/responses', { input: 'x' }],
    ].map(async ([path, body]) => {
      const answer = await post(`${gate.url}${path as string}`, secret, { model: 'tiny', ...(body as object) });
      await answer.text();
      return answer.status;
    }),
  );
  // Counting is optional, so there its lack is said as such.
  expect(statuses).toEqual([404, 501, 404]);
  expect((await gate.ledger(3)).map(({ code }) => code)).not.toContain('upstream_timeout');
  await gate.stop();
  server.close();
});
