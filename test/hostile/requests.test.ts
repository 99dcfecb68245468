// Well-formed HTTP requests that try to be something else: other routes, other callers, other upstreams, other bodies, other
// log lines.
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
let calls: number;

beforeAll(async () => {
  fake = await startFakeOllama();
  fake.models = [{ name: 'gemma3:270m' }, { name: 'llama3:latest' }];
  gate = await openGate(fake.url, { BODY_LIMIT_BYTES: '1000000' });
  ({ secret } = await gate.key({ models: ['gemma3:*'] }));
});
beforeEach(() => {
  calls = fake.calls.length;
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const inflating = gzipSync(Buffer.alloc(200_000, ' '));
const body = '{"model":"gemma3:270m","prompt":"x","stream":false}';

/** One raw request on a connection of its own. */
async function raw(head: string, content = ''): Promise<{ status: number; text: string }> {
  const client = new RawClient(gate.port);
  client.write(
    Buffer.from(
      `${head}Host: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(content, 'latin1')}\r\n\r\n${content}`,
      'latin1',
    ),
  );
  await client.closed;
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(client.text)?.[1] ?? 0), text: client.text };
}

const generate = (lines = ''): string => `POST /api/generate HTTP/1.1\r\nx-api-key: ${secret}\r\n${lines}`;

describe('headers that claim to change the call', () => {
  // Headers that frameworks and proxies have taken for the real path, method, host or user.
  const overrides = [
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Original-URI',
    'X-Original-Path',
    'X-Override-URL',
    'X-Forwarded-Uri',
    'X-Forwarded-Path',
    'X-Forwarded-Prefix',
    'X-Forwarded-Host',
    'X-Forwarded-Server',
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
    'X-Forwarded-Scheme',
    'X-Host',
    'X-HTTP-Host-Override',
    'Forwarded',
    'X-Accel-Redirect',
    'X-Sendfile',
    'X-Envoy-Original-Path',
    'X-Proxy-URL',
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'X-HTTP-Path-Override',
    'Base-Url',
    'Http-Url',
    'Proxy-Url',
    'Request-Uri',
    'Uri',
    'Url',
    'Destination',
    'Redirect',
    'X-Wap-Profile',
    'X-Client-IP',
    'X-Real-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'Client-IP',
    'X-Cluster-Client-IP',
    'X-User-Id',
    'X-Auth-User',
    'X-Remote-User',
    'Remote-User',
  ];
  const values = ['/api/delete', 'http://evil.example/api/delete', 'DELETE', 'evil.example', '127.0.0.1', 'root'];

  test.each(overrides)('U18: %s changes nothing and is not forwarded', async (name) => {
    for (const value of values) {
      const { status } = await raw(generate(`${name}: ${value}\r\n${name.replaceAll('-', '_')}: ${value}\r\n`), body);
      expect(status, value).toBe(200);
    }
    const heard = fake.calls.slice(calls);
    expect(heard).toHaveLength(values.length);
    for (const { url, method, rawHeaders } of heard) {
      expect([method, url]).toEqual(['POST', '/api/generate']);
      const names = rawHeaders.map(([line]) => line.toLowerCase().replaceAll('_', '-'));
      expect(names).not.toContain(name.toLowerCase());
    }
  });

  test.each([
    'authorization, x-api-key',
    'host',
    'content-length',
    'transfer-encoding',
    'via',
    'x-forwarded-for',
    'close, content-type, x-request-id',
  ])('U19: Connection: %s removes nothing that the gate needs or adds', async (tokens) => {
    const { status } = await raw(generate(`Connection: ${tokens}\r\nContent-Type: application/json\r\n`), body);
    expect(status).toBe(200);
    const { headers } = fake.calls.at(-1) ?? {};
    expect(headers).toMatchObject({ host: new URL(fake.url).host, 'content-length': String(body.length) });
    expect(headers?.['via']).toContain('sekisho');
  });

  test('U20: a client address that an untrusted caller claims is not believed, in any header', async () => {
    const { secret: bound } = await gate.key({ cidr: ['192.0.2.0/24'] });
    for (const name of [
      'X-Forwarded-For',
      'X_Forwarded_For',
      'X-Real-IP',
      'Forwarded',
      'True-Client-IP',
      'X-Client-IP',
    ]) {
      const { status } = await raw(
        `GET /api/version HTTP/1.1\r\nx-api-key: ${bound}\r\n${name}: ${name === 'Forwarded' ? 'for=' : ''}192.0.2.7\r\n`,
      );
      expect(status, name).toBe(403);
    }
  });

  test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    'U23: a header named %s is a header like any other',
    async (name) => {
      const { status } = await raw(generate(`${name}: x\r\n${name}: y\r\n`), body);
      expect(status).toBe(200);
      expect(JSON.stringify(fake.calls.at(-1)?.rawHeaders)).not.toContain(name);
    },
  );
});

describe('oversized heads', () => {
  test.each([
    ['99 headers', 95, 200],
    ['100 headers', 97, 431],
    ['1,100 headers', 1_097, 431],
  ])('U21: %s before the key and the length: %s', async (_, more, status) => {
    const answer = await raw(`POST /api/generate HTTP/1.1\r\n${'X: y\r\n'.repeat(more)}x-api-key: ${secret}\r\n`, body);
    expect(answer.status).toBe(status);
    expect(fake.calls.length - calls).toBe(status === 200 ? 1 : 0);
  });

  test('U22: a header of 17 KiB, and a URL of 17 KiB', async () => {
    expect((await raw(generate(`X: ${'y'.repeat(17 * 1024)}\r\n`), body)).status).toBe(431);
    expect((await raw(`GET /api/version?${'y'.repeat(17 * 1024)} HTTP/1.1\r\nx-api-key: ${secret}\r\n`)).status).toBe(
      431,
    );
    expect(fake.calls.length).toBe(calls);
  });
});

describe('methods and protocols', () => {
  test.each([
    ['TRACE', 405],
    ['PATCH', 405],
    ['PROPFIND', 405],
    ['LOCK', 405],
    ['PURGE', 405],
    ['SEARCH', 405],
    ['M-SEARCH', 405],
    ['CONNECT', 405],
    ['FOO', 400],
    ['get', 400],
    ['PRI', 400],
    ['TRACK', 400],
  ])('U44: %s is %i and reaches no server', async (method, status) => {
    expect((await raw(`${method} /api/version HTTP/1.1\r\nx-api-key: ${secret}\r\n`)).status).toBe(status);
    expect(fake.calls.length).toBe(calls);
  });

  test.each([
    ['websocket', 'Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'],
    ['h2c', 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n'],
    ['TLS/1.0', 'Upgrade: TLS/1.0\r\n'],
  ])('U45: an upgrade to %s opens no tunnel', async (_, lines) => {
    const client = new RawClient(gate.port);
    client.write(`GET /api/version HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nConnection: Upgrade\r\n${lines}\r\n`);
    await client.until(/^HTTP\/1\.1 \d{3}/);
    expect(client.text).not.toContain('101');
    const heard = fake.calls.slice(calls);
    for (const { headers } of heard) expect(headers['upgrade']).toBeUndefined();
    client.socket.destroy();
  });
});

describe('bodies', () => {
  const send = (
    content: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    path = '/api/generate',
  ): Promise<Response> =>
    fetch(gate.url + path, { method: 'POST', headers: { 'x-api-key': secret, ...headers }, body: content });

  test.each<[string, string | undefined]>([
    ['none', undefined],
    ['text/plain', 'text/plain'],
    ['a form', 'application/x-www-form-urlencoded'],
    ['a space before it', ' application/json'],
    ['JSON with a charset', 'application/json; charset=utf-8'],
    ['JSON that claims to be UTF-16', 'application/json; charset=utf-16'],
    ['multipart', 'multipart/form-data; boundary=x'],
    ['an image', 'image/png'],
  ])('U36: with the type %s are read as their route says, and the policy holds', async (_, type) => {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    expect([200, 415]).toContain((await send(Buffer.from(body), headers)).status);
    // Another type does not make a forbidden model available.
    const other = await send(Buffer.from(body.replace('gemma3:270m', 'llama3')), headers);
    expect([404, 415]).toContain(other.status);
    expect(fake.calls.slice(calls).filter(({ url }) => url === '/api/generate').length).toBeLessThanOrEqual(1);
  });

  test.each([
    ['invalid UTF-8', Buffer.from(`{"model":"gemma3:270m","prompt":"\xff\xfe","stream":false}`, 'latin1'), 400],
    ['half a character', Buffer.from(`{"model":"gemma3:270m","prompt":"\xe3\x81","stream":false}`, 'latin1'), 400],
    ['UTF-16', Buffer.from(body, 'utf16le'), 400],
    ['an overlong slash', Buffer.from(`{"model":"gemma3:270m","prompt":"\xc0\xaf","stream":false}`, 'latin1'), 400],
    [
      'a surrogate as bytes',
      Buffer.from(`{"model":"gemma3:270m","prompt":"\xed\xa0\x80","stream":false}`, 'latin1'),
      400,
    ],
  ])('U37: with %s are refused', async (_, content, status) => {
    expect((await send(content)).status).toBe(status);
    expect(fake.calls.length).toBe(calls);
  });

  test.each([
    '\\ud800',
    '\\udc00\\ud800',
    '\u2028\u2029',
    '\ufeff',
    '\u0000'.replace('\u0000', '\\u0000'),
    '\u202e\u2066',
    'ด้้้้้็็็็็้้้้้็็็็็',
    '👩‍👩‍👧‍👦🏴‍☠️',
    '%00%0d%0a',
    '<script>alert(1)</script>',
    "'; DROP TABLE keys;--",
    '${7*7}{{7*7}}',
    '../../../etc/passwd',
    'NaN',
    '\\r\\nSet-Cookie: a=b',
  ])('U37: with the text %j are forwarded byte for byte', async (text) => {
    const content = `{"model":"gemma3:270m","prompt":"${text}","stream":false}`;
    const arrival = fake.arrival();
    expect((await send(content)).status).toBe(200);
    expect(Buffer.compare(await (await arrival).body, Buffer.from(content))).toBe(0);
  });

  test('U35: with an unsupported coding are refused before they are read, whatever the coding is called', async () => {
    for (const coding of ['gzip, gzip', 'gzip,identity', 'br', 'compress', 'zstd;q=1', 'x-unknown', ''])
      for (const path of ['/api/generate', '/v1/chat/completions', '/v1/messages']) {
        const answer = await send(gzipSync(gzipSync(body)), { 'content-encoding': coding }, path);
        expect([coding, answer.status, answer.headers.get('accept-encoding')]).toEqual([
          coding,
          415,
          'gzip, deflate, zstd',
        ]);
      }
    expect(fake.calls.length).toBe(calls);
    // "identity" means that nothing was encoded.
    expect((await send(body, { 'content-encoding': 'identity' })).status).toBe(200);
  });

  test.each([
    'api_base',
    'base_url',
    'custom_llm_provider',
    'remote_host',
    'headers',
    'extra_headers',
    'proxy',
    'upstream',
    'x-portkey-custom-host',
  ])('U42: that name another server in %s still go to the configured one', async (name) => {
    const content = body.replace('{', `{${JSON.stringify(name)}:"http://169.254.169.254/",`);
    const answer = await send(content, { [name.startsWith('x-') ? name : 'x-upstream']: 'http://169.254.169.254/' });
    expect([200, 400, 403]).toContain(answer.status);
    for (const { headers, url } of fake.calls.slice(calls)) {
      expect(url).toBe('/api/generate');
      expect(headers['host']).toBe(new URL(fake.url).host);
    }
  });

  test('U42: that would make the model server call another server are refused without the scope for it', async () => {
    for (const [path, content] of [
      ['/api/create', '{"model":"mine","from":"gemma3:270m","remote_host":"http://169.254.169.254"}'],
      ['/api/pull', '{"model":"evil.example/x/y"}'],
      ['/api/experimental/web_fetch', '{"url":"http://169.254.169.254/"}'],
      ['/api/web_fetch', '{"url":"http://169.254.169.254/"}'],
    ] as const)
      expect([403, 404], path).toContain((await send(content, {}, path)).status);
    expect(fake.calls.length).toBe(calls);
  });

  test.each(['http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', 'http://127.0.0.1:1/x'])(
    'U41: with an image at %s make the gate fetch nothing',
    async (url) => {
      const content = JSON.stringify({
        model: 'gemma3:270m',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
      });
      const answer = await send(content, {}, '/v1/chat/completions');
      // The gate never fetches; Ollama itself takes only data: URLs.
      expect([200, 400]).toContain(answer.status);
      await answer.text();
    },
  );

  test('U41: with 30 MiB of an image are too large', async () => {
    const content = `{"model":"gemma3:270m","prompt":"x","images":["${'A'.repeat(30 * 1024 * 1024)}"]}`;
    expect((await send(content)).status).toBe(413);
    expect(fake.calls.length).toBe(calls);
  });
});

describe('the log', () => {
  test('U54: has one JSON object per line, whatever a caller sends', async () => {
    const own = await openGate(fake.url, { LOG_LEVEL: 'debug' });
    const { secret: key } = await own.key();
    const naughty = [
      '\r\n{"level":"info"}',
      '\u0000',
      '\u001b[31m',
      '\u2028',
      '"},{"a":"',
      '\\',
      '%0d%0a{"x":1}',
      'ﬀ',
      '<b>',
    ];
    for (const text of naughty) {
      const encoded = encodeURIComponent(text);
      await fetch(`${own.url}/api/${encoded}`, { headers: { 'x-api-key': key, 'user-agent': encoded } });
      await post(`${own.url}/api/chat`, key, { model: text, messages: [] });
      const client = new RawClient(own.port);
      client.write(`GET /${text} HTTP/1.1\r\nHost: ${text}\r\nX-Request-Id: ${text}\r\nConnection: close\r\n\r\n`);
      await Promise.race([client.closed, client.until('HTTP/1.1')]);
      client.socket.destroy();
    }
    const lines = own.log().trim().split('\n');
    expect(lines.length).toBeGreaterThan(naughty.length);
    for (const line of lines) {
      expect(() => JSON.parse(line), line).not.toThrow();
      expect(
        Array.from(line).every((letter) => letter >= ' ' && letter !== '\u007f'),
        JSON.stringify(line),
      ).toBe(true);
    }
    await own.stop();
  });
});

test('the log says of a call only what is in a closed list of fields, whatever the call sends', async () => {
  const own = await openGate(fake.url, { LOG_LEVEL: 'debug' });
  const { secret: known } = await own.key();
  const headers = {
    'x-planted': 'planted',
    cookie: 'planted=planted',
    referer: 'http://planted',
    'user-agent': 'planted',
  };
  const sent = {
    model: 'gemma3:270m',
    prompt: 'planted',
    system: 'planted',
    options: { stop: ['planted'] },
    stream: false,
  };
  for (const key of [known, 'planted'])
    for (const path of ['/api/generate?planted=1', '/v1/chat/completions?planted', '/v1/planted?planted'])
      await fetch(own.url + path, {
        method: 'POST',
        headers: { ...headers, authorization: `Bearer ${key}` },
        body: JSON.stringify(sent),
      });
  const lines = own
    .log()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const ofCalls = lines.filter((line) => 'outcome' in line);
  expect(ofCalls).toHaveLength(6);
  const listed = ['level', 'time', 'msg', 'id', 'address', 'method', 'path', 'status', 'outcome', 'durationMs'];
  const ofKnown = ['key', 'model', 'askedModel', 'fallbackFor', 'upstream', 'queuedMs', 'queuePosition', 'cause'];
  for (const line of ofCalls) {
    expect(Object.keys(line).filter((field) => ![...listed, ...ofKnown].includes(field))).toEqual([]);
    expect(JSON.stringify({ ...line, path: '' })).not.toContain('planted');
    expect(line['path']).not.toContain('?');
  }
  await own.stop();
});

describe('unreadable requests to the pages and the management API', () => {
  const json = { 'content-type': 'application/json' };
  test.each<[string, string, RequestInit]>([
    ['an invalid escape', '/management/v1/keys/%E0%A4%A', {}],
    ...['gzip', 'deflate', 'br'].map((coding): [string, string, RequestInit] => [
      `invalid ${coding}`,
      '/management/v1/setup',
      { method: 'POST', headers: { ...json, 'content-encoding': coding }, body: 'x' },
    ]),
    [
      'a bomb',
      '/management/v1/setup',
      { method: 'POST', headers: { ...json, 'content-encoding': 'gzip' }, body: inflating },
    ],
  ])('%s is a client error, without a line in the log', async (_what, path, init) => {
    const before = gate.log().length;
    const answer = await fetch(`${gate.url}${path}`, init);
    expect([404, 415]).toContain(answer.status);
    await answer.text();
    expect(gate.log().slice(before)).not.toContain('"level":"error"');
  });
});

test('a pattern of many stars takes no longer than any other, even for a name made to slow it down', async () => {
  const hostile = ['*a*a*a*a*a*a*b', `${'*a'.repeat(99)}*b`, `${'a*'.repeat(99)}b`, '*aab'.repeat(40)];
  const patterns = Array.from({ length: 50 }, () => hostile).flat();
  const { secret: starred } = await gate.key({ models: patterns });
  for (const model of ['a'.repeat(70), `${'a'.repeat(80)}:${'a'.repeat(80)}`, `${'aab'.repeat(25)}aa`]) {
    const answer = await post(`${gate.url}/api/generate`, starred, { model, prompt: 'x' });
    expect(answer.status).toBe(404);
  }
  expect(fake.calls.length).toBe(calls);
});

test.each([
  ['more patterns than a list holds', { models: Array.from({ length: 201 }, (_, at) => `m${at}`) }],
  ['a pattern that is too long', { models: [`${'m'.repeat(200)}*`] }],
  ['a name that is too long', { models: [`m${' '.repeat(300)}`] }],
  ['more address blocks than a list holds', { cidr: Array.from({ length: 201 }, (_, at) => `10.0.0.${at}`) }],
  ['an address block that is too long', { cidr: [`${'0'.repeat(60)}1.2.3.4`] }],
])('%s cannot be stored', async (_, asked) => {
  await expect(gate.key(asked)).rejects.toThrow(/up to 200|is not a/);
  if ('models' in asked) await expect(gate.member(asked)).rejects.toThrow(/up to 200|is not a/);
});
