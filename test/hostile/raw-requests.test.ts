// Bytes that a well-behaved client never sends. The test asserts a property rather than a status: the model server receives
// nothing, or exactly the one call that the policy saw, and the client gets exactly one answer to each request.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { HEAD_SECONDS: '1', BODY_SECONDS: '1', BODY_LIMIT_BYTES: '100000' });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

/** Sends the bytes, waits for the connection to end, and returns the status lines. */
async function statuses(bytes: string | Buffer, halfClose = false): Promise<{ codes: number[]; text: string }> {
  const client = new RawClient(gate.port);
  client.write(bytes);
  if (halfClose) client.socket.end();
  await client.closed;
  const codes = [...client.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
  return { codes, text: client.text };
}

const auth = () => `Host: gate.example\r\nx-api-key: ${secret}\r\n`;
const body = '{"model":"gemma3:270m","prompt":"x","stream":false}';
const closing = () => `${auth()}Connection: close\r\n`;

describe('heads that only some servers would accept are refused and not forwarded', () => {
  const cases: [string, () => string, number[]][] = [
    ['U14: two Host headers', () => `GET /api/version HTTP/1.1\r\nHost: a\r\n${closing()}\r\n`, [400]],
    ['U14: no Host', () => `GET /api/version HTTP/1.1\r\nx-api-key: ${secret}\r\nConnection: close\r\n\r\n`, [400]],
    [
      'U14: an empty Host',
      () => `GET /api/version HTTP/1.1\r\nHost: \r\nx-api-key: ${secret}\r\nConnection: close\r\n\r\n`,
      [400],
    ],
    [
      'U14: a Host with a path and fragment',
      () => `GET /api/version HTTP/1.1\r\nHost: localhost/#@x\r\nx-api-key: ${secret}\r\nConnection: close\r\n\r\n`,
      [400],
    ],
    ['U15: an absolute-form target', () => `GET http://evil.example/api/version HTTP/1.1\r\n${closing()}\r\n`, [400]],
    ['U15, U16: an authority-like target', () => `GET //evil.example/api/version HTTP/1.1\r\n${closing()}\r\n`, [404]],
    ['U16: a fragment', () => `GET /api/version#x HTTP/1.1\r\n${closing()}\r\n`, [400]],
    ['U16: a backslash', () => `GET /api\\version HTTP/1.1\r\n${closing()}\r\n`, [400]],
    ['U16: dot segments', () => `GET /api/x/../version HTTP/1.1\r\n${closing()}\r\n`, [400]],
    ['U16: encoded dot segments', () => `GET /api/x/%2e%2e/version HTTP/1.1\r\n${closing()}\r\n`, [400]],
    ['U16: an encoded slash', () => `GET /api%2fversion HTTP/1.1\r\n${closing()}\r\n`, [400]],
    [
      'U11: length and coding at once',
      () =>
        `POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/version HTTP/1.1\r\n${closing()}\r\n`,
      [400],
    ],
    [
      'U11: two lengths',
      () => `POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: 5\r\nContent-Length: 6\r\n\r\n${body}`,
      [400],
    ],
    ['U11: a signed length', () => `POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: +5\r\n\r\n${body}`, [400]],
    [
      'U11: an unknown coding',
      () => `POST /api/generate HTTP/1.1\r\n${closing()}Transfer-Encoding: xchunked\r\n\r\n${body}`,
      [400],
    ],
    [
      'U11: a coding in HTTP/1.0',
      () => `POST /api/generate HTTP/1.0\r\n${closing()}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      [400],
    ],
    ['U11: a space before the colon', () => `GET /api/version HTTP/1.1\r\n${auth()}Content-Length : 5\r\n\r\n`, [400]],
    ['U24: a folded header', () => `GET /api/version HTTP/1.1\r\n${auth()}X: a\r\n b\r\n\r\n`, [400]],
    ['U24: a bare line feed in a header', () => `GET /api/version HTTP/1.1\r\n${auth()}X: a\nY: b\r\n\r\n`, [400]],
    ['U24: a NUL in a header', () => `GET /api/version HTTP/1.1\r\n${auth()}X: a\0b\r\n\r\n`, [400]],
    ['U46: HTTP/2.0 in the request line', () => `GET /api/version HTTP/2.0\r\n${closing()}\r\n`, [505]],
    ['U44, U47: the HTTP/2 preface', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
    ['U46: a TLS hello', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
    ['U21: a hundred headers', () => `GET /api/version HTTP/1.1\r\n${closing()}${'X: y\r\n'.repeat(100)}\r\n`, [431]],
    [
      'U21: the key behind a thousand headers',
      () =>
        `POST /api/generate HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(1100)}x-api-key: ${secret}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      [431],
    ],
    ['U22: a head of 20 KB', () => `GET /api/version HTTP/1.1\r\n${closing()}X: ${'y'.repeat(20_000)}\r\n\r\n`, [431]],
    ['U44: CONNECT', () => `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${closing()}\r\n`, [405]],
    ['U44: TRACE', () => `TRACE /api/version HTTP/1.1\r\n${closing()}\r\n`, [405]],
    ['U44: an unknown method', () => `FOO /api/version HTTP/1.1\r\n${closing()}\r\n`, [400]],
    ['U44: a wrong method', () => `PUT /api/chat HTTP/1.1\r\n${closing()}\r\n`, [405]],
    [
      'U35: an encoded body',
      () => `POST /v1/chat/completions HTTP/1.1\r\n${closing()}Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}`,
      [415],
    ],
    [
      'U34: a body that is too large',
      () => `POST /api/generate HTTP/1.1\r\n${closing()}Content-Length: 100001\r\n\r\n`,
      [413],
    ],
    [
      'U32: two models in one body',
      () => {
        const two = '{"model":"gemma3:270m","MODEL":"llama3","prompt":"x"}';
        return `POST /api/generate HTTP/1.1\r\n${closing()}Content-Length: ${two.length}\r\n\r\n${two}`;
      },
      [400],
    ],
  ];
  test.each(cases)('%s', async (_, bytes, expected) => {
    const calls = fake.calls.length;
    const { codes, text } = await statuses(bytes());
    expect(codes).toEqual(expected);
    expect(text).toMatch(/^x-request-id: req_/im);
    expect(text).not.toContain('100 Continue');
    expect(fake.calls.length).toBe(calls);
  });
});

describe('routes that are not for models refuse such heads, too', () => {
  const wrong: [string, number, string][] = [
    ['two Host headers', 400, 'HTTP/1.1\r\nHost: localhost\r\nHost: other.example'],
    ['a Host with a path', 400, 'HTTP/1.1\r\nHost: localhost/#@x'],
    ['a coding beside chunked', 400, 'HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked'],
    ['a loop', 508, `HTTP/1.1\r\nHost: localhost\r\nVia: 1.1 sekisho, 1.1 sekisho`],
    ['HTTP/2.0', 505, 'HTTP/2.0\r\nHost: localhost'],
    ['a hundred headers', 431, `HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(99)}X: y`],
  ];
  test.each(['/healthz', '/readyz', '/management/v1/me', '/portal', '/portal/', '/'])('%s', async (path) => {
    const ask = async (head: string): Promise<number[]> =>
      (await statuses(`GET ${path} ${head}\r\nAccept: text/html\r\nConnection: close\r\n\r\n`)).codes;
    const usual = await ask('HTTP/1.1\r\nHost: localhost');
    for (const [name, status, head] of wrong) {
      expect(usual).not.toContain(status);
      expect([name, await ask(head)]).toEqual([name, [status]]);
    }
  });
});

test('U34: chunked bodies over the limit are refused while they arrive', async () => {
  const calls = fake.calls.length;
  const chunk = `${(20_000).toString(16)}\r\n${' '.repeat(20_000)}\r\n`;
  const { codes } = await statuses(
    `POST /api/generate HTTP/1.1\r\n${auth()}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(8)}0\r\n\r\n`,
  );
  expect(codes).toEqual([413]);
  expect(fake.calls.length).toBe(calls);
});

test('U34: a client still sending an oversized body can read why it was refused', async () => {
  for (let i = 0; i < 20; i++) {
    const response = await fetch(`${gate.url}/api/generate`, {
      method: 'POST',
      headers: { 'x-api-key': secret },
      body: ' '.repeat(3_000_000),
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([413, 'body_too_large']);
  }
});

test('H5: many large bodies at once are refused before they exhaust the memory, and the room comes back', async () => {
  const own = await openGate(fake.url, { BODY_MEMORY_BYTES: '3400000' });
  const { secret: key } = await own.key();
  const large = JSON.stringify({ model: 'gemma3:270m', prompt: 'x', stream: false, pad: ' '.repeat(1_000_000) });
  const clients = Array.from({ length: 3 }, () => {
    const client = new RawClient(own.port);
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\nContent-Length: ${large.length}\r\n\r\n${large.slice(0, -1)}`,
    );
    return client;
  });
  // One address may hold three quarters of the room: any two of the bodies.
  const answered = (): RawClient[] => clients.filter(({ text }) => text !== '');
  await eventually(() => expect(answered()).toHaveLength(1));
  const [refused] = answered() as [RawClient];
  await refused.until('"bodies_too_many"');
  expect(refused.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nretry-after: 2\r\n/i);
  const held = clients.filter((client) => client !== refused);
  for (const client of held) client.write('}');
  for (const client of held) await client.until('"done":true');
  const send = () => fetch(`${own.url}/api/generate`, { method: 'POST', headers: { 'x-api-key': key }, body: large });
  for (let i = 0; i < 10; i++) expect((await send()).status).toBe(200);
  for (const client of clients) client.socket.destroy();
  await own.stop();
});

test('U48, U50: a chunked body is read whole and forwarded with a length', async () => {
  const seen = fake.arrival();
  const chunks = Array.from(body)
    .map((byte) => `1;ext=x\r\n${byte}\r\n`)
    .join('');
  const { codes } = await statuses(
    `POST /api/generate HTTP/1.1\r\n${closing()}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\nAuthorization: x\r\n\r\n`,
  );
  expect(codes).toEqual([200]);
  const request = await seen;
  expect([
    request.headers['content-length'],
    request.headers['transfer-encoding'],
    (await request.body).toString(),
  ]).toEqual([String(body.length), undefined, body]);
});

test('U13: pipelined requests are answered in order, each with its own key', async () => {
  const one = `GET /api/version HTTP/1.1\r\n${auth()}\r\n`;
  const stranger = 'GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n';
  const { codes } = await statuses(
    `${one}${stranger}${one}GET /nothing HTTP/1.1\r\n${auth()}\r\nGET /api/version HTTP/1.1\r\n${closing()}\r\n`,
  );
  expect(codes).toEqual([200, 401, 200, 404, 200]);
});

test('U1, U2: a trickling head or body is ended with 408', async () => {
  const head = new RawClient(gate.port);
  head.write(`GET /api/version HTTP/1.1\r\nHost: x\r\nX: `);
  await head.closed;
  expect(head.text).toMatch(/^HTTP\/1\.1 408 /);
  const calls = fake.calls.length;
  const slow = new RawClient(gate.port);
  slow.write(`POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: ${body.length}\r\n\r\n{`);
  await slow.until(/^HTTP\/1\.1 408 [\s\S]*request_timeout/);
  slow.socket.destroy();
  expect(fake.calls.length).toBe(calls);
});

test('U46: HTTP/1.0 gets a stream that ends with its connection', async () => {
  const { text } = await statuses(
    `POST /api/generate HTTP/1.0\r\n${auth()}Content-Length: 38\r\n\r\n{"model":"gemma3:270m","prompt":"xyz"}`,
  );
  expect(text).not.toMatch(/transfer-encoding/i);
  expect(text.trim().endsWith('"eval_duration":79156000}')).toBe(true);
});

test('HTTP/1.0 that expects a 100 gets none, which it would take for the answer', async () => {
  const client = new RawClient(gate.port);
  client.write(
    `POST /api/generate HTTP/1.0\r\nHost: x\r\nx-api-key: ${secret}\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await client.closed;
  expect(client.text).toMatch(/^HTTP\/1\.1 200 /);
});

test('P17: a gate configured as its own model server reports the loop', async () => {
  const { codes, text } = await statuses(
    `GET /api/version HTTP/1.1\r\n${closing()}Via: 1.1 sekisho, 1.1 sekisho\r\n\r\n`,
  );
  expect(codes).toEqual([508]);
  expect(text).toContain('loop_detected');
});

describe('U30, U33, U39: invalid or unsupported JSON', () => {
  test.each([
    '',
    'null',
    '[]',
    '"x"',
    '7',
    '{',
    '{"model":"gemma3:270m"',
    '{"model":7}',
    '{"model":null}',
    '{"model":""}',
    '{}',
    '{"model":"gemma3:270m","stream":"true"}',
    '{"model":"gemma3:270m","stream":1}',
    '{"model":"gemma3:270m","stream":"no"}',
    `{"model":"gemma3:270m","x":${'['.repeat(5000)}`,
  ])('%j is 400 in every dialect', async (text) => {
    const calls = fake.calls.length;
    for (const [path, shape] of [
      ['/api/chat', { error: expect.any(String) }],
      ['/v1/chat/completions', { error: { message: expect.any(String) } }],
      ['/v1/messages', { type: 'error', error: { type: 'invalid_request_error' } }],
    ] as const) {
      const response = await fetch(gate.url + path, {
        method: 'POST',
        headers: { 'x-api-key': secret, 'content-type': 'text/plain' },
        body: text,
      });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject(shape);
    }
    expect(fake.calls.length).toBe(calls);
  });
});

test('after all this the gate answers, runs nothing, and has recorded no refused call as completed', async () => {
  expect((await fetch(`${gate.url}/readyz`)).status).toBe(200);
  expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(200);
  const rows = await gate.ledger(1);
  for (const row of rows) expect(row.outcome === 'refused' ? row.promptTokens + row.completionTokens : 0).toBe(0);
  expect(gate.log()).not.toContain('"internal"');
});
