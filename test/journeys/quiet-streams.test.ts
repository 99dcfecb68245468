// Streams that have not begun: comments keep them alive in the queue and before the first token, and a later error is
// reported inside the stream. Also: servers that refuse the field with which the gate requests the usage of a stream.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SSE_COMMENT_SECONDS: '0.3', SLOTS: '1', QUEUE_SECONDS: '60' });
  ({ secret } = await gate.member({}));
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const json = { 'Content-Type': 'application/json' };
const sse = { 'Content-Type': 'text/event-stream' };
const chat = { model: 'gemma3:270m', messages: [], stream: true };
const paths: [string, object, string, RegExp][] = [
  [
    '/v1/chat/completions',
    chat,
    'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n',
    /^data: \{"error":\{"message":/m,
  ],
  [
    '/v1/responses',
    { model: 'gemma3:270m', input: 'x', stream: true },
    'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":1}}}\n\n',
    /^event: error\ndata: \{"type":"error",/m,
  ],
  [
    '/v1/messages',
    { ...chat, max_tokens: 5 },
    'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    /^event: error\ndata: \{"type":"error","error":\{/m,
  ],
];

function raw(path: string, body: object): RawClient {
  const client = new RawClient(gate.port);
  const text = JSON.stringify(body);
  client.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  return client;
}

/** Waits until it is released, and then continues as the script says. */
function held(script: Script): { script: Script; release: () => void } {
  let release!: () => void;
  const told = new Promise<void>((resolve) => (release = resolve));
  return {
    release,
    script: async (request, answer, of) => {
      await told;
      await script(request, answer, of);
    },
  };
}

describe('an event stream that has not begun', () => {
  test.each(paths)(
    '%s: sends comments in the queue and before the first token, and then the stream itself',
    async (path, body, events) => {
      const first = held((_, answer) => answer.whole(200, json, '{"done":true}'));
      fake.next(first.script);
      const before = raw('/api/generate', { model: 'gemma3:270m', prompt: 'x', stream: false });
      await eventually(() => expect(fake.calls.at(-1)?.url).toBe('/api/generate'));
      const second = held(async (_, answer) => {
        answer.head(200, sse);
        await answer.chunk(events);
        answer.end();
      });
      fake.next(second.script);
      const rows = (await gate.ledger(0)).length;
      const client = raw(path, body);
      await client.until(': keep-alive\n\n');
      expect(gate.waiting()).toBe(1);
      expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: text\/event-stream\r\n/);
      expect(client.text).toMatch(/x-request-id: req_/);
      expect(client.text).toMatch(/x-sekisho-queue-position: 1\r\n/);
      expect(client.text).toMatch(/\n: waiting for a turn, position 1(?:, about \d+ s left)?\n: keep-alive\n\n/);
      first.release();
      await before.until('"done":true');
      const said = client.text.split(': keep-alive').length;
      await eventually(() => expect(client.text.split(': keep-alive').length).toBeGreaterThan(said + 1));
      second.release();
      await client.until(/0\r\n\r\n$/);
      expect(client.text).toContain(events.split('\n')[0]);
      expect(client.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect((await gate.ledger(rows + 2)).find(({ operation }) => operation !== 'generate')).toBeDefined();
      expect((await gate.ledger(rows + 2)).slice(rows)).toMatchObject([
        { status: 200, outcome: 'completed' },
        { status: 200, outcome: 'completed' },
      ]);
      client.socket.destroy();
      before.socket.destroy();
    },
  );

  test('says how its place in the queue changes, and a stream of lines gets nothing before its answer', async () => {
    const holds = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    const rows = (await gate.ledger(0)).length;
    let arrived = 0;
    for (const { promise } of holds)
      fake.next(async (_, answer) => {
        arrived++;
        await promise;
        answer.whole(200, json, '{"done":true,"prompt_eval_count":1,"eval_count":1}');
      });
    const generate = { model: 'gemma3:270m', prompt: 'x' };
    const running = raw('/api/generate', { ...generate, stream: false });
    await eventually(() => expect(arrived).toBe(1));
    const lines = raw('/api/generate', generate);
    await eventually(() => expect(gate.waiting()).toBe(1));
    const events = raw('/v1/chat/completions', { ...chat, stream: true });
    await events.until(': waiting for a turn, position 2');
    holds[0]!.resolve();
    await events.until(/: waiting for a turn, position 1, about \d+ s left/);
    expect(lines.text).toBe('');
    holds[1]!.resolve();
    holds[2]!.resolve();
    await lines.until('"done":true');
    for (const client of [running, lines, events]) client.socket.destroy();
    expect((await gate.ledger(rows + 3)).slice(rows).map(({ queuedMs }) => queuedMs > 0)).toEqual([false, true, true]);
  });

  const failures: [string, Script, number, string][] = [
    ['an error of its own', (_, answer) => answer.whole(500, json, '{"error":"too warm"}'), 500, 'too warm'],
    ['a missing model', (_, answer) => answer.whole(404, json, '{"error":"model not found"}'), 200, 'not found'],
    [
      "a refusal of the gate's credentials",
      (_, answer) => answer.whole(401, json, '{"error":"no"}'),
      401,
      'refused the gate',
    ],
    ['no stream', (_, answer) => answer.whole(200, json, '{"choices":[]}'), 200, 'in one piece'],
    [
      'an error under a success status',
      (_, answer) => answer.whole(200, json, '{"error":"too warm"}'),
      200,
      'too warm',
    ],
    ['a page', (_, answer) => answer.whole(200, { 'Content-Type': 'text/html' }, '<p>'), 200, 'content type'],
    ['a reset', (_, answer) => answer.reset(), 200, 'broke off'],
  ];
  test.each(failures)('reports %s inside the stream and cuts the connection', async (_, script, __, words) => {
    for (const [path, body, , frame] of paths) {
      const one = held(script);
      fake.next(one.script);
      const rows = (await gate.ledger(0)).length;
      const client = raw(path, body);
      await client.until(': keep-alive\n\n');
      one.release();
      await client.closed;
      const text = client.text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '\n');
      expect(text).toMatch(frame);
      expect(text).toContain(words);
      expect(client.text).not.toMatch(/0\r\n\r\n$/);
      expect(client.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
      const row = (await gate.ledger(rows + 1)).at(-1);
      expect(['upstream_error', 'failed']).toContain(row?.outcome);
    }
    await eventually(async () =>
      expect((await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x' })).status).toBe(200),
    );
  });

  test('sends no comments when the answer is whole or a stream of lines', async () => {
    for (const [path, body] of [
      ['/api/chat', chat],
      ['/v1/chat/completions', { ...chat, stream: false }],
    ] as const) {
      const one = held((_, answer) => answer.whole(200, json, '{"done":true,"choices":[]}'));
      fake.next(one.script);
      const arrival = fake.arrival();
      const client = raw(path, body);
      await arrival;
      // An event stream that waits behind it gets three comments meanwhile.
      const other = raw('/v1/chat/completions', { ...chat, messages: [{ role: 'user', content: 'x' }] });
      await other.until(/(: keep-alive[\s\S]*){3}/);
      expect(client.text).toBe('');
      one.release();
      await client.until(/"done":true/);
      expect(client.text).not.toContain('keep-alive\n');
      await other.until('[DONE]');
      client.socket.destroy();
      other.socket.destroy();
    }
  });

  test('leaves the queue and stops the model when its caller hangs up', async () => {
    const one = held((_, answer) => answer.whole(200, json, '{"done":true}'));
    fake.next(one.script);
    const holder = raw('/api/generate', { model: 'gemma3:270m', prompt: 'x', stream: false });
    await eventually(() => expect(fake.calls.at(-1)?.url).toBe('/api/generate'));
    const client = raw('/v1/chat/completions', chat);
    await client.until(': keep-alive');
    client.socket.resetAndDestroy();
    await eventually(() => expect(gate.waiting()).toBe(0));
    one.release();
    await holder.until('"done":true');
    holder.socket.destroy();
  });
});

describe('a server that refuses stream_options', () => {
  const strict: Script = async (request, answer) => {
    const body = (await request.body).toString();
    if (body.includes('stream_options')) {
      answer.whole(422, json, '{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}');
      return;
    }
    answer.head(200, sse);
    await answer.chunk('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n');
    answer.end();
  };
  const bodies = async (): Promise<string[]> =>
    Promise.all(
      fake.calls.filter(({ url }) => url === '/v1/chat/completions').map(async ({ body }) => (await body).toString()),
    );

  test('is asked once more without the field, and later calls omit it at once; a caller’s own field stays', async () => {
    const own = await openGate(fake.url);
    const { secret: key } = await own.key();
    const ask = async (body: object): Promise<Response> => post(`${own.url}/v1/chat/completions`, key, body);
    const before = (await bodies()).length;
    fake.next(strict);
    fake.next(strict);
    const answer = await ask(chat);
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('[DONE]')]);
    expect((await bodies()).slice(before)).toEqual([
      expect.stringContaining('"stream_options":{"include_usage":true}'),
      JSON.stringify(chat),
    ]);
    fake.next(strict);
    expect((await ask(chat)).status).toBe(200);
    expect((await bodies()).slice(before + 2)).toEqual([JSON.stringify(chat)]);
    fake.next(strict);
    const asked = await ask({ ...chat, stream_options: { include_usage: true } });
    expect([asked.status, await asked.text()]).toEqual([422, expect.stringContaining('Extra inputs')]);
    expect(await own.ledger(3)).toMatchObject([
      { outcome: 'completed', source: 'estimated', status: 200 },
      { outcome: 'completed' },
      { outcome: 'upstream_error' },
    ]);
    await own.stop();
  });

  test('is never sent the field when the settings say so', async () => {
    const own = await openGate(fake.url, { NO_STREAM_OPTIONS: fake.url });
    const { secret: key } = await own.key();
    const before = (await bodies()).length;
    await (await post(`${own.url}/v1/chat/completions`, key, chat)).text();
    expect((await bodies()).slice(before)).toEqual([JSON.stringify(chat)]);
    await own.stop();
  });
});
