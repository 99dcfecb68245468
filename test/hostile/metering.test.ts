// Metering against model servers that report usage in odd places, twice, too late, not at all, or with impossible figures:
// the ledger has what was used, limits count it, and the caller gets the requested stream.
import type { ServerResponse } from 'node:http';
import { beforeEach, expect, test } from 'vitest';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { post } from '../gate.ts';
import { singleAnswer } from '../single-answer.ts';

const single = singleAnswer();
let secret: string;
beforeEach(async () => {
  ({ secret } = await single.gate.key());
});

const events =
  (body: string, status = 200) =>
  (response: ServerResponse) =>
    response.writeHead(status, { 'content-type': 'text/event-stream' }).end(body);
const json =
  (body: unknown, status = 200) =>
  (response: ServerResponse) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

const ask = { model: 'm', messages: [{ role: 'user', content: 'x' }], max_tokens: 64 };
const call = (path: string, key = secret, stream = true): Promise<Response> =>
  post(`${single.gate.url}${path}`, key, { ...ask, stream });

/** The row of the last call, once there is one more. */
async function rowOf<T>(use: () => Promise<T>): Promise<[T, UsageRecord]> {
  const before = (await single.gate.ledger(0)).length;
  const result = await use();
  return [result, (await single.gate.ledger(before + 1)).at(-1) as UsageRecord];
}

const message = (delta: object, cache: object = {}): string =>
  [
    { type: 'message_start', message: { usage: { input_tokens: 900, output_tokens: 1, ...cache } } },
    { type: 'content_block_delta', delta: { type: 'text_delta', text: 'a' } },
    { type: 'message_delta', usage: delta },
    { type: 'message_stop' },
  ]
    .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join('');

test.each([{ output_tokens: 5 }, { input_tokens: 0, output_tokens: 5 }])(
  'a prompt figure that only the start of a message contains is recorded beside %j, and counted by a limit',
  async (delta) => {
    single.answer = events(message(delta));
    const member = await single.gate.member({ promptTokensPerDay: 1_000 });
    const [, row] = await rowOf(async () => (await call('/v1/messages', member.secret)).text());
    expect(row).toMatchObject({ promptTokens: 900, completionTokens: 5, source: 'exact' });
    await (await call('/v1/messages', member.secret)).text();
    expect((await call('/v1/messages', member.secret)).status).toBe(429);
  },
);

test('cached and reasoning tokens are parts, with columns of their own in rows, reports and CSV', async () => {
  const details = { output_tokens_details: { thinking_tokens: 3 } };
  single.answer = events(
    message({ output_tokens: 5, ...details }, { cache_read_input_tokens: 7_000, cache_creation_input_tokens: 60 }),
  );
  const member = await single.gate.member({ promptTokensPerDay: 8_000 });
  const [, row] = await rowOf(async () => (await call('/v1/messages', member.secret)).text());
  const parts = { promptTokens: 7_960, cacheReadTokens: 7_000, cacheWriteTokens: 60, reasoningTokens: 3 };
  expect(row).toMatchObject({ ...parts, completionTokens: 5, source: 'exact' });
  const report = await single.gate.manage((store) =>
    store.reportUsage('account', 0, Number.MAX_SAFE_INTEGER, { accountId: member.account.id }),
  );
  expect(report).toMatchObject([parts]);
  // Another whole prompt exceeds what is left, so a second call finds the limit used up.
  await (await call('/v1/messages', member.secret)).text();
  expect((await call('/v1/messages', member.secret)).status).toBe(429);
});

test.each([2 ** 53 - 1, 4e12])(
  'an impossible completion of %d tokens is not recorded and blocks no one',
  async (figure) => {
    single.answer = json({
      choices: [{ message: { content: 'abc' } }],
      usage: { prompt_tokens: 3, completion_tokens: figure },
    });
    const member = await single.gate.member({ tokensPerDay: 100_000 });
    for (let i = 0; i < 3; i++) {
      const [status, row] = await rowOf(async () => (await call('/v1/chat/completions', member.secret, false)).status);
      expect(status).toBe(200);
      expect(row).toMatchObject({ promptTokens: 3, source: 'estimated' });
      expect(row.completionTokens).toBeLessThan(100);
    }
  },
);

test('the first done line counts, and a second one does not replace it', async () => {
  single.answer = (response) =>
    response
      .writeHead(200, { 'content-type': 'application/x-ndjson' })
      .end(
        '{"response":"a","done":false}\n{"done":true,"prompt_eval_count":3,"eval_count":4}\n{"done":true,"eval_count":999}\n',
      );
  const [, row] = await rowOf(async () => (await call('/api/generate')).text());
  expect(row).toMatchObject({ promptTokens: 3, completionTokens: 4, source: 'exact' });
});

test.each(['null', '""', 'false', '0', '[]'])(
  'an error field of %s in every piece is not an error: the stream continues, and all of it is recorded',
  async (none) => {
    const first = `"error":${none}`;
    const piece = `data: {${first},"choices":[{"delta":{"content":"a"}}]}\n\n`.repeat(9);
    const usage = '"usage":{"prompt_tokens":7,"completion_tokens":9}';
    single.answer = events(`${piece}data: {${first},"choices":[],${usage}}\n\ndata: [DONE]\n\n`);
    const openai = await rowOf(async () => (await call('/v1/chat/completions')).text());
    const delta = `data: {${first},"type":"content_block_delta","delta":{"text":"a"}}\n\n`.repeat(9);
    const end = `data: {${first},"type":"message_delta","usage":{"input_tokens":7,"output_tokens":9}}\n\n`;
    single.answer = events(`${delta}${end}data: {"type":"message_stop"}\n\n`);
    const anthropic = await rowOf(async () => (await call('/v1/messages')).text());
    const line = `{${first},"response":"a","done":false}\n`.repeat(9);
    single.answer = (response) =>
      response
        .writeHead(200, { 'content-type': 'application/x-ndjson' })
        .end(`${line}{${first},"done":true,"prompt_eval_count":7,"eval_count":9}\n`);
    const ollama = await rowOf(async () => (await call('/api/generate')).text());
    for (const [text, row] of [openai, anthropic, ollama]) {
      expect(row).toMatchObject({ outcome: 'completed', promptTokens: 7, completionTokens: 9, source: 'exact' });
      expect(text.split('"a"')).toHaveLength(10);
    }
  },
);

test('an error on the last line of a stream counts as one, and what came before it is recorded', async () => {
  single.answer = (response) =>
    response
      .writeHead(200, { 'content-type': 'application/x-ndjson' })
      .end(`${'{"response":"a","done":false}\n'.repeat(9)}{"response":"","error":"out of memory","done":true}\n`);
  const [, row] = await rowOf(async () => (await call('/api/generate')).text());
  expect(row).toMatchObject({ outcome: 'upstream_error', completionTokens: 9, source: 'estimated' });
});

test('a server that reports 0 or no usage is estimated', async () => {
  const zero = '"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}';
  const piece = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'.repeat(9);
  const text = 'a '.repeat(400);
  const streams: [string, (response: ServerResponse) => void][] = [
    ['/v1/chat/completions', events(`${piece}data: {"choices":[],${zero}}\n\ndata: [DONE]\n\n`)],
    [
      '/v1/responses',
      events(
        `${'data: {"type":"response.output_text.delta","delta":"a"}\n\n'.repeat(9)}data: {"type":"response.completed","response":{"usage":{"input_tokens":0,"output_tokens":0}}}\n\n`,
      ),
    ],
    [
      '/v1/messages',
      events(
        `data: {"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}\n\n${'data: {"type":"content_block_delta","delta":{"text":"a"}}\n\n'.repeat(9)}data: {"type":"message_delta","usage":{"input_tokens":0,"output_tokens":0}}\n\ndata: {"type":"message_stop"}\n\n`,
      ),
    ],
    [
      '/api/generate',
      (response) =>
        response
          .writeHead(200, { 'content-type': 'application/x-ndjson' })
          .end(`${'{"response":"a","done":false}\n'.repeat(9)}{"done":true}\n`),
    ],
  ];
  for (const [path, answer] of streams) {
    single.answer = answer;
    const [, row] = await rowOf(async () => (await call(path)).text());
    expect(row, path).toMatchObject({ outcome: 'completed', source: 'estimated' });
    expect(row.promptTokens, path).toBeGreaterThan(5);
    expect(row.completionTokens, path).toBeGreaterThanOrEqual(9);
  }
  single.answer = json({
    choices: [{ message: { content: text } }],
    usage: { prompt_tokens: 0, completion_tokens: 0 },
  });
  const [, whole] = await rowOf(async () => (await call('/v1/chat/completions', secret, false)).text());
  expect(whole).toMatchObject({ source: 'estimated' });
  expect(whole.completionTokens).toBeGreaterThan(190);
  // Loading a model really costs none.
  single.answer = (response) =>
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end('{"done":true,"done_reason":"load"}\n');
  const [, load] = await rowOf(async () => (await call('/api/generate')).text());
  expect(load).toMatchObject({ promptTokens: 0, completionTokens: 0, source: 'none' });
});

test('an error with generated text is recorded by its figures or its bytes, and a bare error is not', async () => {
  const choices = [{ message: { content: 'x'.repeat(4_000) } }];
  single.answer = json({ choices, usage: { prompt_tokens: 9, completion_tokens: 800 } }, 500);
  let [, row] = await rowOf(async () => (await call('/v1/chat/completions', secret, false)).text());
  expect(row).toMatchObject({ status: 500, promptTokens: 9, completionTokens: 800, source: 'exact' });
  single.answer = json({ choices }, 503);
  [, row] = await rowOf(async () => (await call('/v1/chat/completions', secret, false)).text());
  expect(row).toMatchObject({ status: 503, source: 'estimated' });
  expect(row.completionTokens).toBeGreaterThan(900);
  single.answer = events('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'.repeat(20), 500);
  [, row] = await rowOf(async () => (await call('/v1/chat/completions')).text());
  expect(row).toMatchObject({ status: 500, completionTokens: 20, source: 'estimated' });
  single.answer = json({ error: { message: 'out of memory' } }, 500);
  [, row] = await rowOf(async () => (await call('/v1/chat/completions')).text());
  expect(row).toMatchObject({ status: 500, promptTokens: 0, completionTokens: 0, source: 'none' });
});

test('a tool call in one piece, after which the caller hangs up, is recorded by its bytes', async () => {
  const delta = { tool_calls: [{ function: { name: 'write', arguments: 'x'.repeat(40_000) } }] };
  single.answer = (response) =>
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .write(`data: ${JSON.stringify({ choices: [{ delta }] })}\n\n`);
  const [, row] = await rowOf(async () => {
    const leaving = new AbortController();
    const response = await fetch(`${single.gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-api-key': secret, 'content-type': 'application/json' },
      body: JSON.stringify({ ...ask, stream: true }),
      signal: leaving.signal,
    });
    let got = 0;
    const body = response.body as ReadableStream<Uint8Array>;
    try {
      for await (const chunk of body) if ((got += chunk.length) > 40_000) leaving.abort();
    } catch {
      // The gate caused that one.
    }
  });
  expect(row).toMatchObject({ outcome: 'client_closed', source: 'estimated' });
  expect(row.completionTokens).toBeGreaterThan(9_000);
});

test('a recording is reserved and recorded although no server reports its usage', async () => {
  single.answer = json({ text: 'one two three four five' });
  const member = await single.gate.member({ tokensPerDay: 300 });
  const transcribe = (): Promise<Response> => {
    const body = new FormData();
    body.set('model', 'm');
    body.set('file', new Blob([Buffer.alloc(100_000)]), 'a.wav');
    return fetch(`${single.gate.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { 'x-api-key': member.secret },
      body,
    });
  };
  const [response, row] = await rowOf(transcribe);
  expect(response.status).toBe(200);
  expect(row).toMatchObject({ source: 'estimated', completionTokens: 6 });
  expect(row.promptTokens).toBeGreaterThan(190);
  expect((await transcribe()).status).toBe(429);
});

test('a server that can count tokens is asked, and its count is passed on and costs nothing', async () => {
  single.answer = json({ input_tokens: 14 });
  const [said, row] = await rowOf(async () => (await call('/v1/messages/count_tokens', secret, false)).json());
  expect(said).toEqual({ input_tokens: 14 });
  expect(row).toMatchObject({ operation: 'count-tokens', status: 200, promptTokens: 0, source: 'none' });
});

test.each(['\n', '\r\n', '\r'])(
  'usage that only the gate requested does not reach the caller, with lines that end with %j',
  async (end) => {
    const plain = 'event: x\nid: 1\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\n';
    const usage = 'event: x\nid: 2\ndata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n';
    const done = 'data: [DONE]\n\n';
    const lines = (text: string): string => text.replaceAll('\n', end);
    single.answer = events(lines(plain + usage + done));
    const [text, row] = await rowOf(async () => (await call('/v1/chat/completions')).text());
    expect(text).toBe(lines(plain + done));
    expect(row).toMatchObject({ promptTokens: 3, completionTokens: 4, source: 'exact', outcome: 'completed' });
  },
);

test('an event of 20 MiB passes whole, and it and what follows are counted', async () => {
  const text = 'x'.repeat(20 * 1024 * 1024);
  const big = `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;
  single.answer = events(
    `${big}data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n`,
  );
  let [length, row] = await rowOf(async () => (await (await call('/v1/chat/completions')).text()).length);
  expect(length).toBe(big.length + 'data: [DONE]\n\n'.length);
  expect(row).toMatchObject({ promptTokens: 3, completionTokens: 4, source: 'exact', outcome: 'completed' });
  const completed = {
    type: 'response.completed',
    response: { output: [text], usage: { input_tokens: 5, output_tokens: 6 } },
  };
  single.answer = events(`event: response.completed\ndata: ${JSON.stringify(completed)}\n\n`);
  [length, row] = await rowOf(async () => (await (await call('/v1/responses')).text()).length);
  expect(length).toBeGreaterThan(text.length);
  expect(row).toMatchObject({ promptTokens: 5, completionTokens: 6, source: 'exact', outcome: 'completed' });
});
