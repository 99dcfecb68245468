// Streams arrive as they are sent, a broken stream reports its error, and a caller that hangs up stops the model.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Answer,
  type FakeOllama,
  type FakeRequest,
  onePieceUntilLeft,
  type Script,
  startFakeOllama,
} from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, spawnGate, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
const messages = [{ role: 'user', content: 'x' }];
const chat = { model: 'gemma3:270m', messages };
const ndjson = { 'Content-Type': 'application/x-ndjson' };
const sse = { 'Content-Type': 'text/event-stream' };

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, {
    SILENCE_SECONDS: '1.2',
    FIRST_BYTE_SECONDS: '1.2',
    READER_BUFFER_BYTES: '1000000',
    READER_STALL_SECONDS: '1',
  });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});
let before = 0;
beforeEach(async () => {
  before = (await gate.ledger(0)).length;
});
afterEach(() => {
  fake.pace = undefined;
});
const lastRow = async () => (await gate.ledger(before + 1)).at(-1)!;

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** A raw chat request whose answer a test reads byte by byte. */
function rawPost(path: string, body: unknown, headers = ''): RawClient {
  const client = new RawClient(gate.port);
  const text = JSON.stringify(body);
  client.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\n${headers}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return client;
}

describe('relay', () => {
  test('the first token reaches the client before the upstream sends the second', async () => {
    let release!: () => void;
    const held = new Promise<void>((resolve) => (release = resolve));
    fake.next(async (_, answer) => {
      answer.head(200, ndjson);
      await answer.chunk('{"message":{"content":"first"},"done":false}\n');
      await held;
      await answer.chunk('{"done":true,"prompt_eval_count":1,"eval_count":1}\n');
      answer.end();
    });
    const client = rawPost('/api/chat', chat);
    await client.until('first');
    expect(client.text).not.toContain('"done":true');
    release();
    await client.until('"done":true');
    await client.until(/0\r\n\r\n$/);
    client.socket.destroy();
  });

  test('passes content type and body through unchanged, even bytes that are not UTF-8', async () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x00, 0x0d, 0x0a, 0xe3, 0x81]);
    fake.next((_, answer) => answer.whole(203, { 'Content-Type': 'Application/JSON;a="b"; Charset="UTF-8"' }, bytes));
    const response = await post(`${gate.url}/api/chat`, secret, { ...chat, stream: false });
    expect(response.status).toBe(203);
    // Of the content type, only the type itself.
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes);
    expect(await lastRow()).toMatchObject({ outcome: 'completed', status: 203, source: 'estimated' });
  });

  test('P16: passes an encoded stream through unread and estimates its usage; an unknown coding is a 502', async () => {
    const bytes = Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]);
    const encoded =
      (coding: string): Script =>
      async (_, answer) => {
        answer.head(200, { ...ndjson, 'Content-Encoding': coding });
        await answer.chunk(bytes);
        answer.end();
      };
    fake.next(encoded('gzip'));
    const client = rawPost('/api/chat', chat, 'Connection: close\r\n');
    await client.closed;
    expect(client.text).toMatch(/content-encoding: gzip/i);
    expect(client.received.includes(bytes)).toBe(true);
    expect(client.text).toMatch(/0\r\n\r\n$/);
    expect(await lastRow()).toMatchObject({ outcome: 'completed', source: 'estimated' });
    fake.next(encoded('x-odd'));
    expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(502);
  });

  test('forwards the body as it came, apart from the one field that the gate adds', async () => {
    const odd =
      '{ "seed" : 9007199254740993, "model":"gemma3:270m","messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00"}] , "x":1e400}\n';
    const seen = fake.arrival();
    await (await post(`${gate.url}/api/chat`, secret, odd)).text();
    expect((await (await seen).body).toString()).toBe(odd);

    const streamed = fake.arrival();
    await (
      await post(
        `${gate.url}/v1/chat/completions`,
        secret,
        '{"model":"gemma3:270m","stream":true,"seed":9007199254740993,"messages":[]}',
      )
    ).text();
    expect((await (await streamed).body).toString()).toBe(
      '{"model":"gemma3:270m","stream":true,"seed":9007199254740993,"messages":[],"stream_options":{"include_usage":true}}',
    );
  });

  test.each([
    ['"stream_options":{}', '"stream_options":{"include_usage":true}'],
    ['"stream_options":{"include_usage":false}', '"stream_options":{"include_usage":true}'],
    ['"stream_options":{"a":1}', '"stream_options":{"a":1,"include_usage":true}'],
    ['"stream_options":null', '"stream_options":{"include_usage":true}'],
    ['"stream_options":{"include_usage":true}', '"stream_options":{"include_usage":true}'],
  ])('to request usage, turns %s into %s', async (given, sent) => {
    const seen = fake.arrival();
    const answer = await (
      await post(`${gate.url}/v1/completions`, secret, `{"model":"gemma3:270m","stream":true,${given},"prompt":"x"}`)
    ).text();
    expect((await (await seen).body).toString()).toBe(`{"model":"gemma3:270m","stream":true,${sent},"prompt":"x"}`);
    expect(answer.includes('"usage"')).toBe(given.includes('true'));
    expect(await lastRow()).toMatchObject({ source: 'exact', completionTokens: fake.pieces.length });
  });

  test('P20: memory stays flat over a stream of 400 MB', async () => {
    const own = await spawnGate({ UPSTREAM: fake.url });
    const { secret: key } = await own.key();
    const line = `${JSON.stringify({ message: { content: 'x'.repeat(100_000) }, done: false })}\n`;
    let bytes = 0;
    fake.next(async (_, answer) => {
      answer.head(200, ndjson);
      for (let i = 0; i < 4000; i++) {
        await answer.chunk(line);
        // A generation is slower than any reader; without this pause the gate would rightly drop the reader as stuck.
        while (i * line.length - bytes > 2_000_000) await new Promise((resolve) => setImmediate(resolve));
      }
      await answer.chunk('{"done":true,"prompt_eval_count":1,"eval_count":4000}\n');
      answer.end();
    });
    const idle = residentBytes(own.process.pid!);
    const response = await post(`${own.url}/api/chat`, key, chat);
    let peak = 0;
    for await (const chunk of response.body!) {
      bytes += chunk.length;
      if (bytes % 97 === 0) peak = Math.max(peak, residentBytes(own.process.pid!));
    }
    peak = Math.max(peak, residentBytes(own.process.pid!));
    expect(bytes).toBeGreaterThan(400_000_000);
    expect(peak - idle).toBeLessThan(120_000_000);
    expect((await own.ledger(1)).at(-1)).toMatchObject({
      source: 'exact',
      completionTokens: 4000,
      outcome: 'completed',
    });
    own.process.kill();
    expect(await own.ended).toBe(0);
  });

  test('a large whole answer waits for a slow reader and arrives complete', async () => {
    const own = await openGate(fake.url, { SLOTS: '1' });
    const { secret: key } = await own.key();
    const body = JSON.stringify({ embeddings: [Array.from({ length: 3_000_000 }, () => 0.123)], prompt_eval_count: 5 });
    fake.next((_, answer) => answer.whole(200, { 'Content-Type': 'application/json' }, body));
    const response = await post(`${own.url}/api/embed`, key, { model: 'gemma3:270m', input: 'x' });
    // The slot is free again: the gate holds the whole answer, which waits for the reader.
    expect((await post(`${own.url}/api/chat`, key, { ...chat, stream: false })).status).toBe(200);
    expect(await response.text()).toBe(body);
    expect((await own.ledger(2)).filter(({ operation }) => operation === 'embed')).toMatchObject([
      { outcome: 'completed', source: 'exact', promptTokens: 5 },
    ]);
    await own.stop();
  });

  test('a blob streams through without being buffered', async () => {
    const { secret: uploader } = await gate.key({ scopes: ['models:create'] });
    const seen = fake.arrival();
    fake.next(async (request, answer) => {
      await request.body;
      answer.whole(201, {}, '');
    });
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/blobs/sha256:${'0'.repeat(64)} HTTP/1.1\r\nHost: x\r\nx-api-key: ${uploader}\r\nContent-Length: 6\r\n\r\nhel`,
    );
    // The head arrives before the body is complete.
    expect((await seen).headers['content-length']).toBe('6');
    client.write('lo\n');
    await client.until('201 Created');
    expect((await (await seen).body).toString()).toBe('hello\n');
    expect(await lastRow()).toMatchObject({ operation: 'blob-upload', bytesIn: 6, outcome: 'completed' });
    client.socket.destroy();
  });
});

describe('U7, U8, U10: hanging up stops the model', () => {
  const never: Script = () => undefined;
  test('before the first byte of a stream', async () => {
    fake.next(never);
    const arrival = fake.arrival();
    const client = rawPost('/api/chat', chat);
    const request = await arrival;
    client.socket.destroy();
    await request.aborted;
    expect(await lastRow()).toMatchObject({
      outcome: 'client_closed',
      code: 'client_closed',
      source: 'estimated',
      completionTokens: 0,
    });
    expect((await lastRow()).promptTokens).toBeGreaterThan(0);
  });
  test('while a whole answer is being generated', async () => {
    fake.next(never);
    const arrival = fake.arrival();
    const client = rawPost('/v1/messages', { ...chat, max_tokens: 9 });
    const request = await arrival;
    client.socket.destroy();
    await request.aborted;
    expect(await lastRow()).toMatchObject({ outcome: 'client_closed', operation: 'messages' });
  });
  test('in mid-stream, also by half-closing', async () => {
    fake.pace = onePieceUntilLeft;
    const arrival = fake.arrival();
    const client = rawPost('/api/generate', { model: 'gemma3:270m', prompt: 'x' });
    await client.until('"done":false');
    client.socket.end();
    await (await arrival).aborted;
    const row = await lastRow();
    expect(row).toMatchObject({ outcome: 'client_closed', source: 'estimated', status: 200 });
    expect(row.completionTokens).toBeGreaterThan(0);
    expect(row.completionTokens).toBeLessThan(fake.pieces.length);
  });
  test('an upload that stops sending is aborted', async () => {
    const own = await openGate(fake.url, { TRANSFER_SILENCE_SECONDS: '0.5' });
    const { secret: uploader } = await own.key({ scopes: ['models:create'] });
    fake.next(never);
    const arrival = fake.arrival();
    const client = new RawClient(own.port);
    client.write(
      `POST /api/blobs/sha256:${'0'.repeat(64)} HTTP/1.1\r\nHost: x\r\nx-api-key: ${uploader}\r\nContent-Length: 600\r\n\r\nhel`,
    );
    await client.until(/^HTTP\/1\.1 408 /);
    await (await arrival).aborted;
    expect(await own.ledger(1)).toMatchObject([{ outcome: 'ended', code: 'request_timeout', bytesIn: 3 }]);
    client.socket.destroy();
    await own.stop();
  });
  test('while a blob is being uploaded', async () => {
    const { secret: uploader } = await gate.key({ scopes: ['models:create'] });
    fake.next(never);
    const arrival = fake.arrival();
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/blobs/sha256:${'0'.repeat(64)} HTTP/1.1\r\nHost: x\r\nx-api-key: ${uploader}\r\nContent-Length: 600\r\n\r\nhel`,
    );
    const request = await arrival;
    client.socket.destroy();
    await request.aborted;
    expect(await lastRow()).toMatchObject({ outcome: 'client_closed' });
  });
});

describe('P2, P4, P5, P6, P14, P17, P25: a model server that breaks', () => {
  type Breaks = (request: FakeRequest, answer: Answer, read: Promise<unknown>) => void | Promise<void>;
  const broken: [string, Breaks][] = [
    [
      'is reset in mid-line',
      async (_, answer, read) => {
        answer.head(200, ndjson);
        await answer.chunk('{"message":{"content":"a"},"done":false}\n{"mess');
        await read;
        answer.reset();
      },
    ],
    [
      'ends cleanly without its end mark',
      async (_, answer) => {
        answer.head(200, ndjson);
        await answer.chunk('{"message":{"content":"a"},"done":false}\n');
        answer.end();
      },
    ],
    [
      'hangs up in mid-stream',
      async (_, answer) => {
        answer.head(200, ndjson);
        await answer.chunk('{"message":{"content":"a"},"done":false}\n');
        answer.hangUp();
      },
    ],
    [
      'stops sending',
      async (_, answer) => {
        answer.head(200, ndjson);
        await answer.chunk('{"message":{"content":"a"},"done":false}\n');
      },
    ],
  ];
  test.each(broken)(
    '%s: the stream ends with an error line and a cut connection, and its usage is estimated',
    async (_, breaks) => {
      const { promise: read, resolve: hasRead } = Promise.withResolvers<unknown>();
      fake.next((request, answer) => breaks(request, answer, read));
      const client = rawPost('/api/chat', chat);
      hasRead(client.until('"content":"a"'));
      await client.closed;
      const last = /(\{"error".*\})\n\r\n$/.exec(client.text)?.[1];
      expect(JSON.parse(last!)).toMatchObject({
        error: expect.any(String),
        code: expect.stringMatching(/^upstream_/),
        request_id: expect.stringMatching(/^req_/),
      });
      expect(client.text).not.toMatch(/0\r\n\r\n$/);
      expect(await lastRow()).toMatchObject({ outcome: 'failed', status: 200, source: 'estimated' });
      expect((await lastRow()).completionTokens).toBeGreaterThan(0);
    },
  );

  const dialects: [string, object, string, RegExp][] = [
    [
      '/v1/chat/completions',
      { ...chat, stream: true },
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
      /data: (\{"error":\{"message":.*"code":"upstream_incomplete".*\})\n\n/,
    ],
    [
      '/v1/responses',
      { model: 'gemma3:270m', input: 'x', stream: true },
      'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n',
      /event: error\ndata: (\{"type":"error","code":"upstream_incomplete".*\})\n\n/,
    ],
    [
      '/v1/messages',
      { ...chat, max_tokens: 1, stream: true },
      'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n',
      /event: error\ndata: (\{"type":"error","error":\{"type":"api_error".*\})\n\n/,
    ],
  ];
  test.each(dialects)('%s: the last frame is in its dialect', async (path, body, event, frame) => {
    fake.next(async (_, answer) => {
      answer.head(200, sse);
      await answer.chunk(event);
      answer.end();
    });
    const client = rawPost(path, body);
    await client.closed;
    expect(client.text).toContain(event.trim().split('\n')[0]);
    expect(() => JSON.parse(frame.exec(client.text)![1]!)).not.toThrow();
    expect(client.text).not.toContain('[DONE]');
    expect(client.text).not.toMatch(/0\r\n\r\n$/);
  });

  test('P8: its own error line passes through unchanged and is recorded as its error', async () => {
    fake.next(async (_, answer) => {
      answer.head(200, ndjson);
      await answer.chunk('{"message":{"content":"a"},"done":false}\n');
      await answer.chunk('{"error":"an error was encountered while running the model"}\n');
      answer.end();
    });
    const text = await (await post(`${gate.url}/api/chat`, secret, chat)).text();
    expect(text).toBe(
      '{"message":{"content":"a"},"done":false}\n{"error":"an error was encountered while running the model"}\n',
    );
    expect(await lastRow()).toMatchObject({ outcome: 'upstream_error', source: 'estimated', completionTokens: 1 });
  });

  const failures: [string, number, string, Script][] = [
    ['never answers', 504, 'upstream_timeout', () => undefined],
    ['is reset before it answers', 502, 'upstream_failed', (_, answer) => answer.reset()],
    ['answers with garbage', 502, 'upstream_failed', (_, answer) => answer.raw('rubbish\r\n\r\n')],
    [
      'answers 401',
      502,
      'upstream_refused',
      (_, answer) => answer.whole(401, {}, '{"error":"unauthorized","signin_url":"https://ollama.com/x"}'),
    ],
    ['answers 403', 502, 'upstream_refused', (_, answer) => answer.whole(403, {}, '')],
    [
      'redirects',
      502,
      'upstream_failed',
      (_, answer) => answer.whole(307, { Location: 'http://169.254.169.254/' }, ''),
    ],
    [
      'sends both a length and a transfer coding',
      502,
      'upstream_failed',
      (_, answer) => answer.raw('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}'),
    ],
    [
      'answers with status 999',
      502,
      'upstream_failed',
      (_, answer) => answer.raw('HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\n{}'),
    ],
  ];
  test.each(failures)(
    '%s: the caller gets %i %s once, and the call is never retried',
    async (_, status, code, script) => {
      fake.next(script);
      const count = fake.calls.length;
      const response = await post(`${gate.url}/api/chat`, secret, { ...chat, stream: false });
      const text = await response.text();
      expect(response.status).toBe(status);
      expect(JSON.parse(text)).toMatchObject({ code });
      expect(text).not.toContain('ollama.com');
      expect(response.headers.get('location')).toBeNull();
      expect(fake.calls.length).toBe(count + 1);
      expect(await lastRow()).toMatchObject({ outcome: 'failed', status, code });
    },
  );

  test('P15: bytes after a complete answer never reach the next caller', async () => {
    fake.next((_, answer) =>
      answer.raw(
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison',
      ),
    );
    await (await post(`${gate.url}/api/chat`, secret, { ...chat, stream: false })).text();
    for (let i = 0; i < 5; i++)
      expect(await (await post(`${gate.url}/api/chat`, secret, { ...chat, stream: false })).text()).not.toContain(
        'poison',
      );
  });
});

describe('U3: a reader that stops reading', () => {
  test('is dropped when its buffer is full, and the model slot is released', async () => {
    const big = `${JSON.stringify({ message: { content: 'x'.repeat(64_000) }, done: false })}\n`;
    let request: Parameters<Script>[0] | undefined;
    fake.next(async (arrived, answer) => {
      request = arrived;
      answer.head(200, ndjson);
      for (let i = 0; i < 400 && (await answer.chunk(big)); i++);
    });
    const client = rawPost('/api/chat', chat);
    client.socket.pause();
    await eventually(() => expect(request?.state.aborted).toBe(true));
    expect(await lastRow()).toMatchObject({ outcome: 'ended', code: 'reader_stalled' });
    client.socket.destroy();
  });
  test('is dropped after a time without progress, even when its buffer has room', async () => {
    const own = await openGate(fake.url, { READER_BUFFER_BYTES: '100000000', READER_STALL_SECONDS: '0.5' });
    const { secret: key } = await own.key();
    const line = `${JSON.stringify({ message: { content: 'x'.repeat(1_000_000) }, done: false })}\n`;
    let request: Parameters<Script>[0] | undefined;
    fake.next(async (arrived, answer) => {
      request = arrived;
      answer.head(200, ndjson);
      // More than the kernel buffers for a reader that does not read, far less than the bound.
      for (let i = 0; i < 30; i++) await answer.chunk(line);
    });
    const client = new RawClient(own.port);
    client.socket.pause();
    const body = JSON.stringify(chat);
    client.write(
      `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await eventually(() => expect(request?.state.aborted).toBe(true));
    expect(await own.ledger(1)).toMatchObject([{ outcome: 'ended', code: 'reader_stalled' }]);
    client.socket.destroy();
    await own.stop();
  });
});
