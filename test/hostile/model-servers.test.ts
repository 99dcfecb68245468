// Model servers and networks that misbehave: unreachable, silent, cut, slow, lying, leaking. The gate answers each with the
// right error, releases what it held, and never presents half an answer as a whole one.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

let fake: FakeOllama;
let proxy: FaultProxy;
let gate: TestGate;
let secret: string;

const ask = { model: 'gemma3:270m', prompt: 'x' };
const whole = { ...ask, stream: false };
const json = { 'Content-Type': 'application/json' };
const ndjson = { 'Content-Type': 'application/x-ndjson' };

beforeAll(async () => {
  fake = await startFakeOllama();
  proxy = await startFaultProxy(fake.url);
  gate = await openGate(proxy.url, { PROBE_SECONDS: '0.1' });
  ({ secret } = await gate.key());
});
afterEach(async () => {
  proxy.faults = {};
  await proxy.up();
  fake.pieces = ['a', 'b', 'c'];
  fake.pace = undefined;
});
afterAll(async () => {
  await gate.stop();
  await proxy.close();
  await fake.close();
});

const generate = (body: object = whole, at = { gate, secret }): Promise<Response> =>
  post(`${at.gate.url}/api/generate`, at.secret, body);
const codeOf = (answer: Response): string | null => answer.headers.get('x-sekisho-error-code');
const healthy = (): Promise<void> => eventually(async () => expect((await generate()).status).toBe(200));

interface Stream {
  readonly text: string;
  readonly clean: boolean;
}
/** The bytes of a stream that arrived, and whether it ended cleanly. */
const stream = async (body: object = ask): Promise<Stream> => await restOf(await generate(body)).ended;

/** The same with the bytes that have arrived so far. */
function restOf(answer: Response): { text: string; readonly ended: Promise<Stream> } {
  const rest = { text: '', ended: Promise.resolve({ text: '', clean: false }) };
  const read = async (): Promise<Stream> => {
    try {
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>)
        rest.text += Buffer.from(chunk).toString('latin1');
      return { text: rest.text, clean: true };
    } catch {
      return { text: rest.text, clean: false };
    }
  };
  rest.ended = read();
  return rest;
}

/** A server that sends these bytes as the answer to every request that it has read. */
async function says(
  bytes: (request: number) => string | Buffer,
  after: (socket: Socket) => void = () => undefined,
): Promise<{ url: string; server: Server; heard: () => number }> {
  let requests = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      if (!data.includes('\r\n\r\n')) return;
      if (data.includes('/api/tags')) {
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"models":[]}');
        return;
      }
      socket.write(bytes(++requests));
      after(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, heard: () => requests };
}

describe('P1: an unreachable model server', () => {
  test('gets a 503 with its reason, and is noticed when it is back', async () => {
    await proxy.down();
    const answer = await generate();
    expect([answer.status, codeOf(answer)]).toEqual([503, 'upstream_unreachable']);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    await proxy.up();
    await healthy();
  });

  test('with an unknown name gets the same', async () => {
    const lost = await openGate('http://no-such-host.invalid:11434', { CONNECT_SECONDS: '0.5' });
    const { secret: key } = await lost.key();
    const answer = await post(`${lost.url}/api/generate`, key, whole);
    expect([answer.status, codeOf(answer)]).toEqual([503, 'upstream_unreachable']);
    await lost.stop();
  });

  test('is skipped only while nothing has been sent to it', async () => {
    const broken = await says(
      () => '',
      (socket) => socket.destroy(),
    );
    const two = await openGate(`${broken.url},${fake.url}`);
    const { secret: key } = await two.key();
    await eventually(() => expect(fake.calls.length).toBeGreaterThan(0));
    const before = fake.calls.filter(({ url }) => url === '/api/generate').length;
    const codes = await Promise.all(
      Array.from(
        { length: 6 },
        async () => (await post(`${two.url}/api/generate`, key, { ...whole, model: 'unlisted' })).status,
      ),
    );
    // A call begun at one server is never repeated at another.
    const after = fake.calls.filter(({ url }) => url === '/api/generate').length;
    expect(codes.filter((code) => code === 502).length).toBe(broken.heard());
    expect(after - before + broken.heard()).toBe(6);
    await two.stop();
    broken.server.close();
  });
});

describe('P2, P4: a model server that stops sending', () => {
  const hasty = {} as { gate: TestGate; secret: string };
  beforeAll(async () => {
    hasty.gate = await openGate(proxy.url, { FIRST_BYTE_SECONDS: '1', SILENCE_SECONDS: '1', PROBE_SECONDS: '0.1' });
    hasty.secret = (await hasty.gate.key()).secret;
  });
  afterAll(() => hasty.gate.stop());

  test('before it answers is a 504, and its slot is free again', async () => {
    proxy.faults = { timeout: true };
    const answer = await generate(whole, hasty);
    expect([answer.status, codeOf(answer)]).toEqual([504, 'upstream_timeout']);
    proxy.faults = {};
    await eventually(async () => expect((await generate(whole, hasty)).status).toBe(200));
  });

  test('in mid-stream gets an error line and a cut connection, and what arrived is recorded', async () => {
    fake.pieces = Array.from({ length: 50 }, () => 'a ');
    const rows = (await hasty.gate.ledger(0)).length;
    const { promise: silent, resolve: goOn } = Promise.withResolvers<void>();
    fake.pace = (index) => (index === 5 ? silent : undefined);
    const answer = await generate(ask, hasty);
    const rest = restOf(answer);
    await eventually(() => expect(rest.text.split('\n')).toHaveLength(6));
    proxy.faults = { timeout: true };
    goOn();
    const { text, clean } = await rest.ended;
    expect(clean).toBe(false);
    expect(text).toMatch(/"upstream_timeout"/);
    const row = (await hasty.gate.ledger(rows + 1)).at(-1);
    expect(row).toMatchObject({ outcome: 'failed', code: 'upstream_timeout', source: 'estimated' });
    expect(row?.completionTokens).toBeGreaterThan(0);
  });
});

/** The clock of the HTTP client for model servers: its timeouts use this one, and a test can advance it. */
const clientTimers = createRequire(import.meta.url)('undici/lib/util/timers.js') as { tick(ms: number): void };

test.each([
  [890, 200],
  [910, 504],
])(
  'P3: a first byte after %i s is waited for as the settings say, longer than any default: %i',
  async (seconds, status) => {
    const patient = await openGate(fake.url, { FIRST_BYTE_SECONDS: '900', CONNECT_SECONDS: '0.2' });
    const { secret: key } = await patient.key();
    let release!: () => void;
    const held = new Promise<void>((resolve) => (release = resolve));
    fake.next(async (_, answer) => {
      await held;
      answer.whole(200, json, '{"done":true,"eval_count":1,"prompt_eval_count":1}');
    });
    const arrival = fake.arrival();
    const answer = post(`${patient.url}/api/generate`, key, whole);
    await arrival;
    // A timer starts with the next tick. undici's own timeouts are 300 s.
    clientTimers.tick(0);
    clientTimers.tick(seconds * 1_000);
    if (status !== 504) release();
    expect((await answer).status).toBe(status);
    release();
    await patient.stop();
  },
);

describe('P5: a connection that is reset', () => {
  test.each([40, 150, 301, 333])('after %i bytes is never a clean end', async (bytes) => {
    fake.pieces = ['日本', '語', '👩‍👩‍👧‍👦', 'end'];
    proxy.faults = { reset: bytes };
    const answer = await generate(ask).catch(() => undefined);
    const text = await answer?.text().catch(() => 'cut');
    if (answer && answer.status === 200) expect(text).toBe('cut');
    else expect(answer?.status).toBe(502);
    proxy.faults = {};
    await healthy();
  });

  test('in the middle of a character passes on what arrived, and adds no character', async () => {
    const line = '{"response":"日","done":false}\n';
    const cut = Buffer.from(line).subarray(0, 15);
    const { promise: arrived, resolve: hasArrived } = Promise.withResolvers<void>();
    fake.next(async (_, answer) => {
      answer.head(200, ndjson);
      await answer.chunk(line);
      await answer.chunk(cut);
      await arrived;
      answer.reset();
    });
    const passed = Buffer.from(line).toString('latin1') + cut.toString('latin1');
    const rest = restOf(await generate(ask));
    // The gate keeps half a line back. It has that half once it has an answer that was sent after it.
    await eventually(() => expect(rest.text).toContain('\n'));
    await healthy();
    hasArrived();
    const { text, clean } = await rest.ended;
    expect(clean).toBe(false);
    expect(text.startsWith(passed)).toBe(true);
    expect(text).toContain('"upstream_failed"');
  });
});

test('P6: a clean end without an end mark is recorded as incomplete, and the caller gets no clean end', async () => {
  fake.next(async (_, answer) => {
    answer.head(200, ndjson);
    await answer.chunk('{"response":"a","done":false}\n');
    answer.end();
  });
  const rows = (await gate.ledger(0)).length;
  expect(await stream()).toMatchObject({ clean: false });
  expect((await gate.ledger(rows + 1)).at(-1)).toMatchObject({ code: 'upstream_incomplete' });
});

test.each([500, 503, 429])('P7: its %i is passed on with its Retry-After, as its own', async (status) => {
  fake.next((_, answer) => answer.whole(status, { ...json, 'Retry-After': '17' }, '{"error":"busy"}'));
  const answer = await generate();
  expect([answer.status, await answer.text()]).toEqual([status, '{"error":"busy"}']);
  expect(answer.headers.get('retry-after')).toBe('17');
  expect(answer.headers.get('x-sekisho-error-owner')).toBe('upstream');
});

test('a 503 that does not say when to try again gets five seconds', async () => {
  fake.next((_, answer) => answer.whole(503, json, '{"error":"busy"}'));
  const answer = await generate();
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
});

describe('P9: lines that are not JSON', () => {
  test.each([
    'not json\n',
    '{"response":\n',
    '\n\n\n',
    '[]\n',
    'null\n',
    '{"eval_count":{}}\n',
    '\u0000\n',
    '{"done":"yes"}\n',
  ])('%j passes unchanged, and the figures after it are found', async (line) => {
    const last = '{"done":true,"prompt_eval_count":3,"eval_count":5}\n';
    fake.next(async (_, answer) => {
      answer.head(200, ndjson);
      await answer.chunk(line);
      await answer.chunk(last);
      answer.end();
    });
    const rows = (await gate.ledger(0)).length;
    expect(await stream()).toEqual({ text: line + last, clean: true });
    expect((await gate.ledger(rows + 1)).at(-1)).toMatchObject({ promptTokens: 3, completionTokens: 5 });
  });
});

test('P11: pieces of one byte arrive as they were sent, and are counted', async () => {
  fake.pieces = ['日本語', 'a', 'é👩‍👩‍👧‍👦'];
  proxy.faults = { slicer: 1 };
  const rows = (await gate.ledger(0)).length;
  const sliced = await stream();
  proxy.faults = {};
  const straight = await stream();
  expect(sliced.clean).toBe(true);
  const timeless = (text: string): string => text.replace(/"created_at":"[^"]*"/g, '').replace(/_duration":\d+/g, '');
  expect(timeless(sliced.text)).toBe(timeless(straight.text));
  const [one, two] = (await gate.ledger(rows + 2)).slice(-2);
  expect(one?.completionTokens).toBe(two?.completionTokens);
});

describe('P12: impossible figures', () => {
  test.each(['-5', '1e30', '"9"', 'null', '1.5', '{}', '9007199254740993'])(
    'eval_count %s is not believed',
    async (figure) => {
      fake.next((_, answer) =>
        answer.whole(200, json, `{"response":"abc","done":true,"prompt_eval_count":1,"eval_count":${figure}}`),
      );
      const rows = (await gate.ledger(0)).length;
      expect((await generate()).status).toBe(200);
      const row = (await gate.ledger(rows + 1)).at(-1);
      expect(row?.source).toBe('estimated');
      expect(row?.completionTokens).toBeGreaterThanOrEqual(0);
      expect(row?.completionTokens).toBeLessThan(1_000);
    },
  );
});

describe('P13, P14: invalid answers', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
  test.each<[string, string]>([
    ['two lengths', `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    ['a length and a coding', `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`],
    ['a length that is longer than the body', `${ok}Content-Length: 50\r\n\r\n{}`],
    ['a coding cut short', `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\n{}`],
    ['a 204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}'],
    ['an unrequested 101', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['a status of 99', 'HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\n{}'],
    ['a status of 999', 'HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\n{}'],
    ['a head of 100 KB', `${ok}X: ${'y'.repeat(100_000)}\r\nContent-Length: 2\r\n\r\n{}`],
    ['a thousand cookies', `${ok}${'Set-Cookie: a=b\r\n'.repeat(2_000)}Content-Length: 2\r\n\r\n{}`],
    ['a NUL in a header', `${ok}X: a\u0000b\r\nContent-Length: 2\r\n\r\n{}`],
    ['a name with a space', `${ok}X Y: a\r\nContent-Length: 2\r\n\r\n{}`],
    ['no HTTP at all', '220 mail.example ESMTP\r\n'],
  ])('%s: 502 or a cut connection, never 200 with a clean end, and no cookie', async (what, bytes) => {
    const { url, server } = await says(
      () => bytes,
      (socket) => socket.end(),
    );
    const own = await openGate(url);
    const { secret: key } = await own.key();
    const answer = await post(`${own.url}/api/generate`, key, whole);
    const text = await answer.text().catch(() => 'cut');
    expect(answer.headers.get('set-cookie')).toBeNull();
    if (answer.status === 200) expect(text, what).toBe('cut');
    else expect([502, 204], what).toContain(answer.status);
    expect((await fetch(`${own.url}/healthz`)).status).toBe(200);
    expect(own.log()).not.toContain('"internal"');
    await own.stop();
    server.close();
  });

  test.each([
    ['now and then', 100, '0.5', '504 upstream_timeout'],
    ['without end', 0, '600', '502 upstream_failed'],
  ])('P14: a server that sends 103 %s has no more time to begin than any other', async (_, everyMs, limit, refused) => {
    const { url, server } = await says(
      () => '',
      (socket) => {
        const say = (): void => {
          if (socket.destroyed) return;
          const goOn = socket.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(everyMs === 0 ? 1000 : 1));
          if (!goOn) socket.once('drain', say);
          else setTimeout(say, everyMs);
        };
        say();
      },
    );
    const own = await openGate(url, { FIRST_BYTE_SECONDS: limit, METADATA_SECONDS: limit });
    const { secret: key } = await own.key();
    for (const path of ['/api/generate', '/api/show']) {
      const answer = await post(`${own.url}${path}`, key, whole);
      expect(`${answer.status} ${codeOf(answer)}`, path).toBe(refused);
    }
    await own.stop();
    server.close();
  });

  test('P14: a 100 and a 103 before the answer are not passed on', async () => {
    const { url, server } = await says(
      () => `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${ok}Content-Length: 2\r\n\r\n{}`,
    );
    const own = await openGate(url);
    const { secret: key } = await own.key();
    const client = new RawClient(own.port);
    const text = JSON.stringify(whole);
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: ${key}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    await client.closed;
    expect(client.text).not.toContain('103');
    expect(client.text).toMatch(/^HTTP\/1\.1 (200|502)/);
    await own.stop();
    server.close();
  });
});

test('P16: an encoded answer that was not requested is passed on as it came, and not decoded', async () => {
  const bomb = gzipSync(Buffer.alloc(5_000_000, 0x20));
  fake.next((_, answer) => answer.whole(200, { ...json, 'Content-Encoding': 'gzip' }, bomb));
  const client = new RawClient(gate.port);
  const text = JSON.stringify(whole);
  client.write(
    `POST /api/generate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  await client.closed;
  expect(client.received.includes(bomb)).toBe(true);
  expect(client.received.length).toBeLessThan(bomb.length + 2_000);
});

test('P18: an answer before the upload is complete is passed on, and the rest of the upload is not', async () => {
  const { secret: uploader } = await gate.key({ scopes: ['models:create'] });
  fake.next((_, answer) => answer.whole(413, json, '{"error":"too large"}'));
  const client = new RawClient(gate.port);
  client.write(
    `POST /api/blobs/sha256:${'0'.repeat(64)} HTTP/1.1\r\nHost: x\r\nx-api-key: ${uploader}\r\nContent-Length: 50000000\r\n\r\n${'x'.repeat(10_000)}`,
  );
  await client.until(/^HTTP\/1\.1 413 /);
  await client.closed;
  await healthy();
});

test('P19: a kept connection that closes on reuse fails at most one call that must not be repeated', async () => {
  // Answers once on each connection, keeps it, and breaks off as soon as a second request arrives.
  const done = '{"done":true,"prompt_eval_count":1,"eval_count":1}';
  const perSocket = new WeakMap<Socket, number>();
  let heard = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      if (!data.includes('HTTP/1.1')) return;
      const count = (perSocket.get(socket) ?? 0) + 1;
      perSocket.set(socket, count);
      if (data.includes('/api/generate')) heard++;
      if (count > 1) socket.resetAndDestroy();
      else
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${done.length}\r\n\r\n${done}`,
        );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = await openGate(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { PROBE_SECONDS: '60' });
  const { secret: key } = await own.key();
  const codes: number[] = [];
  for (let i = 0; i < 8; i++) codes.push((await post(`${own.url}/api/generate`, key, whole)).status);
  // Each generation was requested once: the gate repeated none.
  expect(heard).toBe(8);
  expect(new Set(codes)).toEqual(new Set([200, 502]));
  await own.stop();
  server.close();
});

test('P19: a call that may be repeated is repeated once on a new connection, and its caller notices nothing', async () => {
  // Answers once on each connection, keeps it, and breaks off as soon as a second request arrives, as after a restart.
  const list = '{"version":"1","models":[],"details":{}}';
  const perSocket = new WeakMap<Socket, number>();
  let broken = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      if (!data.includes('HTTP/1.1')) return;
      const count = (perSocket.get(socket) ?? 0) + 1;
      perSocket.set(socket, count);
      if (count === 1)
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${list.length}\r\n\r\n${list}`,
        );
      else if (++broken % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = await openGate(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { PROBE_SECONDS: '60' });
  const { secret: key } = await own.key();
  for (let i = 0; i < 6; i++) {
    expect((await fetch(`${own.url}/api/version`, { headers: { 'x-api-key': key } })).status).toBe(200);
    expect((await post(`${own.url}/api/show`, key, { model: 'x' })).status).toBe(200);
  }
  expect(broken).toBeGreaterThan(3);
  expect((await own.ledger(12)).map(({ outcome }) => outcome)).toEqual(Array.from({ length: 12 }, () => 'completed'));
  await own.stop();
  server.close();
});

test('a missing model’s endless 404 is cut, and its server counts as free at once', async () => {
  let aborted = false;
  fake.next(async (request, answer) => {
    void request.aborted.then(() => (aborted = true));
    answer.head(404, json);
    while (await answer.chunk('a'.repeat(10_000)));
  });
  expect((await generate()).status).toBe(404);
  await eventually(() => expect(aborted).toBe(true));
  let silent = false;
  fake.next((request, answer) => {
    void request.aborted.then(() => (silent = true));
    answer.head(404, json);
  });
  expect((await generate()).status).toBe(404);
  await eventually(() => expect(silent).toBe(true));
  expect(await inFlight(gate)).toEqual([0]);
});

test('a call that moved on to another server counts as running at neither once it is over', async () => {
  const away = await startFaultProxy(fake.url);
  const two = await openGate(`${away.url},${proxy.url}`, { PROBE_SECONDS: '60' });
  const { secret: key } = await two.key();
  await eventually(async () => expect((await fetch(`${two.url}/readyz`)).status).toBe(200));
  await away.down();
  for (let i = 0; i < 3; i++) expect((await post(`${two.url}/api/generate`, key, whole)).status).toBe(200);
  expect(await inFlight(two)).toEqual([0, 0]);
  await two.stop();
  await away.close();
});

/** The number of running calls reported for each model server. */
async function inFlight(of: TestGate): Promise<number[]> {
  const operator = await operatorOf(of);
  const { body } = await operator.get('/status');
  return (body.upstreams as { inFlight: number }[]).map((each) => each.inFlight);
}

test('P20: a slow stream of single tokens is left alone, and a burst of them passes through', async () => {
  // Longer than a second: undici keeps shorter timeouts on another clock. A probe would use the same clock.
  const patient = await openGate(fake.url, { SILENCE_SECONDS: '100', CONNECT_SECONDS: '0.5', PROBE_SECONDS: '600' });
  const { secret: key } = await patient.key();
  const listen = async (): Promise<Stream> => await restOf(await post(`${patient.url}/api/generate`, key, ask)).ended;
  fake.pieces = Array.from({ length: 8 }, () => 'a ');
  // Each piece well within SILENCE_SECONDS, all of them far beyond it.
  fake.pace = async () => {
    await new Promise(setImmediate);
    clientTimers.tick(0);
    clientTimers.tick(60_000);
  };
  const slow = await listen();
  expect([slow.text.split('\n').length, slow.clean]).toEqual([10, true]);
  fake.pace = undefined;
  fake.pieces = Array.from({ length: 20_000 }, () => 'a ');
  const { text, clean } = await listen();
  expect(clean).toBe(true);
  expect(text.split('\n').length).toBeGreaterThan(20_000);
  await patient.stop();
});

test('P21: a server that comes and goes leaves no call stuck', async () => {
  const member = await gate.member({ concurrentRequests: 2 });
  const codes = new Set<number>();
  for (let i = 0; i < 8; i++) {
    if (i % 2 === 0) await proxy.down();
    else await proxy.up();
    await Promise.all(
      Array.from({ length: 2 }, async () =>
        codes.add((await post(`${gate.url}/api/generate`, member.secret, whole)).status),
      ),
    );
    // The gate itself has noticed that the server is there, or away.
    await eventually(async () => expect((await fetch(`${gate.url}/readyz`)).status).toBe(i % 2 === 0 ? 503 : 200));
  }
  expect([...codes].every((code) => [200, 502, 503].includes(code))).toBe(true);
  await proxy.up();
  await eventually(async () => expect((await post(`${gate.url}/api/generate`, member.secret, whole)).status).toBe(200));
});

test('P23: each model is requested only from servers that have it', async () => {
  const [one, other] = [await startFakeOllama(), await startFakeOllama()];
  one.models = [{ name: 'gemma3:270m' }];
  other.models = [{ name: 'llama3:latest' }];
  const two = await openGate(`${one.url},${other.url}`);
  const { secret: key } = await two.key();
  await eventually(async () => {
    const before = other.calls.length;
    expect((await post(`${two.url}/api/generate`, key, { ...whole, model: 'llama3' })).status).toBe(200);
    expect(other.calls.length).toBeGreaterThan(before);
  });
  const before = other.calls.filter(({ url }) => url === '/api/generate').length;
  for (let i = 0; i < 5; i++) expect((await post(`${two.url}/api/generate`, key, whole)).status).toBe(200);
  expect(other.calls.filter(({ url }) => url === '/api/generate').length).toBe(before);
  await two.stop();
  await one.close();
  await other.close();
});

test('a server with only remote models takes no model away from callers whom another server can serve', async () => {
  const [own, far] = [await startFakeOllama(), await startFakeOllama()];
  const names = ['gemma3:270m', 'llama3:latest'];
  const { port } = own;
  const heard = (): number => far.calls.filter(({ url }) => url === '/api/generate').length;
  own.models = names.map((name) => ({ name }));
  far.models = [...names, 'only-far:latest'].map((name) => ({ name, remoteHost: 'https://elsewhere.example' }));
  let asked = 0;
  // Whichever comes first in the settings.
  for (const servers of [`${far.url},${own.url}`, `${own.url},${far.url}`]) {
    const two = await openGate(servers, { PROBE_SECONDS: '600' });
    const { secret: key } = await two.key({ scopes: ['inference', 'metadata'] });
    const list = await (await fetch(`${two.url}/api/tags`, { headers: { 'x-api-key': key } })).json();
    expect((list as { models: { name: string }[] }).models.map(({ name }) => name)).toEqual(names);
    const statuses = await Promise.all(
      Array.from({ length: 6 }, async (_, at) => {
        const call = { ...whole, model: names[at % 2] };
        return (await post(`${two.url}/api/generate`, key, call)).status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect((await post(`${two.url}/api/generate`, key, { ...whole, model: 'only-far' })).status).toBe(403);
    // Nothing goes there when the others are unreachable, either.
    await own.close();
    expect((await post(`${two.url}/api/generate`, key, whole)).status).toBe(503);
    expect(heard()).toBe(asked);
    const { secret: cloud } = await two.key({ scopes: ['inference', 'cloud'] });
    await eventually(async () => expect((await post(`${two.url}/api/generate`, cloud, whole)).status).toBe(200));
    expect(heard()).toBe(++asked);
    await own.listen(port);
    await two.stop();
  }
  await own.close();
  await far.close();
});

test('P25: its refusal of the gate is not passed on as a refusal of the caller', async () => {
  for (const status of [401, 403]) {
    fake.next((_, answer) => answer.whole(status, { ...json, 'WWW-Authenticate': 'Basic' }, '{"error":"bad key"}'));
    const answer = await generate();
    expect([answer.status, codeOf(answer)]).toEqual([502, 'upstream_refused']);
    expect(answer.headers.get('www-authenticate')).toBeNull();
    expect(gate.log()).toContain('upstream_refused');
  }
});

describe('P26: lists of models', () => {
  test('with a hundred thousand entries are served, and the gate keeps routing by the last good one', async () => {
    const many = Array.from({ length: 100_000 }, (_, at) => `{"name":"m${at}:latest","size":1}`).join(',');
    const list = `{"models":[{"name":"gemma3:270m"},${many}]}`;
    const { url, server } = await says(
      () => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${list.length}\r\n\r\n${list}`,
    );
    const own = await openGate(url);
    const { secret: key } = await own.key({ models: ['gemma3:*'] });
    const answer = await fetch(`${own.url}/v1/models`, { headers: { 'x-api-key': key } });
    expect([200, 502]).toContain(answer.status);
    await answer.text();
    expect((await fetch(`${own.url}/healthz`)).status).toBe(200);
    await own.stop();
    server.close();
  });

  test.each(['not json', '{"models":{}}', '{"models":[null,7,{"name":{}}]}', '[]', ''])(
    '%j break nothing',
    async (list) => {
      const { secret: some } = await gate.key({ models: ['gemma3:*'] });
      fake.next(
        (_, answer) => answer.whole(200, json, list),
        ({ url, headers }) => url === '/api/tags' && headers['via'] !== undefined,
      );
      const answer = await fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': some } });
      expect([200, 502]).toContain(answer.status);
      expect(await answer.text()).not.toContain('llama3');
      await healthy();
    },
  );
});

test('P22: of two servers, the slow one gets fewer calls, and every caller is served', async () => {
  const far = await startFakeOllama();
  const slow = await startFaultProxy(far.url);
  const two = await openGate(`${slow.url},${proxy.url}`, { PROBE_SECONDS: '0.1' });
  const { secret: key } = await two.key();
  slow.faults = { latency: 400 };
  // A slow probe is over when the next one begins; the first may have begun before.
  const looks = (): number => far.requests.filter(({ url }) => url === '/api/tags').length;
  const before = looks();
  await eventually(() => expect(looks()).toBeGreaterThanOrEqual(before + 3));
  const served = new Map<string | null, number>();
  const work = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) expect((await post(`${two.url}/api/generate`, key, whole)).status).toBe(200);
  };
  await Promise.all([work(), work(), work()]);
  for (const { upstream } of await two.ledger(30)) served.set(upstream, (served.get(upstream) ?? 0) + 1);
  expect(served.get(slow.url) ?? 0).toBeLessThan(10);
  await two.stop();
  await slow.close();
  await far.close();
});
