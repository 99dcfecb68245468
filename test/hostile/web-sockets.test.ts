// WebSockets of published services on raw sockets: what must not open one, what a service sees of a handshake, and what ends a
// connection that is open.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { changeKey, createKey, revokeKey } from '../../src/management/keys/keys.ts';
import { changePlan, createPlan } from '../../src/management/plans/plans.ts';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, spawnGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { ambiguousTargets, deceivingHeaders, keylessRequests } from '../services/hostile-requests.ts';
import { clientFrame, refusedUpgrade, SocketClient, upgradeBytes } from '../services/socket-client.ts';
import {
  type Asked,
  acceptFor,
  type RunningService,
  type ServiceSocket,
  startService,
} from '../services/web-socket-server.ts';

const page = 'https://app.example.com';
let fake: FakeOllama;
let service: RunningService;
let gate: TestGate;
let secret: string;
/** What the service does with the next upgrades. */
let answer: (asked: Asked, accept: (protocol?: string) => ServiceSocket, write: (text: string) => void) => void;
const accepts: typeof answer = (asked, accept) => {
  const [first] = asked.headers['sec-websocket-protocol']?.split(', ') ?? [];
  const socket = accept(first);
  socket.onMessage = (message) => socket.send(message);
};

beforeAll(async () => {
  answer = accepts;
  fake = await startFakeOllama();
  service = await startService({
    onUpgrade: (asked, accept, write) => answer(asked, accept, write),
    onRequest: (_, response) => response.end('plain'),
  });
  const base = { upstreams: [`${service.url}/base`], scope: 'route:echo', credential: ['header', 'path', 'ticket'] };
  const routes = [
    {
      ...base,
      name: 'echo',
      path: '/echo',
      websocket: { origins: [page, 'https://second.example.com'], maxFrameBytes: 1_000 },
      cookies: ['mine'],
      cost: { perSecond: 3, unit: 'seconds' },
    },
    { ...base, name: 'ticketed', path: '/ticketed', websocket: { origins: [page] } },
    { ...base, name: 'plain', path: '/plain', credential: ['header'] },
    { ...base, name: 'few', path: '/few', websocket: { perKey: 1 } },
    { ...base, name: 'quick', path: '/quick', websocket: { idle: 1, maxSeconds: 2 } },
    { ...base, name: 'queued', path: '/queued', slots: 1, websocket: {} },
    {
      ...base,
      name: 'kept',
      path: '/kept',
      upstreams: [service.url],
      strip: false,
      credential: ['header'],
      websocket: {},
    },
    { ...base, name: 'own', path: undefined, hostName: 'own.example.com', websocket: { origins: [page] } },
  ];
  const file = join(temporaryDirectory(), 'routes.json');
  writeFileSync(file, JSON.stringify(routes));
  gate = await openGate(fake.url, { ROUTES: file });
  ({ secret } = await gate.key({ scopes: ['route:echo'] }));
});
afterAll(async () => {
  await gate.stop();
  await service.close();
  await fake.close();
});

const key = (text = secret): string => `x-api-key: ${text}`;
const url = (path: string): string => gate.url + path;
const open = (path = '/echo/ws', headers: Record<string, string> = {}, protocols: string[] = []): SocketClient =>
  new SocketClient(url(path), { 'x-api-key': secret, ...headers }, protocols);

async function opened(path?: string, headers?: Record<string, string>): Promise<[SocketClient, ServiceSocket]> {
  const count = service.sockets.length;
  const client = open(path, headers);
  await client.opened;
  return [client, service.sockets[count] as ServiceSocket];
}

async function rawOpened(path = '/echo/ws'): Promise<[RawClient, ServiceSocket]> {
  const count = service.sockets.length;
  const client = new RawClient(gate.port);
  client.write(upgradeBytes({ path, lines: [key()] }));
  await client.until('\r\n\r\n');
  return [client, service.sockets[count] as ServiceSocket];
}

/** Nothing of the kind has reached the service. */
async function refusedAtGate(asked: Parameters<typeof refusedUpgrade>[1], status: number): Promise<string> {
  const before = service.asked.length;
  const refused = await refusedUpgrade(gate.port, asked);
  expect([refused.status, refused.answers]).toEqual([status, 1]);
  expect(service.asked.length).toBe(before);
  return refused.text;
}

/** The status that the row of the last call has, once it is there. */
const lastRow = (id: string) =>
  eventually(async () => {
    const rows = (await gate.ledger(0)).filter((row) => row.keyId === id);
    const row = rows.at(-1);
    if (!row) throw new Error('there is no row yet');
    return row;
  });

const sneaked = 'GET /echo/sneaked HTTP/1.1\r\nHost: x\r\n\r\n';

describe('an upgrade that is refused', () => {
  test('no key: 401, the connection is closed, and nothing that follows reaches anything', async () => {
    const text = await refusedAtGate({ path: '/echo/ws', after: sneaked }, 401);
    expect(text).toContain('invalid_api_key');
    expect(text).toMatch(/\r\nconnection: close\r\n/i);
  });

  test.each([
    ['a wrong key', key('sekisho_000000000000_x'), 401],
    ['a cookie and no key', 'Cookie: sekisho.session=x; key=y', 401],
    ['two keys', 'x-api-key: sekisho_a\r\nAuthorization: Bearer sekisho_b', 400],
  ])('%s', async (_, line, status) => {
    await refusedAtGate({ path: '/echo/ws', lines: [line], after: sneaked }, status);
  });

  test('a key without the scope of the route', async () => {
    const other = await gate.key({ scopes: ['metadata'] });
    await refusedAtGate({ path: '/echo/ws', lines: [key(other.secret)] }, 403);
  });

  test('a key in the query, and one in the path of a key that does not allow it', async () => {
    await refusedAtGate({ path: `/echo/ws?key=${secret}` }, 400);
    await refusedAtGate({ path: `/k/${secret}/echo/ws` }, 403);
  });

  test('a route without WebSockets', async () => {
    const client = new RawClient(gate.port);
    client.write(upgradeBytes({ path: '/plain/ws', lines: [key(), 'Connection: close'] }));
    expect(await client.until('no_web_socket')).toMatch(/^HTTP\/1\.1 426 /);
    client.socket.destroy();
  });

  test.each([
    ['no version', { 'Sec-WebSocket-Version': undefined }],
    ['an old version', { 'Sec-WebSocket-Version': '8' }],
    ['no key of the handshake', { 'Sec-WebSocket-Key': undefined }],
    ['a false key of the handshake', { 'Sec-WebSocket-Key': 'x' }],
  ])('%s', async (_, instead) => {
    await refusedAtGate({ path: '/echo/ws', lines: [key()], instead }, 400);
  });

  test('bytes before the answer, which no client may send', async () => {
    const sent = service.sockets.length;
    const { status, answers } = await refusedUpgrade(gate.port, {
      path: '/echo/ws',
      lines: [key()],
      after: clientFrame(1, 'early'),
    });
    expect([status, answers]).toEqual([400, 1]);
    expect(service.sockets.slice(sent).flatMap(({ messages }) => messages)).toEqual([]);
  });

  test('one behind another request of its connection', async () => {
    const before = service.asked.length;
    const client = new RawClient(gate.port);
    const first = `GET /echo/first HTTP/1.1\r\nHost: x\r\n${key()}\r\n\r\n`;
    client.write(Buffer.concat([Buffer.from(first), upgradeBytes({ path: '/echo/ws', lines: [key()] })]));
    await client.closed;
    expect([...client.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200']);
    expect(service.asked.slice(before).map((asked) => asked.url)).toEqual(['/base/first']);
  });

  test.each(['h2c', 'TLS/1.0', 'websocket, h2c', 'h2c, websocket'])(
    'to %s is a plain request, of which the service sees no upgrade',
    async (token) => {
      const client = new RawClient(gate.port);
      client.write(
        `GET /plain/x HTTP/1.1\r\nHost: x\r\n${key()}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${token}\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n`,
      );
      const text = await client.until(/\r\n\r\n/);
      expect(text).toMatch(/^HTTP\/1\.1 (?:200|426) /);
      const { headers } = service.asked.at(-1) as Asked;
      expect([headers.upgrade, headers['http2-settings']]).toEqual([undefined, undefined]);
      client.socket.destroy();
    },
  );

  test('a WebSocket handshake of HTTP/1.0, which has no upgrades', async () => {
    const before = service.asked.length;
    const client = new RawClient(gate.port);
    client.write(
      upgradeBytes({ path: '/echo/ws', lines: [key()] })
        .toString('latin1')
        .replace('HTTP/1.1', 'HTTP/1.0'),
    );
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 400 /);
    client.socket.destroy();
    expect(service.asked.length).toBe(before);
  });

  test('a WebSocket handshake with a body', async () => {
    const before = service.sockets.length;
    const client = new RawClient(gate.port);
    client.write(upgradeBytes({ path: '/echo/ws', lines: [key(), 'Content-Length: 5'], after: 'hello' }));
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 (?:400|426) /);
    client.socket.destroy();
    expect(service.sockets.length).toBe(before);
  });
});

describe('what opens no service over HTTP opens none in an upgrade', () => {
  /** The status of the first answer; then the connection is given up. */
  async function statusOf(path: string, lines: string): Promise<number> {
    const client = new RawClient(gate.port);
    client.write(upgradeBytes({ path, lines: lines.split('\r\n').filter((line) => line !== '') }));
    const text = await client.until(/\r\n\r\n/);
    client.socket.destroy();
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
  }

  test.each(ambiguousTargets)('a target with two readings: %s', async (_, target) => {
    const before = service.asked.length;
    const status = await statusOf(target, key());
    expect([400, 401, 404, 200, 426]).toContain(status);
    expect(service.asked.length).toBe(before);
  });

  test.each(keylessRequests)('without a key: %s', async (_, target, lines) => {
    const before = service.asked.length;
    expect([400, 401]).toContain(await statusOf(target, lines));
    expect(service.asked.length).toBe(before);
  });

  test.each(deceivingHeaders)('%s neither decides nor goes on', async (_, line) => {
    const client = new RawClient(gate.port);
    const instead = line.startsWith('X-Listed') ? { Connection: 'Upgrade, X-Listed' } : {};
    client.write(upgradeBytes({ path: '/echo/a', lines: [key(), line], instead }));
    expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /);
    client.socket.destroy();
    const { url: target, rawHeaders } = service.asked.at(-1) as Asked;
    expect(target).toBe('/base/a');
    expect(rawHeaders.join('\n')).not.toContain(line.slice(line.indexOf(': ') + 2));
  });
});

describe('the pages that may open one', () => {
  test.each([
    ['another site', 'https://evil.example'],
    ['a page without an origin', 'null'],
    ['a listed origin in the name of another', `${page}.evil.example`],
    ['another scheme', page.replace('https', 'http')],
    ['another port', `${page}:8443`],
    ['two origins', `${page}, https://evil.example`],
  ])('%s may not, whatever its user holds', async (_, origin) => {
    const text = await refusedAtGate({ path: '/echo/ws', lines: [key(), `Origin: ${origin}`] }, 403);
    expect(text).toContain('origin_not_allowed');
  });

  test('a listed page may, and the service sees its own origin; a program needs no origin', async () => {
    const [client, at] = await opened('/echo/ws', { origin: page });
    expect(at.asked.headers.origin).toBe(service.url);
    client.socket.close();
    const [, without] = await rawOpened();
    expect(without.asked.headers.origin).toBeUndefined();
  });

  test('a service with a host name of its own is open to its own pages, and to no others', async () => {
    const host = { Host: 'own.example.com' };
    const own = new RawClient(gate.port);
    own.write(upgradeBytes({ path: '/ws', instead: host, lines: [key(), 'Origin: https://own.example.com'] }));
    await own.until('HTTP/1.1 101 ');
    own.socket.destroy();
    for (const origin of [
      'https://evil.example',
      'ftp://own.example.com',
      'https://x@own.example.com',
      'https://own.example.com/x',
    ])
      await refusedAtGate({ path: '/ws', instead: host, lines: [key(), `Origin: ${origin}`] }, 403);
  });
});

describe('what the service sees of a handshake', () => {
  test('a head written by the gateway: no key, no header of the connection or of another name for ours', async () => {
    const client = new RawClient(gate.port);
    const lines = [
      key(),
      'Authorization: Bearer placeholder',
      'Cookie: mine=1; sekisho.session=2',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'X_Forwarded_Prefix: /evil',
      'X.Forwarded.Host: evil',
      'X-Forwarded-Prefix: /evil',
      'X-Forwarded-Uri: /evil',
      'Transfer-Encodin: x',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Proxy-Authorization: Basic eA==',
    ];
    const instead = {
      Connection: 'Upgrade, Accept-Language',
      'Accept-Language': 'de',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    client.write(upgradeBytes({ path: '/echo/a%20b?clientId=1', lines, instead }));
    expect(await client.until('\r\n\r\n')).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    const { url: target, headers, rawHeaders } = service.asked.at(-1) as Asked;
    expect(target).toBe('/base/a%20b?clientId=1');
    expect(headers).toMatchObject({
      host: `127.0.0.1:${service.port}`,
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      cookie: 'mine=1',
      'x-forwarded-prefix': '/echo',
      'x-forwarded-host': 'gate.example',
    });
    expect(headers['sec-websocket-key']).not.toBe('dGhlIHNhbXBsZSBub25jZQ==');
    const names = rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    expect(names.toSorted()).toEqual(
      [
        'connection',
        'cookie',
        'host',
        'sec-websocket-key',
        'sec-websocket-version',
        'upgrade',
        'via',
        'x-forwarded-host',
        'x-forwarded-prefix',
        'x-forwarded-proto',
      ].toSorted(),
    );
    client.socket.destroy();
  });

  test('the subprotocols of the caller, and the one that it chooses', async () => {
    const client = open('/echo/ws', {}, ['chat', 'sekisho', 'superchat']);
    await client.opened;
    expect((service.sockets.at(-1) as ServiceSocket).asked.headers['sec-websocket-protocol']).toBe('chat, superchat');
    expect(client.socket.protocol).toBe('chat');
    client.socket.close();
  });

  test('the whole path where the route strips nothing', async () => {
    const [client, at] = await opened('/kept/ws');
    expect(at.asked.url).toBe('/kept/ws');
    client.socket.close();
  });
});

describe('a service that opens no WebSocket', () => {
  const right = (asked: Asked): string =>
    `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(String(asked.headers['sec-websocket-key']))}\r\n`;

  test.each<[string, (asked: Asked) => string, number]>([
    ['200', () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 502],
    [
      '302 to anywhere',
      () => 'HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n',
      502,
    ],
    ['401', () => 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n', 502],
    [
      '403 with its own words',
      () => 'HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno',
      403,
    ],
    ['a refusal without end', () => `HTTP/1.1 500 No\r\n\r\n${'x'.repeat(200_000)}`, 502],
    ['101 that proves nothing', () => 'HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n', 502],
    [
      '101 with the proof for another key',
      () =>
        `HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor('x')}\r\n\r\n`,
      502,
    ],
    ['101 to another protocol', (asked) => `HTTP/1.1 101 S\r\n${right(asked).replace('websocket', 'h2c')}\r\n`, 502],
    [
      '101 with an extension',
      (asked) => `HTTP/1.1 101 S\r\n${right(asked)}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n`,
      502,
    ],
    ['101 with a length', (asked) => `HTTP/1.1 101 S\r\n${right(asked)}Content-Length: 5\r\n\r\n`, 502],
    ['101 with a coding', (asked) => `HTTP/1.1 101 S\r\n${right(asked)}Transfer-Encoding: chunked\r\n\r\n`, 502],
    [
      '101 with a subprotocol that nobody offered',
      (asked) => `HTTP/1.1 101 S\r\n${right(asked)}Sec-WebSocket-Protocol: x\r\n\r\n`,
      502,
    ],
    ['no HTTP', () => 'SSH-2.0-x\r\n', 502],
  ])('%s: the caller gets an answer and no tunnel', async (_, text, status) => {
    answer = (asked, __, write) => write(text(asked));
    const client = new RawClient(gate.port);
    client.write(upgradeBytes({ path: '/echo/ws', lines: [key()] }));
    await client.closed;
    answer = accepts;
    expect(client.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(client.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(client.text).not.toContain('evil');
    if (status === 403) expect(client.text).toMatch(/\r\n\r\nno$/);
  });

  test('a hang-up before its answer ends the call at the service', async () => {
    const { promise, resolve } = Promise.withResolvers<ServiceSocket>();
    answer = (_, accept) => resolve(accept());
    const holding: typeof answer = (asked, accept) => {
      void asked;
      setImmediate(() => resolve(accept()));
    };
    answer = holding;
    const client = new RawClient(gate.port);
    client.write(upgradeBytes({ path: '/echo/ws', lines: [key()] }));
    const at = await promise;
    client.socket.destroy();
    answer = accepts;
    await at.closed;
  });
});

describe('an open WebSocket', () => {
  test('carries text and bytes both ways, and has one row with what passed', async () => {
    const own = await gate.key({ scopes: ['route:echo'] });
    const client = open('/echo/ws', { 'x-api-key': own.secret });
    await client.opened;
    client.socket.send('hello');
    client.socket.send(Buffer.from([1, 2, 3]));
    expect(await client.message(0)).toBe('hello');
    expect(await client.message(1)).toEqual(Buffer.from([1, 2, 3]));
    client.socket.close(1000, 'done');
    expect(await client.closed).toEqual({ code: 1000, reason: 'done' });
    expect(await lastRow(own.id)).toMatchObject({
      operation: 'route:echo',
      outcome: 'completed',
      status: 101,
      bytesIn: 11 + 9 + 12,
      bytesOut: 7 + 5 + 8,
      upstream: service.url,
      cost: { unit: 'seconds', units: 3 },
    });
  });

  test.each<[string, Buffer, number]>([
    ['without a mask', clientFrame(1, 'x', { masked: false }), 1002],
    ['with a reserved bit', Buffer.from([0xc1, 0x80, 0, 0, 0, 0]), 1002],
    ['of a fragment without a message', clientFrame(0, 'x'), 1002],
    ['that is too large', clientFrame(2, Buffer.alloc(1_001)), 1009],
    ['of text that is not UTF-8', clientFrame(1, Buffer.from([0x61, 0xc0, 0xaf])), 1007],
  ])('ends at a frame %s, which the service never sees', async (_, frame, code) => {
    const [client, at] = await rawOpened();
    const head = client.received.length;
    client.write(Buffer.concat([clientFrame(1, 'good'), frame, clientFrame(1, 'late')]));
    await client.closed;
    await at.closed;
    expect(at.messages).toEqual(['good']);
    expect(at.closedWith).toBe(1001);
    const closing = client.received.indexOf(0x88, head);
    expect(client.received.readUInt16BE(closing + 2)).toBe(code);
  });

  test.each([
    ['a reserved bit', [0xc1, 0x01, 0x41], 1002],
    ['text that is not UTF-8', [0x81, 0x01, 0xff], 1007],
  ])('ends when its service sends %s', async (_, bytes, code) => {
    const [client, at] = await opened();
    at.stream.write(Buffer.from(bytes));
    expect(await client.closed).toMatchObject({ code: 1011 });
    await at.closed;
    expect(at.closedWith).toBe(code);
  });

  test('ends for both when either side is gone', async () => {
    const [client, at] = await rawOpened();
    client.socket.resetAndDestroy();
    await at.closed;
    expect(at.closedWith).toBe(1001);
    const [other, broken] = await opened();
    broken.stream.destroy();
    expect(await other.closed).toMatchObject({ code: 1011 });
  });

  test('ends when nothing comes, and at the longest time that its route allows', async () => {
    const [idle] = await opened('/quick/ws');
    const [busy] = await opened('/quick/ws');
    const chat = setInterval(() => busy.socket.send('x'), 50);
    const ends = await Promise.all([idle.closed, busy.closed]);
    clearInterval(chat);
    expect(ends.map(({ code, reason }) => [code, reason.split(':')[0]])).toEqual([
      [1001, 'connection_idle'],
      [1001, 'connection_over'],
    ]);
  });

  test('is one of as many as its route allows a key', async () => {
    const [first] = await opened('/few/ws');
    const text = await refusedAtGate({ path: '/few/ws', lines: [key()] }, 429);
    expect(text).toContain('too_many_concurrent');
    first.socket.close();
    await first.closed;
    const [again] = await eventually(() => opened('/few/ws'));
    again.socket.close();
  });

  test('holds a slot of its service: the next one waits for it', async () => {
    const [first] = await opened('/queued/ws');
    const second = open('/queued/ws');
    await eventually(() => {
      if (gate.waiting() === 0) throw new Error('nobody waits');
    });
    first.socket.close();
    await second.opened;
    second.socket.close();
  });
});

describe('a right that is lost ends an open WebSocket with 1008', () => {
  async function member(): Promise<{ name: string; id: string; secret: string }> {
    const name = `m${++members}`;
    return gate.manage(async (store, by) => {
      await createPlan(store, name, { scopes: ['route:echo', 'metadata'] }, undefined, by);
      await createAccount(store, name, name, by);
      const made = await createKey(store, { name, account: name, scopes: ['route:echo'] }, by);
      return { name, id: made.key.id, secret: made.secret?.reveal() ?? '' };
    });
  }
  let members = 0;

  test.each<[string, (name: string, id: string) => Promise<unknown>, string]>([
    ['the key is revoked', (_, id) => gate.manage((store, by) => revokeKey(store, id, by)), 'key_revoked'],
    [
      'the account is suspended',
      (name) =>
        gate.manage((store, by) => suspend(store, { whom: name, step: 'suspend', reason: 'abuse', endsAt: null }, by)),
      'suspended',
    ],
    [
      'the plan loses the scope',
      (name) => gate.manage((store, by) => changePlan(store, name, { scopes: ['metadata'] }, by)),
      'missing_scope',
    ],
  ])('%s', async (_, take, code) => {
    const { name, id, secret: own } = await member();
    const [client, at] = await opened('/echo/ws', { 'x-api-key': own });
    await take(name, id);
    const end = await client.closed;
    expect([end.code, end.reason.split(':')[0]]).toEqual([1008, code]);
    await at.closed;
    expect(at.closedWith).toBe(1001);
    expect(await lastRow(id)).toMatchObject({ outcome: 'ended', status: 101, code });
  });

  test('the key expires', async () => {
    const { id, secret: own } = await member();
    const [client] = await opened('/echo/ws', { 'x-api-key': own });
    await gate.manage((store, by) => changeKey(store, id, { expiresAt: by.at + 500 }, by));
    expect(await client.closed).toMatchObject({ code: 1008 });
    expect(await lastRow(id)).toMatchObject({ code: 'key_expired' });
  });
});

test('a key in the path opens one where the key and the route allow it, and the service does not see it', async () => {
  const own = await gate.key({ scopes: ['route:echo'], allowPath: true });
  const client = new SocketClient(url(`/k/${own.secret}/echo/ws`));
  await client.opened;
  const { url: target, rawHeaders } = service.asked.at(-1) as Asked;
  expect(target).toBe('/base/ws');
  expect(rawHeaders.join(' ')).not.toContain(own.secret);
  client.socket.close();
  await client.closed;
});

test('a gate that is killed leaves one row for each WebSocket, with the bytes that passed', async () => {
  const file = join(temporaryDirectory(), 'routes.json');
  const route = { name: 'echo', path: '/echo', upstreams: [service.url], websocket: {}, cost: { perSecond: 1 } };
  writeFileSync(file, JSON.stringify([route]));
  const environment = { UPSTREAM: fake.url, ROUTES: file, DATA_DIR: temporaryDirectory() };
  const killed = await spawnGate(environment);
  const made = await killed.key({ scopes: ['route:echo'] });
  const clients = Array.from(
    { length: 3 },
    () => new SocketClient(`${killed.url}/echo/ws`, { 'x-api-key': made.secret }),
  );
  for (const client of clients) {
    await client.opened;
    client.socket.send('hello');
    await client.message(0);
  }
  (clients[0] as SocketClient).socket.close();
  await (clients[0] as SocketClient).closed;
  const journal = join(environment.DATA_DIR, 'journal');
  const noted = (): number =>
    readdirSync(journal).flatMap((name) => readFileSync(join(journal, name), 'utf8').match(/^P.*"bytesIn":11,/gm) ?? [])
      .length;
  await eventually(() => expect(noted()).toBeGreaterThanOrEqual(2));
  killed.process.kill('SIGKILL');
  await killed.ended;
  const again = await spawnGate(environment);
  const rows = (await again.ledger(3)).map(({ outcome, bytesIn, bytesOut, cost }) => [
    outcome,
    bytesIn,
    bytesOut,
    cost?.units,
  ]);
  const interrupted = ['interrupted', 11, 7, expect.any(Number)];
  expect(rows).toHaveLength(3);
  expect(rows).toEqual(expect.arrayContaining([['completed', 17, 9, expect.any(Number)], interrupted, interrupted]));
  again.process.kill('SIGTERM');
  await again.ended;
});

test('a gate that stops closes every WebSocket with 1001 at once', async () => {
  const file = join(temporaryDirectory(), 'routes.json');
  writeFileSync(file, JSON.stringify([{ name: 'echo', path: '/echo', upstreams: [service.url], websocket: {} }]));
  const own = await openGate(fake.url, { ROUTES: file, DRAIN_SECONDS: '600' });
  const made = await own.key({ scopes: ['route:echo'] });
  const client = new SocketClient(`${own.url}/echo/ws`, { 'x-api-key': made.secret });
  await client.opened;
  const stopped = own.stop();
  expect(await client.closed).toMatchObject({ code: 1001 });
  await stopped;
});

describe('a ticket', () => {
  const tickets = `/echo/sekisho-ticket`;
  const ask = (origin: string | undefined, own = secret, path = tickets): Promise<Response> =>
    fetch(url(path), {
      method: 'POST',
      headers: { 'x-api-key': own, ...(origin === undefined ? {} : { origin }) },
    });
  async function given(own = secret): Promise<{ protocols: string[]; text: string }> {
    const response = await ask(page, own);
    expect(response.status).toBe(200);
    const { protocols } = (await response.json()) as { protocols: string[] };
    return { protocols, text: (protocols[1] as string).slice('sekisho.ticket.'.length) };
  }
  const shows = (protocols: readonly string[], origin = page): readonly string[] => [
    `Origin: ${origin}`,
    `Sec-WebSocket-Protocol: ${protocols.join(', ')}`,
  ];

  test('opens one WebSocket for its page; neither it nor the key reaches the service or the log', async () => {
    const { protocols, text } = await given();
    const before = service.asked.length;
    const client = new SocketClient(url('/echo/ws'), { origin: page }, ['chat', ...protocols]);
    await client.opened;
    expect(client.socket.protocol).toBe('chat');
    client.socket.send('hello');
    expect(await client.message(0)).toBe('hello');
    client.socket.close();
    await client.closed;
    expect(service.asked.length).toBe(before + 1);
    const seen = (service.asked.at(-1) as Asked).rawHeaders.join('\n');
    expect(seen).not.toMatch(/sekisho\./);
    expect(seen).not.toContain(text);
    expect(gate.log()).not.toContain(text);
    await refusedAtGate({ path: '/echo/ws', lines: shows(protocols) }, 401);
  });

  test('is accepted as “sekisho” where the service knows no subprotocol, which a browser needs', async () => {
    const { protocols } = await given();
    const client = new SocketClient(url('/echo/ws'), { origin: page }, protocols);
    await client.opened;
    expect(client.socket.protocol).toBe('sekisho');
    expect((service.asked.at(-1) as Asked).headers['sec-websocket-protocol']).toBeUndefined();
    client.socket.close();
  });

  test('has one winner among those who show it at the same time', async () => {
    const { protocols } = await given();
    const before = service.sockets.length;
    const clients = Array.from({ length: 12 }, () => new RawClient(gate.port));
    for (const client of clients) client.write(upgradeBytes({ path: '/echo/ws', lines: shows(protocols) }));
    const statuses = await Promise.all(
      clients.map(async (client) => /^HTTP\/1\.1 (\d+)/.exec(await client.until('\r\n\r\n'))?.[1]),
    );
    for (const client of clients) client.socket.destroy();
    expect(statuses.filter((status) => status === '101')).toHaveLength(1);
    expect(statuses.filter((status) => status === '401')).toHaveLength(11);
    expect(service.sockets.length).toBe(before + 1);
  });

  test.each<[string, (protocols: string[]) => Parameters<typeof refusedUpgrade>[1], number]>([
    ['for another service', (protocols) => ({ path: '/ticketed/ws', lines: shows(protocols) }), 401],
    [
      'for a service that takes none',
      (protocols) => ({ path: '/kept/ws', lines: [shows(protocols)[1] as string] }),
      401,
    ],
    ['without a page', (protocols) => ({ path: '/echo/ws', lines: [shows(protocols)[1] as string] }), 401],
    [
      'of another page',
      (protocols) => ({ path: '/echo/ws', lines: shows(protocols, 'https://second.example.com') }),
      401,
    ],
    ['with a key', (protocols) => ({ path: '/echo/ws', lines: [...shows(protocols), key()] }), 400],
    ['twice', (protocols) => ({ path: '/echo/ws', lines: shows([...protocols, 'sekisho.ticket.x']) }), 400],
  ])('shown %s opens nothing, and is used up where it was looked at', async (_, asked, status) => {
    const { protocols } = await given();
    await refusedAtGate(asked(protocols), status);
    if (status === 401 && asked(protocols).path === '/echo/ws')
      await refusedAtGate({ path: '/echo/ws', lines: shows(protocols) }, 401);
  });

  test('stands for its key as the key is when it is shown', async () => {
    const own = await gate.key({ scopes: ['route:echo'] });
    const { protocols } = await given(own.secret);
    await gate.manage((store, by) => revokeKey(store, own.id, by));
    await eventually(async () => expect((await ask(page, own.secret)).status).toBe(401));
    const text = await refusedAtGate({ path: '/echo/ws', lines: shows(protocols) }, 401);
    expect(text).toContain('key_revoked');
  });

  test('is given to pages that the route lists, for keys that may use it, and costs nothing', async () => {
    const other = await gate.key({ scopes: ['metadata'] });
    for (const [origin, own, code] of [
      ['https://evil.example', secret, 'origin_not_allowed'],
      [undefined, secret, 'origin_not_allowed'],
      [page, other.secret, 'missing_scope'],
      [page, 'sekisho_x', 'invalid_api_key'],
    ] as const) {
      const response = await ask(origin, own);
      expect([response.status, await response.text()]).toEqual([
        expect.any(Number),
        expect.stringContaining(code) as string,
      ]);
      expect(response.ok).toBe(false);
    }
    const before = service.asked.length;
    const own = await gate.key({ scopes: ['route:echo'] });
    await given(own.secret);
    expect(service.asked.length).toBe(before);
    const row = await lastRow(own.id);
    expect(row).toMatchObject({ operation: 'ticket:echo', outcome: 'completed', upstream: null });
    expect(row.cost).toBeUndefined();
  });

  test('comes in bounded numbers: a key that takes too many is told to wait', async () => {
    const own = await gate.key({ scopes: ['route:echo'] });
    let status = 200;
    let count = 0;
    while (status === 200 && count < 300) {
      const answers = await Promise.all(Array.from({ length: 25 }, () => ask(page, own.secret)));
      count += answers.length;
      status = answers.at(-1)?.status ?? 0;
      for (const each of answers) await each.text();
    }
    expect(status).toBe(503);
    expect((await ask(page)).status).toBe(200);
  });
});
