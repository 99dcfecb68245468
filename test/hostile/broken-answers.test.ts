// Truncated answers never look complete, whatever the framing; and errors of a model server reach a caller in our own words,
// without the gate's credentials or the server's address.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority, makeCertificate } from '../certificates.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
/** A client that knows whether the connection was reset. */
class Caller extends RawClient {
  error: string | undefined;
  constructor(port: number) {
    super(port);
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code));
  }
}

const pass = 'Bearer gate-pass/7Qx+93=='; // What the gate presents to the model server.
beforeAll(async () => {
  fake = await startFakeOllama();
  const file = join(temporaryDirectory(), 'headers');
  writeFileSync(file, `Authorization: ${pass}\nX-Tenant: tenant-4411-blue\n`);
  gate = await openGate(fake.url, { UPSTREAM_HEADER_FILE: file });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const json = { 'Content-Type': 'application/json' };
const chat = { model: 'gemma3:270m', messages: [] };

/** What the caller of the running `ask` has read. */
let read: (part: string) => Promise<string>;
async function ask(path: string, body: object, version = '1.1'): Promise<Caller> {
  const client = new Caller(gate.port);
  read = (part) => client.until(part);
  const text = JSON.stringify(body);
  client.write(
    `POST ${path} HTTP/${version}\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  await client.closed;
  return client;
}
const bodyOf = ({ text }: RawClient): string => text.slice(text.indexOf('\r\n\r\n') + 4);

describe('a truncated answer', () => {
  const line = `data: {"choices":[{"delta":{"content":"a"}}]}\n\n`;
  const counted =
    (type: string, said: string): Script =>
    async (_, answer) => {
      answer.raw(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: 200\r\n\r\n${said}`);
      await read(said);
      answer.hangUp();
    };
  test('in a counted stream ends with an error frame, and the framing shows that the end is missing', async () => {
    fake.next(counted('text/event-stream', line.repeat(3)));
    const client = await ask('/v1/chat/completions', { ...chat, stream: true });
    expect(client.text.toLowerCase()).not.toContain('content-length');
    expect(client.text).toContain('"code":"upstream_failed"');
    expect(client.text).not.toMatch(/0\r\n\r\n$/);
  });

  test('in a counted body gets no byte of ours, and its connection is reset', async () => {
    const said = `{"response":"${'a'.repeat(5_000)}`;
    for (const stream of [true, false]) {
      fake.next(async (_, answer) => {
        answer.raw(
          `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${said.length + 50}\r\n\r\n${said}`,
        );
        await read(said);
        answer.hangUp();
      });
      const client = await ask('/api/generate', { model: 'gemma3:270m', prompt: 'x', stream });
      expect(bodyOf(client)).toBe(said);
      expect(client.error).toBe('ECONNRESET');
    }
  });

  test('is reset for HTTP/1.0 callers, for whom the close is the end', async () => {
    const whole = `{"response":"${'a'.repeat(5_000)}`;
    const broken: [string, object, string, string][] = [
      ['/v1/chat/completions', { ...chat, stream: true }, 'text/event-stream', line],
      ['/api/chat', chat, 'application/x-ndjson', '{"message":{"content":"a"},"done":false}\n'],
      ['/api/chat', { ...chat, stream: false }, 'application/json', whole],
    ];
    for (const [path, body, type, said] of broken) {
      fake.next(async (_, answer) => {
        answer.head(200, { 'Content-Type': type });
        await answer.chunk(said);
        answer.hangUp();
      });
      const client = await ask(path, body, '1.0');
      expect(client.text).toMatch(/^HTTP\/1\.1 200 /);
      expect(client.error, path).toBe('ECONNRESET');
      expect(bodyOf(client).startsWith(said)).toBe(true);
    }
  });

  test('is reset for HTTP/1.0 callers under TLS too, without a close_notify', async () => {
    const place = temporaryDirectory();
    const { cert, key } = makeCertificate(place, ['DNS:localhost'], { authority: makeAuthority(place) });
    const secure = await openGate(fake.url, { TLS_CERT: cert, TLS_KEY: key });
    const made = await secure.key();
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"message":{"content":"a"},"done":false}\n');
      answer.hangUp();
    });
    const socket = connectTls({ port: secure.port, host: '127.0.0.1', rejectUnauthorized: false });
    let said = '';
    let ended = false;
    const failed = new Promise<string | undefined>((resolve) => {
      socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code)).on('close', () => resolve(undefined));
    });
    socket.on('data', (bytes: Buffer) => (said += bytes.toString())).on('end', () => (ended = true));
    const text = JSON.stringify(chat);
    socket.write(
      `POST /api/chat HTTP/1.0\r\nHost: x\r\nx-api-key: ${made.secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    expect([await failed, ended]).toEqual(['ECONNRESET', false]);
    expect(said).toContain('"done":false');
    await secure.stop();
  });

  test('a complete answer is closed normally under HTTP/1.0', async () => {
    const client = await ask('/api/chat', chat, '1.0');
    expect(client.text).toContain('"done":true');
    expect(client.error).toBeUndefined();
  });

  test('is reset when garbage from its caller interrupted it and the close would look like its end', async () => {
    let release!: () => void;
    const held = new Promise<void>((resolve) => (release = resolve));
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"message":{"content":"a"},"done":false}\n');
      await held;
      answer.end();
    });
    const client = new Caller(gate.port);
    const text = JSON.stringify(chat);
    client.write(
      `POST /api/chat HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    await client.until('"done":false');
    client.write('\u0000 rubbish\r\n\r\n');
    await client.closed;
    release();
    expect(client.error).toBe('ECONNRESET');
  });
});

test.each([204, 205, 206, 304])('an unrequested status %i without content is reported as no answer', async (status) => {
  for (const stream of [true, false])
    for (const path of ['/api/chat', '/v1/chat/completions']) {
      fake.next((_, answer) => answer.whole(status, json, status === 206 ? '{"done":true' : ''));
      const answer = await post(gate.url + path, secret, { ...chat, stream });
      expect([answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([502, 'upstream_failed']);
    }
});

describe('an error of a model server', () => {
  const spellings: [string, string][] = [
    ['as it is', pass],
    ['its credential alone', 'gate-pass/7Qx+93=='],
    ['escaped in JSON', '\\u0067ate-pass\\/7Qx+93=='],
    ['encoded for a URL', encodeURIComponent(pass)],
    ['encoded twice', encodeURIComponent(encodeURIComponent(pass))],
    ['in base64', Buffer.from(`x:${pass}`).toString('base64')],
    ['in hexadecimal', Buffer.from(pass).toString('hex')],
    ['in part', 'gate-pass/7Q...'],
    ['in capitals', pass.toUpperCase()],
    ['as HTML', 'gate&#45;pass&#x2f;7Qx+93=='],
    ['another line of the file', 'tenant-4411-blue'],
  ];
  const leaks = /gate.?pass|7Qx\+|z2F0ZS1w|676174652d70|tenant-4411|127\.0\.0\.1/i;
  const paths = [
    ['/api/generate', { model: 'gemma3:270m', prompt: 'x', stream: false }],
    ['/v1/chat/completions', chat],
    ['/v1/messages', { ...chat, max_tokens: 5 }],
  ] as const;

  test.each(spellings)('never contains the gate’s credentials: %s', async (_, spelled) => {
    for (const status of [200, 400, 429, 500, 502])
      for (const [path, body] of paths) {
        const bodies = [
          `{"error":"proxy: header ${spelled} refused"}`,
          `{"error":{"message":"header ${spelled}","type":"${spelled}","param":"${spelled}","code":"${spelled}"}}`,
          `{"error":{"message":"no"},"debug":{"headers":"${spelled}"}}`,
          `{"type":"error","error":{"type":"api_error","message":"${spelled}"}}`,
        ];
        for (const said of bodies) {
          fake.next((_request, answer) => answer.whole(status, { ...json, 'Retry-After': spelled }, said));
          const answer = await post(gate.url + path, secret, body);
          const text = await answer.text();
          // Clients read whatever comes with a success status as the answer.
          expect(answer.status).toBe(status === 200 ? 502 : status);
          expect(() => JSON.parse(text)).not.toThrow();
          expect(text + JSON.stringify([...answer.headers]), said).not.toMatch(leaks);
          expect(answer.headers.get('x-sekisho-error-owner')).toBe('upstream');
        }
      }
  });

  test('is decoded and read, and never passed on as it came', async () => {
    const said = JSON.stringify({ error: `refused: ${pass}`, more: 'x'.repeat(30_000) });
    const packers = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };
    for (const [coding, pack] of Object.entries(packers))
      for (const status of [200, 400]) {
        for (const text of [said, JSON.stringify({ error: 'it is too warm' })]) {
          fake.next((_, answer) => answer.whole(status, { ...json, 'Content-Encoding': coding }, pack(text)));
          const answer = await post(`${gate.url}/api/generate`, secret, paths[0][1]);
          expect(answer.headers.get('content-encoding')).toBeNull();
          const { error } = (await answer.json()) as { error: string };
          if (text === said) expect(error).toMatch(/^The model server (failed|answered with status 400)\.$/);
          else expect(error).toBe('it is too warm');
        }
      }
  });

  test('as a page, too long, endless, a decompression bomb or empty is replaced by our own words', async () => {
    const bodies: [object, string | Buffer][] = [
      [{ 'Content-Type': 'text/html' }, `<html>nginx ${pass}</html>`],
      [{}, ''],
      [json, `{"error":"${'a'.repeat(100_000)}"}`],
      [{ ...json, 'Content-Encoding': 'gzip' }, gzipSync(Buffer.alloc(5_000_000, 0x20))],
      [{ ...json, 'Content-Encoding': 'x-odd' }, 'abc'],
      [json, '[1]'],
    ];
    for (const [headers, said] of bodies) {
      fake.next((_, answer) => answer.whole(502, headers as Record<string, string>, said));
      const answer = await post(`${gate.url}/api/generate`, secret, paths[0][1]);
      expect([answer.status, await answer.json()]).toEqual([
        502,
        { error: 'The model server answered with status 502.' },
      ]);
    }
    let aborted = false;
    fake.next(async (request, answer) => {
      void request.aborted.then(() => (aborted = true));
      answer.head(500, json);
      while (await answer.chunk('a'.repeat(10_000)));
    });
    expect((await post(`${gate.url}/api/generate`, secret, paths[0][1])).status).toBe(500);
    await eventually(() => expect(aborted).toBe(true));
  });

  test('in the middle of a stream never contains them either, however many lines its data has and however it is cut', async () => {
    const error = JSON.stringify({ error: { message: `header ${pass}`, type: 'x', param: pass } }, undefined, 1);
    const lines = (end: string): string =>
      `data: {"choices":[{"delta":{"content":"a"}}]}${end}${end}event: error${end}${error
        .split('\n')
        .map((line) => `data: ${line}${end}`)
        .join('')}id: 7${end}${end}`;
    for (const end of ['\n', '\r\n', '\r'])
      for (const size of [1, 7, 64, 10_000]) {
        const said = lines(end);
        fake.next(async (_, answer) => {
          answer.head(200, { 'Content-Type': 'text/event-stream' });
          for (let at = 0; at < said.length; at += size) await answer.chunk(said.slice(at, at + size));
          answer.end();
        });
        const text = await (await post(`${gate.url}/v1/chat/completions`, secret, { ...chat, stream: true })).text();
        expect(text).toContain('"content":"a"');
        expect(text).not.toMatch(leaks);
        expect(text).toMatch(/event: error\s+data: \{"error":\{/);
        expect(text).toMatch(/id: 7/);
      }
  });

  test('in a stream, as a named event or as a list, never contains them either', async () => {
    const piece = 'data: {"choices":[{"delta":{"content":"error: \\"event: error\\""}}]}\n\n';
    for (const said of [
      `event: error\ndata: refused header ${pass}\n\n`,
      `event:error\r\ndata: "${pass}"\r\n\r\n`,
      `id: 1\revent: error\rdata: {"message":"header ${pass}"}\r\r`,
      `event: error\ndata: {"detail":{"header":"${pass}"}}\n\n`,
      `data: {"error":["header ${pass}"]}\n\n`,
    ])
      for (const size of [1, 7, 10_000]) {
        const stream = `${piece}${said}data: [DONE]\n\n`;
        fake.next(async (_, answer) => {
          answer.head(200, { 'Content-Type': 'text/event-stream' });
          for (let at = 0; at < stream.length; at += size) await answer.chunk(stream.slice(at, at + size));
          answer.end();
        });
        const text = await (await post(`${gate.url}/v1/chat/completions`, secret, { ...chat, stream: true })).text();
        expect(text).toContain(piece);
        expect(text, said).not.toMatch(leaks);
      }
    fake.next((_, answer) => answer.whole(200, json, `{"error":["header ${pass}"]}`));
    const whole = await post(`${gate.url}/v1/chat/completions`, secret, chat);
    expect(await whole.text()).not.toMatch(leaks);
  });

  test('does not reveal the server’s address, not even by its bare name', async () => {
    const named = await openGate(fake.url.replace('127.0.0.1', 'localhost'), {});
    const { secret: key } = await named.key();
    for (const said of [
      `dial tcp ${new URL(fake.url).host}: connect: connection refused`,
      'dial tcp: lookup model-box-7 on 10.0.0.2:53: no such host',
      'Post "http://gpu-3.internal:8000/v1/x?key=abc": EOF',
    ]) {
      fake.next((_, answer) => answer.whole(502, json, JSON.stringify({ error: said })));
      const { error } = (await (await post(`${named.url}/api/generate`, key, paths[0][1])).json()) as { error: string };
      expect(error).not.toMatch(/127\.0|10\.0|model-box|gpu-3|abc/);
    }
    await named.stop();
  });

  test('keeps its message, type, code and field, in the words of the dialect', async () => {
    const said = {
      message: 'top_p must be below 1 & above 0',
      type: 'invalid_request_error',
      param: 'top_p',
      code: 'range',
    };
    const shapes: [string, object, object, object][] = [
      ['/api/generate', paths[0][1], { error: said }, { error: said.message }],
      ['/v1/chat/completions', chat, { error: said }, { error: said }],
      [
        '/v1/chat/completions',
        chat,
        { error: said.message },
        { error: { message: said.message, type: 'invalid_request_error', param: null, code: null } },
      ],
      ['/v1/chat/completions', chat, { object: 'error', ...said }, { error: said }],
      [
        '/v1/chat/completions',
        chat,
        { detail: [{ loc: ['body'], msg: said.message }] },
        { error: { message: said.message, type: 'invalid_request_error', param: null, code: null } },
      ],
      [
        '/v1/messages',
        paths[2][1],
        { type: 'error', error: { type: 'overloaded_error', message: 'busy' } },
        { type: 'error', error: { type: 'overloaded_error', message: 'busy' } },
      ],
    ];
    for (const [path, body, from, to] of shapes) {
      fake.next((_, answer) => answer.whole(400, json, JSON.stringify(from)));
      expect(await (await post(gate.url + path, secret, body)).json()).toMatchObject(to);
    }
  });

  test('in mid-stream is spelled in the dialect too, however it is cut', async () => {
    const before = (await gate.ledger(0)).length;
    const frames: [string, object, string, string][] = [
      [
        '/api/generate',
        { model: 'gemma3:270m', prompt: 'x' },
        'application/x-ndjson',
        `{"error":"runner: ${pass} ☠"}\n`,
      ],
      [
        '/v1/chat/completions',
        { ...chat, stream: true },
        'text/event-stream',
        `data: {"error":{"message":"${encodeURIComponent(pass)}","type":"x"}}\n\n`,
      ],
      [
        '/v1/responses',
        { model: 'gemma3:270m', input: 'x', stream: true },
        'text/event-stream',
        `event: response.failed\ndata: {"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"${pass}"}}}\n\n`,
      ],
      [
        '/v1/messages',
        { ...chat, max_tokens: 5, stream: true },
        'text/event-stream',
        `event: error\r\ndata: {"type":"error","error":{"type":"api_error","message":"${pass}"}}\r\n\r\n`,
      ],
    ];
    for (const [path, body, type, frame] of frames)
      for (const cut of [frame.length, 1, 7, 31]) {
        const bytes = Buffer.from(frame);
        fake.next(async (_, answer) => {
          answer.head(200, { 'Content-Type': type });
          for (let at = 0; at < bytes.length; at += cut) await answer.chunk(bytes.subarray(at, at + cut));
          answer.end();
        });
        const text = await (await post(gate.url + path, secret, body)).text();
        expect(text).not.toMatch(leaks);
        const said = /\{.*\}/.exec(text)?.[0] ?? '';
        expect(JSON.stringify(JSON.parse(said))).toContain('The model server failed.');
      }
    const rows = (await gate.ledger(0)).slice(before);
    expect(rows.filter(({ outcome, streamed }) => streamed && outcome === 'upstream_error')).toHaveLength(16);
  });
});

describe('headers of a model server', () => {
  test('have the syntax of their kind, so that none holds free text', async () => {
    fake.next((_, answer) =>
      answer.whole(
        200,
        {
          'Content-Type': `application/json; a="${pass}"`,
          'Cache-Control': `no-cache, x="${pass}"`,
          'Retry-After': pass,
          'Content-Language': 'tenant-4411-blue',
          'Content-Disposition': `attachment; filename="${pass}"`,
          'X-Debug': pass,
        },
        '{"done":true}',
      ),
    );
    const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(JSON.stringify([...answer.headers])).not.toMatch(/gate-pass|7Qx\+|tenant/);
    await answer.text();
  });
});
