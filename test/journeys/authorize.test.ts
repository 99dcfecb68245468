// Authorization: scopes, models and addresses; what is hidden and what is forwarded.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Scope, scopes } from '../../src/domain/scope.ts';
import { operations } from '../../src/gateway/operation.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  fake.models = [
    { name: 'gemma3:270m' },
    { name: 'llama3:latest' },
    { name: 'far:latest', remoteHost: 'https://elsewhere.example' },
    { name: 'gpt-oss:120b-cloud' },
  ];
  gate = await openGate(fake.url, { TRUSTED_PROXIES: '127.0.0.1' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const digest = `sha256:${'0'.repeat(64)}`;
const bodies: Record<string, unknown> = {
  copy: { source: 'gemma3:270m', destination: 'mine' },
  create: { model: 'mine', from: 'gemma3:270m' },
  'web-search': { query: 'x' },
  'web-fetch': { url: 'x' },
};
const bodyOf = (name: string) =>
  bodies[name] ?? {
    model: 'gemma3:270m',
    prompt: 'x',
    input: 'x',
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 1,
    stream: false,
  };

async function call(name: string, secret: string): Promise<Response> {
  const operation = operations.find((candidate) => candidate.name === name)!;
  const path = operation.path.replace('{digest}', digest).replace('{model}', 'gemma3:270m').replace('{key}', 'x');
  const form = new FormData();
  form.set('model', 'gemma3:270m');
  form.set('file', new Blob(['RIFF']), 'a.wav');
  const body =
    operation.body === 'json'
      ? JSON.stringify(bodyOf(name))
      : operation.body === 'multipart'
        ? form
        : operation.body === 'blob'
          ? 'x'
          : null;
  return fetch(gate.url + path, { method: operation.methods[0]!, headers: { 'x-api-key': secret }, body });
}

test('without a key, every operation is a 401 and reaches no model server', async () => {
  const calls = fake.calls.length;
  for (const { name } of operations) expect([name, (await call(name, '')).status]).toEqual([name, 401]);
  expect(fake.calls.length).toBe(calls);
});

describe('each operation needs its own scope and no other', () => {
  test.each(operations.map((operation) => [operation.name, operation.scope] as const))(
    '%s needs %s',
    async (name, scope) => {
      const { secret: right } = await gate.key({ scopes: [scope] });
      const { secret: wrong } = await gate.key({ scopes: scopes.filter((other) => other !== scope) });
      expect((await call(name, right)).status).not.toBe(403);
      const calls = fake.calls.length;
      const refused = await call(name, wrong);
      expect(refused.status).toBe(403);
      if (operations.find((operation) => operation.name === name)!.methods[0] !== 'HEAD')
        expect(await refused.text()).toContain(scope);
      expect(fake.calls.length).toBe(calls);
    },
  );
  test('a new key may infer, embed and read metadata, and nothing else', async () => {
    const { secret } = await gate.key();
    const granted: Scope[] = ['inference:chat', 'inference:audio', 'inference:embed', 'metadata'];
    for (const { name, scope } of operations)
      expect([name, (await call(name, secret)).status === 403]).toEqual([name, !granted.includes(scope)]);
  });
});

describe('U40: models', () => {
  const routes: [string, object][] = [
    ['/api/chat', { messages: [] }],
    ['/api/generate', { prompt: 'x' }],
    ['/api/show', {}],
    ['/api/embed', { input: 'x' }],
    ['/api/embeddings', { prompt: 'x' }],
    ['/v1/chat/completions', { messages: [] }],
    ['/v1/completions', { prompt: 'x' }],
    ['/v1/embeddings', { input: 'x' }],
    ['/v1/responses', { input: 'x' }],
    ['/v1/messages', { messages: [], max_tokens: 1 }],
  ];
  test.each(routes)(
    '%s: a hidden model answers byte for byte like a missing one, and the model server is not asked',
    async (path, rest) => {
      const { secret } = await gate.key({ models: ['gemma3:*', 'ghost'] });
      const answerOf = async (model: string): Promise<[number, [string, string][], string]> => {
        const response = await post(gate.url + path, secret, { model, ...rest });
        const scrub = (text: string) => text.replace(/req_[0-9A-Za-z]+/g, 'req').replaceAll(model, 'MODEL');
        const headers = [...response.headers]
          .filter(([name]) => name !== 'date' && name !== 'content-length')
          .map(([name, value]): [string, string] => [name, scrub(value)]);
        return [response.status, headers, scrub(await response.text())];
      };
      const calls = fake.calls.length;
      const hidden = await answerOf('llama3');
      expect(fake.calls.length).toBe(calls);
      // `ghost` matches the patterns and does not exist, so this answer is the model server's own.
      expect(await answerOf('ghost')).toEqual(hidden);
      expect(fake.calls.length).toBe(calls + 1);
      expect(hidden[0]).toBe(404);
    },
  );
  test.each(['GEMMA3:270M', ' gemma3:270m', 'registry.ollama.ai/library/gemma3:270m', 'gemma3:270m:local'])(
    '%j means the allowed model',
    async (model) => {
      const { secret } = await gate.key({ models: ['gemma3:270m'] });
      const response = await post(`${gate.url}/api/chat`, secret, { model, messages: [], stream: false });
      const id = response.headers.get('x-request-id');
      await eventually(async () =>
        expect((await gate.ledger(1)).find((row) => row.id === id)).toMatchObject({ model: 'gemma3:270m' }),
      );
    },
  );
  test.each([
    'evil.example/x/y',
    'gemma3:270m\u0000',
    '../gemma3:270m',
    'gemma3@sha256:00',
    'llama3:latest',
    'ＧＥＭＭＡ3:270m',
  ])('%j does not mean the allowed model', async (model) => {
    const { secret } = await gate.key({ models: ['gemma3:270m'] });
    expect((await post(`${gate.url}/api/chat`, secret, { model, messages: [] })).status).toBe(404);
  });
  test('lists show what the key may use, with the entries unchanged', async () => {
    const { secret } = await gate.key({ models: ['gemma3:*'] });
    const headers = { 'x-api-key': secret };
    const whole = await (await fetch(`${fake.url}/api/tags`)).text();
    const entry = /\{"name":"gemma3:270m".*?\}/.exec(whole)![0];
    expect(await (await fetch(`${gate.url}/api/tags`, { headers })).text()).toBe(`{"models":[${entry}]}`);
    expect(await (await fetch(`${gate.url}/api/ps`, { headers })).text()).toContain('"gemma3:270m"');
    expect(await (await fetch(`${gate.url}/api/ps`, { headers })).text()).not.toContain('llama3');
    expect(await (await fetch(`${gate.url}/v1/models`, { headers })).json()).toMatchObject({
      data: [{ id: 'gemma3:270m' }],
    });
    expect((await fetch(`${gate.url}/v1/models/llama3`, { headers })).status).toBe(404);
    // HEAD has no list to filter, and must not reveal the length of the full one.
    const head = await fetch(`${gate.url}/api/tags`, { method: 'HEAD', headers });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, null]);
  });
  test('cloud models and remote aliases need the cloud scope; lists without it omit them', async () => {
    const { secret } = await gate.key();
    const { secret: cloudy } = await gate.key({ scopes: ['inference', 'metadata', 'cloud'] });
    await eventually(async () => {
      for (const model of ['gpt-oss:120b-cloud', 'far']) {
        expect((await post(`${gate.url}/api/chat`, secret, { model, messages: [] })).status).toBe(403);
        expect((await post(`${gate.url}/api/chat`, cloudy, { model, messages: [] })).status).toBe(200);
      }
    });
    const names = async (key: string) =>
      (
        (await (await fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': key } })).json()) as {
          models: { name: string }[];
        }
      ).models.map((entry) => entry.name);
    expect(await names(secret)).toEqual(['gemma3:270m', 'llama3:latest']);
    expect(await names(cloudy)).toHaveLength(4);
  });
  describe('without the cloud scope a web search', () => {
    const search = { type: 'web_search_20250305', name: 'web_search' };
    const other = { type: 'function', name: 'f', parameters: { a: 1e2 } };
    let plain: string;
    let cloudy: string;
    beforeAll(async () => {
      ({ secret: plain } = await gate.key());
      ({ secret: cloudy } = await gate.key({ scopes: ['inference', 'cloud'] }));
    });
    const ask = async (secret: string, path: string, rest: object) => {
      const before = fake.calls.length;
      const body = {
        model: 'gemma3:270m',
        messages: [{ role: 'user', content: 'x' }],
        input: 'x',
        max_tokens: 1,
        ...rest,
      };
      const answer = await post(gate.url + path, secret, body);
      const sent = fake.calls[before];
      return {
        status: answer.status,
        changed: answer.headers.get('x-sekisho-changed'),
        sent: sent && (JSON.parse((await sent.body).toString()) as { tools: unknown; tool_choice: unknown }),
      };
    };

    test.each(['/v1/messages', '/v1/responses', '/v1/chat/completions', '/api/chat'])(
      'is removed when it is only offered on %s, and the answer says so',
      async (path) => {
        for (const type of [
          'web_search',
          'web_search_preview',
          'web_search_20250305',
          'WEB_SEARCH',
          `web_search_${'x'.repeat(900)}`,
        ]) {
          const both = await ask(plain, path, { tools: [other, { ...search, type }, other] });
          expect(both).toMatchObject({ status: 200, changed: 'tools.web_search removed' });
          expect(both.sent?.tools).toEqual([other, other]);
        }
        const alone = await ask(plain, path, { tools: [search], tool_choice: 'auto' });
        expect(alone).toMatchObject({ status: 200, sent: { tools: null, tool_choice: null } });
        const kept = await ask(cloudy, path, { tools: [other, search] });
        expect(kept).toMatchObject({ status: 200, changed: null, sent: { tools: [other, search] } });
      },
    );

    test.each([
      [[other, search], { type: 'web_search_20250305' }],
      [[other, search], { type: 'tool', name: 'web_search' }],
      [[other, search], { type: 'function', function: { name: 'web_search' } }],
      [[other, search], { type: 'allowed_tools', mode: 'required', tools: [{ type: 'web_search' }] }],
      [
        [other, search],
        { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'web_search' }] } },
      ],
      [[search], 'required'],
      [[search], { type: 'any' }],
      [undefined, { type: 'web_search' }],
    ])('is refused when the call insists on it: tools %j with the choice %j', async (tools, tool_choice) => {
      for (const path of ['/v1/messages', '/v1/responses']) {
        expect((await ask(plain, path, { tools, tool_choice })).status).toBe(403);
        expect((await ask(cloudy, path, { tools, tool_choice })).status).toBe(200);
      }
    });

    test('does not stop a call that can use another tool', async () => {
      const insisting = await ask(plain, '/v1/messages', { tools: [other, search], tool_choice: { type: 'any' } });
      expect(insisting).toMatchObject({ status: 200, sent: { tools: [other], tool_choice: { type: 'any' } } });
    });
  });

  test('pull, push and create reach only allowed registries, and both names of a copy are checked', async () => {
    const { secret } = await gate.key({ scopes: ['models'], models: ['*'] });
    const status = async (path: string, body: object) => (await post(gate.url + path, secret, body)).status;
    expect(await status('/api/pull', { model: 'gemma3:270m' })).toBe(200);
    expect(await status('/api/pull', { model: 'evil.example/gemma3/x' })).toBe(403);
    expect(await status('/api/pull', { name: 'evil.example/gemma3/x' })).toBe(403);
    expect(await status('/api/pull', { model: 'gemma3:270m', name: 'llama3' })).toBe(400);
    expect(await status('/api/create', { model: 'gemma3:mine', from: 'evil.example/gemma3/x' })).toBe(403);
    expect(
      await status('/api/create', { model: 'gemma3:mine', from: 'gemma3:270m', remote_host: 'http://evil.example' }),
    ).toBe(403);
    const { secret: narrow } = await gate.key({ scopes: ['models'], models: ['gemma3:*'] });
    expect((await post(`${gate.url}/api/copy`, narrow, { source: 'llama3', destination: 'gemma3:mine' })).status).toBe(
      404,
    );
    expect((await post(`${gate.url}/api/copy`, narrow, { source: 'gemma3:270m', destination: 'llama3' })).status).toBe(
      404,
    );
  });
});

test('U20: an address list is checked against the client address behind the trusted proxy', async () => {
  const { secret } = await gate.key({ cidr: ['192.0.2.0/24'] });
  const from = (forwarded: string) =>
    fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret, 'x-forwarded-for': forwarded } });
  expect((await from('192.0.2.7')).status).toBe(200);
  expect((await from('192.0.2.7, 198.51.100.1')).status).toBe(403);
  expect((await from('198.51.100.1')).status).toBe(403);
});

describe('forwarding', () => {
  test('U18, U19, U20: no credential, cookie, origin or forwarding header reaches the model server', async () => {
    const { secret } = await gate.key();
    const seen = fake.arrival();
    const client = new RawClient(gate.port);
    const body = '{"model":"gemma3:270m","prompt":"x","stream":false}';
    client.write(
      `POST /api/generate?x=1 HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${secret}\r\nX-Api-Key: ${secret}\r\nCookie: a=b\r\nOrigin: https://evil.example\r\nReferer: x\r\n` +
        'X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nForwarded: for=1\r\nX-Real-IP: 1\r\nX-Original-URL: /api/delete\r\nX-HTTP-Method-Override: DELETE\r\nSec-Fetch-Mode: cors\r\nTE: trailers\r\nUpgrade: h2c\r\n' +
        `Connection: close, accept, x-request-id\r\nProxy-Authorization: x\r\nX-User-Id: root\r\n__proto__: x\r\nAccept-Encoding: gzip, zstd\r\nAccept: */*\r\nContent-Type: application/json\r\nTraceparent: 00-a-b-01\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await client.until('"done":true');
    const request = await seen;
    expect(request.url).toBe('/api/generate');
    // `accept` is on the list, but was named for this connection only (RFC 9110 §7.6.1).
    expect(request.rawHeaders.map(([name]) => name.toLowerCase()).toSorted()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'host',
      'traceparent',
      'via',
    ]);
    expect(request.headers['host']).toBe(new URL(fake.url).host);
    expect(JSON.stringify(request.rawHeaders)).not.toContain(secret);
    client.socket.destroy();
  });
  test.each([
    ['/api/chat', []],
    ['/v1/chat/completions', ['openai-beta']],
    ['/v1/messages', ['anthropic-beta', 'anthropic-version']],
  ])('%s: only the headers of its own API family reach the model server', async (path, names) => {
    const { secret } = await gate.key();
    const seen = fake.arrival();
    const headers = {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'x',
      'openai-beta': 'x',
      'x-api-key': secret,
    };
    const body = JSON.stringify({ model: 'gemma3:270m', messages: [], max_tokens: 1, stream: false });
    await fetch(gate.url + path, { method: 'POST', headers, body });
    const arrived = (await seen).rawHeaders.map(([name]) => name.toLowerCase());
    expect(arrived.filter((name) => /^(anthropic|openai)-/.test(name)).toSorted()).toEqual(names);
  });
  test('P13: cookies, CORS headers and hop-by-hop headers of the model server are dropped, the rest is passed on', async () => {
    const { secret } = await gate.key();
    fake.next((_, answer) =>
      answer.whole(
        200,
        {
          'Content-Type': 'application/json',
          'Set-Cookie': 'a=b',
          'Access-Control-Allow-Origin': '*',
          Server: 'x',
          'X-Powered-By': 'x',
          'Strict-Transport-Security': 'x',
          'Clear-Site-Data': '"*"',
          Refresh: '0',
          Location: '/x',
          'Keep-Alive': 'timeout=1',
          'Retry-After': '7',
        },
        '{}',
      ),
    );
    const response = await post(`${gate.url}/api/chat`, secret, { model: 'gemma3:270m', messages: [], stream: false });
    const own = [
      'connection',
      'content-length',
      'content-security-policy',
      'content-type',
      'cross-origin-resource-policy',
      'date',
      'keep-alive',
      'retry-after',
      'x-content-type-options',
      'x-request-id',
    ];
    expect([...response.headers.keys()].toSorted()).toEqual(own);
    expect(response.headers.get('retry-after')).toBe('7');
  });
});

describe('U51: CORS', () => {
  test('is off by default', async () => {
    const response = await fetch(`${gate.url}/api/chat`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
  test('answers a preflight before identification, with every header that the SDKs send', async () => {
    const open = await openGate(fake.url, { CORS_ORIGINS: 'https://app.example' });
    const asked =
      'authorization,content-type,x-api-key,anthropic-version,anthropic-beta,anthropic-dangerous-direct-browser-access,openai-beta,x-stainless-lang,x-stainless-retry-count,http-referer,x-title,baggage,dangerously-allow-browser,api-key,x-evil';
    const preflight = (origin: string) =>
      fetch(`${open.url}/v1/messages`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
      });
    const response = await preflight('https://app.example');
    expect(response.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(response.headers.get('access-control-allow-headers')!.split(', ')).toEqual(
      asked.split(',').filter((name) => name !== 'x-evil'),
    );
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    for (const origin of ['https://evil-app.example', 'https://app.example.evil', 'null', 'http://app.example']) {
      expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBeNull();
    }
    // The page can read a refusal, too.
    const refused = await fetch(`${open.url}/api/tags`, { headers: { origin: 'https://app.example' } });
    expect([refused.status, refused.headers.get('access-control-allow-origin'), refused.headers.get('vary')]).toEqual([
      401,
      'https://app.example',
      'Origin',
    ]);
    await open.stop();
  });
  test('with the origin "*", every header is allowed, and pages can read the gate’s limit and change headers', async () => {
    const open = await openGate(fake.url, { CORS_ORIGINS: '*' });
    const answer = await fetch(`${open.url}/v1/messages`, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'x-anything,x-stainless-os,not a name,content-type',
      },
    });
    expect(answer.headers.get('access-control-allow-headers')).toBe('x-anything, x-stainless-os, content-type');
    const { secret } = await open.key();
    const read = await fetch(`${open.url}/api/tags`, {
      headers: { origin: 'http://localhost:5173', 'x-api-key': secret },
    });
    const exposed = read.headers.get('access-control-expose-headers')?.toLowerCase().split(', ') ?? [];
    for (const name of [
      'anthropic-ratelimit-tokens-remaining',
      'anthropic-ratelimit-requests-reset',
      'x-sekisho-changed',
    ])
      expect(exposed).toContain(name);
    expect(exposed).not.toContain('*');
    await open.stop();
  });
});
