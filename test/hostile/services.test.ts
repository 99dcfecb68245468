// Every known way past a gate in front of a service, on raw sockets. Asserted is what the service saw, not only the status.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { revokeKey } from '../../src/management/keys/keys.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate, temporaryDirectory } from '../gate.ts';
import { type EchoService, echoAnswer, startEchoService } from '../services/echo-service.ts';
import { ambiguousTargets, deceivingHeaders, keylessRequests } from '../services/hostile-requests.ts';

const serviceSecret = 'the-secret-of-the-service-itself';
let fake: FakeOllama;
let gate: TestGate;
let echo: EchoService;
let key: string;
let pathKey: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  echo = await startEchoService();
  const directory = temporaryDirectory();
  const secretFile = join(directory, 'secret');
  writeFileSync(secretFile, `x-service-key: ${serviceSecret}\n`);
  const cookieFile = join(directory, 'cookie');
  writeFileSync(cookieFile, 'cookie: session=ours\n');
  const routes = join(directory, 'routes.jsonc');
  const upstreams = [echo.url];
  writeFileSync(
    routes,
    JSON.stringify([
      {
        name: 'echo',
        path: '/echo',
        upstreams,
        secretFile,
        methods: ['GET', 'HEAD', 'POST', 'PUT'],
        headers: { request: ['x-listed', 'x-service-*', 'x_service_key'], response: ['x-took', 'x-echo'] },
        cookies: ['kept'],
        bodyBytes: 1000,
        timeouts: { idle: 1, head: 1 },
        cors: ['https://app.example.com'],
      },
      { name: 'other', path: '/other', upstreams },
      { name: 'pages', hostName: 'pages.example.com', upstreams, cors: ['https://app.example.com'] },
      {
        name: 'whole',
        path: '/whole',
        strip: false,
        upstreams,
        credential: ['header'],
        redirects: 'refuse',
        recordPath: 'template',
      },
      {
        name: 'cookie',
        path: '/cookie',
        upstreams,
        scope: 'route:whole',
        secretFile: cookieFile,
        cookies: ['session'],
      },
      { name: 'large', path: '/large', upstreams, scope: 'route:whole', timeouts: { idle: 1 } },
      { name: 'keeps', path: '/keeps', strip: false, upstreams, scope: 'route:whole' },
      { name: 'base', path: '/base', upstreams: [`${echo.url}/inner`], concurrent: 1 },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: routes, READER_STALL_SECONDS: '1' });
  const scopes = ['route:echo', 'route:pages', 'route:whole', 'route:base'];
  ({ secret: key } = await gate.key({ scopes }));
  ({ secret: pathKey } = await gate.key({ scopes, allowPath: true }));
});
afterAll(async () => {
  await gate.stop();
  await echo.stop();
  await fake.close();
});
afterEach(() => {
  echo.answer = echoAnswer;
  echo.early = undefined;
  echo.seen.length = 0;
  echo.heads = 0;
  echo.broken = 0;
});

interface Answered {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends the bytes on a connection of their own, and reads the answer to its end. */
async function send(bytes: string | Buffer): Promise<Answered> {
  const client = new RawClient(gate.port);
  client.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  await client.closed;
  const [head = '', ...rest] = client.text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '').split('\r\n\r\n');
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, body: rest.join('\r\n\r\n') };
}

const ask = (target: string, lines = '', method = 'GET'): Promise<Answered> =>
  send(`${method} ${target} HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n${lines}\r\n`);
const withKey = (): string => `x-api-key: ${key}\r\n`;

describe('a target with two readings does not reach a service', () => {
  test.each(ambiguousTargets)('%s', async (_, target) => {
    const { status } = await ask(target, withKey());
    expect([400, 401, 404, 200]).toContain(status);
    if (status === 200) expect(target).toMatch(/^\/[?#]/);
    expect(echo.heads).toBe(0);
  });
});

describe('without a key, nothing opens a service', () => {
  test.each(keylessRequests)('%s', async (_, target, lines) => {
    const { status } = await ask(target, lines);
    expect([400, 401]).toContain(status);
    expect(echo.heads).toBe(0);
  });

  test('neither does a key without the scope, which no key has by default', async () => {
    const { secret } = await gate.key();
    for (const [target, own] of [
      ['/echo/a', secret],
      ['/other/a', key],
    ]) {
      const { status, body } = await ask(target as string, `x-api-key: ${own}\r\n`);
      expect(status).toBe(403);
      expect(JSON.parse(body)).toMatchObject({ error: { code: 'missing_scope' } });
    }
    expect(echo.heads).toBe(0);
  });

  test('a key in the query is refused, also with escapes in its name', async () => {
    for (const query of [
      `api_key=${key}`,
      `x=${key}`,
      `%61pi_key=x`,
      'access%5Ftoken=x',
      `x=sekisho%5f${key.slice(8)}`,
    ])
      expect((await ask(`/echo/a?${query}`, withKey())).status).toBe(400);
    expect(echo.heads).toBe(0);
  });

  test('a key in the path works where the key and the route allow it, and does not go on', async () => {
    expect((await ask(`/k/${pathKey}/echo/a`)).status).toBe(200);
    expect((await ask(`/k/${key}/echo/a`)).status).toBe(403);
    expect((await ask(`/k/${pathKey}/whole/a`)).status).toBe(403);
    // Behind the prefix it would go on.
    for (const target of [`/echo/${pathKey}`, `/echo/k/${pathKey}/a`, `/echo/a/${key}?x`])
      expect((await ask(target, withKey())).status, target).toBe(403);
    expect((await ask('/other/sekisho_docs', withKey())).body).toContain('missing_scope');
    expect(echo.seen.map(({ url }) => url)).toEqual(['/a']);
    expect(JSON.stringify(echo.seen)).not.toContain(pathKey);
  });
});

describe('what the service sees', () => {
  test('is the path without the prefix, the query as it was, and the forwarding headers of the gate', async () => {
    const { status } = await ask('/echo/a/%E3%81%82%20b?c=%2F&d', withKey());
    expect(status).toBe(200);
    const [seen] = echo.seen;
    expect(seen?.url).toBe('/a/%E3%81%82%20b?c=%2F&d');
    expect(seen?.headers).toEqual({
      host: new URL(echo.url).host,
      via: '1.1 sekisho',
      connection: 'keep-alive',
      'x-forwarded-host': 'gate.example',
      'x-forwarded-prefix': '/echo',
      'x-forwarded-proto': 'http',
      'x-service-key': serviceSecret,
    });
  });

  test.each([
    ['/echo', '/'],
    ['/echo/', '/'],
    ['/echo?x', '/?x'],
    ['/whole/a', '/whole/a'],
    ['/base/a', '/inner/a'],
    ['/base', '/inner/'],
  ])('%s is asked for as %s', async (target, url) => {
    expect((await ask(target, withKey())).status).toBe(200);
    expect(echo.seen.map((each) => each.url)).toEqual([url]);
  });

  test('is nothing that only a query names, also behind a key in the path', async () => {
    for (const target of [`/k/${pathKey}?x=/keeps/a`, `/k/${pathKey}?/keeps/a`, `/k/${pathKey}?/echo/a`])
      expect((await ask(target)).status, target).toBe(200);
    expect(echo.heads).toBe(0);
  });

  test.each(deceivingHeaders)('%s neither decides nor goes on', async (_, line) => {
    const nominates = line.startsWith('X-Listed') ? 'Connection: close, x-listed\r\n' : 'Connection: close\r\n';
    const { status } = await send(
      `GET /echo/a HTTP/1.1\r\nHost: gate.example\r\n${nominates}${withKey()}${line}\r\n\r\n`,
    );
    expect(status).toBe(200);
    const [seen] = echo.seen;
    expect(seen?.url).toBe('/a');
    expect(JSON.stringify(seen?.headers)).not.toContain(line.slice(line.indexOf(': ') + 2));
  });

  test('is no credential of the caller, wherever it was, and the listed headers and cookies', async () => {
    for (const credential of [`x-api-key: ${key}`, `api-key: ${key}`, `Authorization: Bearer ${key}`])
      await ask(
        '/echo/a',
        `${credential}\r\nX-Listed: yes\r\nCookie: kept=1; other=2; keptx=3\r\nX-Service-Key: mine\r\n`,
      );
    expect(echo.seen).toHaveLength(3);
    for (const { headers } of echo.seen) {
      expect(headers).toMatchObject({ 'x-listed': 'yes', cookie: 'kept=1', 'x-service-key': serviceSecret });
      expect(JSON.stringify(headers)).not.toContain(key);
    }
  });

  test('is the secret as it is, and nothing of the caller that a service could take for it', async () => {
    await ask(
      '/echo/a',
      `${withKey()}X-Service_Key: mine\r\nX_Service_Key: mine\r\nX-Service-Key: mine\r\nX-Service-More: 1\r\n`,
    );
    await ask('/cookie/a', `${withKey()}Cookie: session=mine\r\n`);
    expect(JSON.stringify(echo.seen)).not.toContain('mine');
    expect(echo.seen).toMatchObject([{ headers: { 'x-service-more': '1' } }, { headers: { cookie: 'session=ours' } }]);
  });

  test('is none of the methods that the route does not list', async () => {
    for (const method of ['DELETE', 'PATCH', 'TRACE', 'PROPFIND']) {
      const { status, head } = await ask('/echo/a', withKey(), method);
      expect(status, method).toBe(405);
      expect(head).toMatch(/^allow: GET, HEAD, POST, PUT, OPTIONS$/im);
    }
    expect(echo.heads).toBe(0);
  });

  test('has passed the gate only once: a loop is refused', async () => {
    expect((await ask('/echo/a', `${withKey()}Via: 1.1 sekisho\r\n`)).status).toBe(200);
    expect((await ask('/echo/a', `${withKey()}Via: 1.1 sekisho, 1.1 sekisho\r\n`)).status).toBe(508);
  });
});

describe('bodies', () => {
  const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const head = (target: string, lines: string): string =>
    `POST ${target} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n${withKey()}${lines}\r\n`;

  test('pass with their length or in chunks; trailers do not', async () => {
    await send(`${head('/echo/a', 'Content-Length: 5\r\n')}hello`);
    await send(
      `${head('/echo/b', 'Transfer-Encoding: chunked\r\n')}${chunked('wor')}${chunked('ld')}0\r\nX-Trailer: 1\r\n\r\n`,
    );
    expect(echo.seen.map(({ body }) => body)).toEqual(['hello', 'world']);
    expect(echo.seen.map(({ trailers }) => trailers.length)).toEqual([0, 0]);
    expect(echo.seen[0]?.headers['content-length']).toBe('5');
    expect(echo.seen[1]?.headers['transfer-encoding']).toBe('chunked');
  });

  test('beyond the bound are refused: by their length at once, in chunks as soon as they exceed it', async () => {
    expect((await send(head('/echo/a', 'Content-Length: 1001\r\n'))).status).toBe(413);
    expect(echo.heads).toBe(0);
    const { status } = await send(
      `${head('/echo/a', 'Transfer-Encoding: chunked\r\n')}${chunked('x'.repeat(1000))}${chunked('y')}0\r\n\r\n`,
    );
    expect(status).toBe(413);
    expect(echo.seen).toEqual([]);
    expect((await send(`${head('/echo/a', 'Content-Length: 1000\r\n')}${'x'.repeat(1000)}`)).status).toBe(200);
  });

  test('of GET requests are refused, since servers frame them differently', async () => {
    expect((await ask('/echo/a', `${withKey()}Content-Length: 3\r\n`)).status).toBe(400);
    expect(echo.heads).toBe(0);
  });

  test('are asked for with 100 Continue only after the caller is known', async () => {
    const client = new RawClient(gate.port);
    client.write(head('/echo/a', 'Expect: 100-continue\r\nContent-Length: 2\r\n'));
    await client.until('100 Continue');
    client.write('ok');
    await client.closed;
    expect(echo.seen.map(({ body }) => body)).toEqual(['ok']);
    const stranger = await send(
      'POST /echo/a HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
    );
    expect(stranger.status).toBe(401);
  });

  test('that stop arriving end the call, at the service too', async () => {
    const { status } = await send(`${head('/echo/a', 'Content-Length: 5\r\n')}ha`);
    expect(status).toBe(408);
    await eventually(() => expect(echo.broken).toBe(1));
  });

  test('that a service does not read are its fault, not the caller’s', async () => {
    echo.early = (request) => {
      request.pause();
      return true;
    };
    const client = new RawClient(gate.port);
    client.write(
      `POST /large/a HTTP/1.1\r\nHost: g\r\nConnection: close\r\n${withKey()}Content-Length: 32000000\r\n\r\n`,
    );
    client.write(Buffer.alloc(32_000_000));
    expect(await client.until('The service stopped reading.')).toMatch(/^HTTP\/1\.1 504 /);
    client.socket.destroy();
  });

  test('a service that answers before the body has arrived is heard', async () => {
    echo.early = (_, response) => {
      response.writeHead(409, { 'content-length': '6', connection: 'close' }).end('enough');
      return true;
    };
    const { status, body } = await send(`${head('/echo/a', 'Content-Length: 900\r\n')}${'x'.repeat(100)}`);
    expect([status, body]).toEqual([409, 'enough']);
  });
});

describe('answers', () => {
  test('have the listed headers, and none of the connection, the origin or the gate', async () => {
    echo.answer = (_, response) => {
      response.writeHead(200, {
        'content-type': 'text/html',
        'x-took': '5',
        'x-secret': 'internal',
        'x-echo': `you sent ${serviceSecret}`,
        server: 'Service/1.0',
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
        'content-security-policy': "script-src 'unsafe-inline'",
        'x-sekisho-error-code': 'invented',
        'x-request-id': 'invented',
        'cache-control': 'public, max-age=60, s-maxage=600',
        'service-worker-allowed': '/',
        refresh: '0; url=//evil.example',
        link: '</x>; rel=preload',
      });
      response.end('<script>alert(1)</script>');
    };
    const { head, body } = await ask('/echo/a', withKey());
    expect(body).toContain('<script>');
    const lines = head
      .toLowerCase()
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(':', 1)[0] as string)
      .toSorted();
    expect(lines).toEqual(
      [
        'cache-control',
        'connection',
        'content-security-policy',
        'content-type',
        'cross-origin-resource-policy',
        'date',
        'transfer-encoding',
        'via',
        'x-content-type-options',
        'x-request-id',
        'x-took',
      ].toSorted(),
    );
    expect(head).toMatch(/content-security-policy: sandbox/i);
    expect(head).toMatch(/cache-control: private, max-age=60\r\n/i);
    expect(head).not.toContain('invented');
    expect(head).not.toContain(serviceSecret);
  });

  test.each([
    ['/b', '/echo/b'],
    ['b?c#d', '/echo/a/b?c#d'],
    ['../b', '/echo/b'],
    ['http://SELF/b', '/echo/b'],
    ['http://gate.example/echo/b', '/echo/b'],
    ['/echo/b', '/echo/b'],
  ])('a redirect to %s leads to %s', async (location, expected) => {
    echo.answer = (_, response) =>
      void response.writeHead(302, { location: location.replace('SELF', new URL(echo.url).host) }).end();
    const { status, head } = await ask('/echo/a/x', withKey());
    expect(status).toBe(302);
    expect(/^location: (.*)$/im.exec(head)?.[1]).toBe(expected);
  });

  test.each([
    'http://evil.example/',
    '//evil.example/x',
    'https://SELF/',
    'javascript:alert(1)',
    '\\\\evil.example',
    'http://[',
  ])('a redirect to %s is refused', async (location) => {
    echo.answer = (_, response) =>
      void response.writeHead(302, { location: location.replace('SELF', new URL(echo.url).host) }).end();
    const { status, head } = await ask('/echo/a', withKey());
    expect(status).toBe(502);
    expect(head).not.toMatch(/^location:/im);
  });

  test('a redirect out of the published part is refused, and every one where the route says so', async () => {
    echo.answer = (_, response) => void response.writeHead(307, { location: '/outside' }).end();
    expect((await ask('/base/a', withKey())).status).toBe(502);
    echo.answer = (_, response) => void response.writeHead(307, { location: '/whole/x' }).end();
    expect((await ask('/whole/a', withKey())).status).toBe(502);
  });

  test('a redirect under a key in the path stays there', async () => {
    echo.answer = (_, response) => void response.writeHead(303, { location: '/b' }).end();
    expect((await ask(`/k/${pathKey}/echo/a`)).head).toContain(`location: /k/${pathKey}/echo/b\r\n`);
  });

  test('a redirect of a service with a host name of its own does not lead to another host', async () => {
    const host = new URL(echo.url).host;
    for (const location of [`http://${host}//evil.example/`, '/x/..//evil.example', `http://${host}/\\evil.example`]) {
      echo.answer = (_, response) => void response.writeHead(302, { location }).end();
      const { status, head } = await send(
        `GET / HTTP/1.1\r\nHost: pages.example.com\r\nConnection: close\r\n${withKey()}\r\n`,
      );
      expect([status, /^location:.*$/im.exec(head)?.[0]], location).toEqual([502, undefined]);
    }
  });

  test.each([
    ['a redirect', 302, { location: `/x?token=${serviceSecret}` }],
    ['a redirect with escapes', 302, { location: `/x?token=${serviceSecret.replaceAll('-', '%2D')}` }],
    ['a cookie', 200, { 'set-cookie': `kept=${serviceSecret}` }],
    ['one of two cookies', 200, { 'set-cookie': [`kept=${serviceSecret}`, 'kept=2'] }],
    ['a listed header with escapes', 200, { 'x-echo': serviceSecret.replaceAll('t', '%74') }],
    ['one of two lines', 200, { 'x-echo': ['fine', serviceSecret] }],
  ])('%s does not show the gate’s secret', async (_, status, headers) => {
    echo.answer = (_request, response) => void response.writeHead(status, headers as Record<string, string>).end('ok');
    const answered = await ask('/echo/a', withKey());
    expect(answered.status).toBe(status === 302 ? 502 : 200);
    expect(answered.head).not.toMatch(/secret|%74he/i);
  });

  test('a single cookie passes as several do, and so does an answer with two Connection lines', async () => {
    echo.early = (request) => {
      request.socket.end(
        'HTTP/1.1 200 OK\r\nConnection: x-echo\r\nConnection: close\r\nX-Echo: 1\r\nX-Took: 2\r\nSet-Cookie: kept=1\r\nContent-Length: 2\r\n\r\nok',
      );
      return true;
    };
    const { status, head } = await ask('/echo/a', withKey());
    expect(status).toBe(200);
    expect(head).toMatch(/^set-cookie: kept=1; Path=\/echo$/im);
    expect(head).toMatch(/^x-took: 2$/im);
    expect(head).not.toMatch(/^x-echo:/im);
  });

  test.each([
    ['private="set-cookie", max-age=60', 'private, max-age=60'],
    ['x="a, private, b", public, max-age=60', 'private, x="a, private, b", max-age=60'],
    ['PUBLIC , S-MaxAge = 60,no-store', 'no-store'],
    ['public="x", "', 'private, "'],
  ])('permission for shared caches is removed from %s', async (sent, passed) => {
    echo.answer = (_, response) => void response.writeHead(200, { 'cache-control': sent }).end('ok');
    const { head } = await ask('/echo/a', withKey());
    expect(/^cache-control: (.*)$/im.exec(head)?.[1]).toBe(passed);
  });

  test('a 204 says no length, which a client would wait for', async () => {
    echo.early = (request) => {
      request.socket.end('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n');
      return true;
    };
    const { status, head } = await ask('/echo/a', withKey());
    expect(status).toBe(204);
    expect(head).not.toMatch(/^content-length:/im);
  });

  test('a listed cookie is kept to the published path; others are dropped', async () => {
    echo.answer = (_, response) =>
      void response
        .writeHead(200, {
          'set-cookie': [
            'kept=1; Path=/; Domain=example.com; HttpOnly; SameSite=Lax',
            'kept=2; path=/sub; Secure',
            'better-auth.session_token=evil; Path=/',
            'keptx=3',
          ],
        })
        .end();
    const { head } = await ask('/echo/a', withKey());
    expect([...head.matchAll(/^set-cookie: (.*)$/gim)].map(([, line]) => line)).toEqual([
      'kept=1; HttpOnly; SameSite=Lax; Path=/echo',
      'kept=2; Secure; Path=/echo/sub',
    ]);
  });

  test.each([
    [204, '', {}],
    [304, '', { etag: '"x"' }],
    [206, 'part', { 'content-range': 'bytes 0-3/9', 'content-length': '4' }],
    [404, 'none', { 'content-length': '4' }],
    [503, 'later', { 'retry-after': '7', 'content-length': '5' }],
  ])('a %s passes as it is', async (status, text, headers) => {
    echo.answer = (_, response) => void response.writeHead(status, headers).end(text);
    const answered = await ask('/echo/a', `${withKey()}Range: bytes=0-3\r\nIf-None-Match: "x"\r\n`);
    expect([answered.status, answered.body]).toEqual([status, text]);
    for (const [name, value] of Object.entries(headers)) expect(answered.head).toContain(`${name}: ${value}`);
    expect(echo.seen[0]?.headers).toMatchObject({ range: 'bytes=0-3', 'if-none-match': '"x"' });
  });

  test('HEAD has the length and no body', async () => {
    echo.answer = (_, response) => void response.writeHead(200, { 'content-length': '12' }).end();
    const { status, head, body } = await ask('/echo/a', withKey(), 'HEAD');
    expect([status, body]).toEqual([200, '']);
    expect(head).toMatch(/^content-length: 12$/im);
  });

  test.each([401, 407, 101, 600])('status %s is the gate’s failure, not the caller’s', async (status) => {
    echo.early = (request) => {
      request.socket.end(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n`);
      return true;
    };
    const { status: sent, head } = await ask('/echo/a', withKey());
    expect(sent).toBe(502);
    expect(head).not.toContain('Basic realm="x"');
  });

  test('that break off never end like complete ones', async () => {
    for (const framing of ['Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'Content-Length: 9\r\n\r\nhello']) {
      echo.early = (request) => {
        request.socket.end(`HTTP/1.1 200 OK\r\n${framing}`);
        return true;
      };
      const { body } = await ask('/echo/a', withKey());
      expect(body).not.toMatch(/0\r\n\r\n$/);
    }
    const rows = await gate.ledger(1);
    expect(rows.at(-1)).toMatchObject({ operation: 'route:echo', outcome: 'failed' });
  });

  test('that do not begin in time are refused with 504, and the service is told', async () => {
    echo.answer = () => undefined;
    expect((await ask('/echo/a', withKey())).status).toBe(504);
    await eventually(() => expect(echo.broken).toBe(1));
  });

  test('nobody waits for end at the service when the caller hangs up', async () => {
    echo.answer = (_, response) => void response.writeHead(200).write('begun');
    const client = new RawClient(gate.port);
    client.write(`GET /echo/a HTTP/1.1\r\nHost: g\r\n${withKey()}\r\n`);
    await client.until('begun');
    client.socket.destroy();
    await eventually(() => expect(echo.broken).toBe(1));
  });

  test('a reader who takes nothing holds the service back, and is cut off', async () => {
    let sent = 0;
    echo.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      const piece = Buffer.alloc(256 * 1024);
      const push = (): void => {
        while (!response.destroyed && sent < 256 * 1024 * 1024) {
          sent += piece.length;
          if (!response.write(piece)) {
            response.once('drain', push);
            return;
          }
        }
      };
      push();
    };
    const client = new RawClient(gate.port);
    client.write(`GET /echo/a HTTP/1.1\r\nHost: g\r\n${withKey()}\r\n`);
    await client.until('200 OK');
    client.socket.pause();
    await eventually(() => expect(echo.broken).toBe(1));
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    client.socket.destroy();
  });
});

describe('pages', () => {
  test('a browser cannot open a service on the gate’s own host', async () => {
    for (const lines of [
      'Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n',
      'Sec-Fetch-Dest: iframe\r\n',
      'Sec-Fetch-Dest: script\r\n',
      'Upgrade-Insecure-Requests: 1\r\n',
    ])
      expect((await ask(`/k/${pathKey}/echo/a`, lines)).status).toBe(403);
    expect(echo.heads).toBe(0);
  });

  const onHost = (target: string, lines: string, method = 'GET'): Promise<Answered> =>
    send(`${method} ${target} HTTP/1.1\r\nHost: pages.example.com\r\nConnection: close\r\n${lines}\r\n`);
  const basic = (): string => `Authorization: Basic ${Buffer.from(`anyone:${key}`).toString('base64')}\r\n`;

  test('a service on its own host has every path, asks a browser for the key, and has no sandbox', async () => {
    const { status, head } = await onHost('/', '');
    expect(status).toBe(401);
    expect(head).toMatch(/^www-authenticate: Basic realm="sekisho"/im);
    for (const target of ['/', '/portal', '/healthz', '/v1/models', '/management/v1/me', '/api/tags', '/k']) {
      const page = await onHost(
        target,
        `${basic()}Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n`,
      );
      expect(page.status, target).toBe(200);
      expect(page.head).not.toMatch(/sandbox/);
    }
    expect(echo.seen.map(({ url }) => url)).toEqual([
      '/',
      '/portal',
      '/healthz',
      '/v1/models',
      '/management/v1/me',
      '/api/tags',
      '/k',
    ]);
    expect(echo.seen[0]?.headers['x-forwarded-prefix']).toBeUndefined();
  });

  test('a page of another site cannot use it with its user’s key', async () => {
    for (const lines of [
      'Origin: https://evil.example\r\n',
      'Origin: null\r\n',
      'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n',
      'Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n',
      'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n',
    ])
      expect((await onHost('/x', basic() + lines)).status, lines).toBe(403);
    expect(
      (
        await onHost(
          '/x',
          `${basic()}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nContent-Length: 0\r\n`,
          'POST',
        )
      ).status,
    ).toBe(403);
    expect(echo.heads).toBe(0);
    for (const lines of [
      'Origin: https://app.example.com\r\nSec-Fetch-Site: cross-site\r\n',
      'Origin: http://pages.example.com\r\nSec-Fetch-Site: same-origin\r\n',
      'Sec-Fetch-Site: none\r\n',
    ])
      expect((await onHost('/x', basic() + lines)).status, lines).toBe(200);
  });

  test('origins that the route lists may read its answers, and ask before', async () => {
    const origin = 'Origin: https://app.example.com\r\n';
    expect((await ask('/echo/a', withKey() + origin)).head).toMatch(
      /access-control-allow-origin: https:\/\/app\.example\.com/i,
    );
    expect((await ask('/echo/a', `${withKey()}Origin: https://evil.example\r\n`)).head).not.toMatch(
      /access-control-allow/i,
    );
    expect((await ask('/whole/a', withKey() + origin)).head).not.toMatch(/access-control-allow/i);
    const { status, head } = await ask(
      '/echo/a',
      `${origin}Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-api-key, x-listed, x-other\r\n`,
      'OPTIONS',
    );
    expect(status).toBe(204);
    expect(head).toMatch(/access-control-allow-methods: GET, HEAD, POST, PUT\r\n/i);
    expect(head).toMatch(/access-control-allow-headers: x-api-key, x-listed\r\n/i);
  });
});

test('more calls of an account than a service allows it at once are refused, and places come back', async () => {
  const held: (() => void)[] = [];
  echo.answer = (_, response) => void held.push(() => response.end('done'));
  const first = ask('/base/a', withKey());
  await eventually(() => expect(held).toHaveLength(1));
  const { status, body } = await ask('/base/b', withKey());
  expect(status).toBe(429);
  expect(JSON.parse(body)).toMatchObject({ error: { code: 'too_many_concurrent' } });
  held[0]?.();
  expect((await first).status).toBe(200);
  echo.answer = echoAnswer;
  expect((await ask('/base/c', withKey())).status).toBe(200);
});

test('a revocation ends running answers, and the service is told', async () => {
  const { id, secret } = await gate.key({ scopes: ['route:echo'] });
  echo.answer = (_, response) => void response.writeHead(200).write('begun');
  const client = new RawClient(gate.port);
  client.write(`GET /echo/a HTTP/1.1\r\nHost: g\r\nx-api-key: ${secret}\r\n\r\n`);
  await client.until('begun');
  await gate.manage((store, by) => revokeKey(store, id, by));
  await client.closed;
  await eventually(() => expect(echo.broken).toBe(1));
});

test('every call is one row of the ledger, under the name of its route, and no row has a path', async () => {
  await ask('/echo/secret-document', withKey());
  const rows = await gate.ledger(1);
  expect(rows.at(-1)).toMatchObject({
    operation: 'route:echo',
    upstream: echo.url,
    outcome: 'completed',
    status: 200,
    model: null,
  });
  expect(JSON.stringify(rows)).not.toContain('secret-document');
  await ask('/whole/files/Report%202026.pdf/v2/a-b?name=secret-document', withKey());
  await gate.ledger(rows.length + 1);
  const log = gate.log();
  expect(log).not.toContain('secret-document');
  expect(log).not.toContain('Report');
  expect(log).toContain('"path":"/whole/files/{}/v2/a-b"');
});

describe('a routes file that cannot be is refused at the start with a sentence', () => {
  const route = { name: 'x', path: '/x', upstreams: ['http://127.0.0.1:9'] };
  test.each([
    ['no JSON', '[{', 'JSON'],
    ['no list', '{}', 'it must be a list of routes'],
    ['an unknown option', [{ ...route, timeout: 5 }], 'route "x" has no option "timeout"'],
    ['two names', [route, { ...route, path: '/y' }], 'two routes have the name "x"'],
    [
      'an address of the gate',
      [{ ...route, path: '/portal/x' }],
      'addresses under /portal belong to the gateway itself',
    ],
    [
      'the gate’s own host',
      [{ ...route, path: undefined, hostName: 'gate.example' }],
      "gate.example is the gateway's own host name",
    ],
    [
      'a loop to the gate',
      [{ ...route, upstreams: ['https://gate.example/deep'] }],
      'https://gate.example/deep is this gateway itself',
    ],
    [
      'a secret that is not there',
      [{ ...route, secretFile: '/nowhere/secret' }],
      '/nowhere/secret: it cannot be read (ENOENT)',
    ],
    ['a secret of two lines', [{ ...route, secretFile: 'README.md' }], 'does not have the form "Name: value"'],
  ])('%s', async (_, content, sentence) => {
    const file = join(temporaryDirectory(), 'routes.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    const opening = openGate(fake.url, { ROUTES: file, PUBLIC_URL: 'https://gate.example' });
    await expect(opening.then((opened) => opened.stop())).rejects.toThrow(sentence);
  });
});

test('a call that holds a slot goes to another server if its own cannot be reached', async () => {
  const file = join(temporaryDirectory(), 'routes.json');
  writeFileSync(
    file,
    JSON.stringify([{ name: 'echo', path: '/echo', upstreams: ['http://127.0.0.1:9', echo.url], slots: 1 }]),
  );
  const other = await openGate(fake.url, { ROUTES: file });
  const { secret } = await other.key({ scopes: ['route:echo'] });
  for (let at = 0; at < 3; at++) {
    const answer = await fetch(`${other.url}/echo/a`, {
      method: 'POST',
      headers: { 'x-api-key': secret },
      body: 'whole',
    });
    expect([answer.status, ((await answer.json()) as { body: string }).body]).toEqual([200, 'whole']);
  }
  await other.stop();
});
