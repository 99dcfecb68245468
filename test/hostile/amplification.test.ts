// No request costs a hundred times what it sends (the bound of Envoy's threat model): neither processor time, compared with
// an ordinary request of its length, nor memory, compared with its bytes. Processor time is the process's own, so a busy
// machine changes little; the test looks for faults of a hundred times and more.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cpuUs } from '../../bench/processes.ts';
import { generateKey } from '../../src/domain/api-key.ts';
import { defaultAnswer } from '../fake-ollama/answers.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, post, RawClient, root, serverWords, spawnGate } from '../gate.ts';

/** The allowed factor over the bytes sent, or over the cost of an ordinary call. */
const most = 100;

let fake: FakeOllama;
let gate: GateProcess;
let port: number;
let pid: number;
let secret: string;
let asset: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  const page = readFileSync(join(root, 'portal/dist/index.html'), 'utf8');
  asset = /src="(\/portal\/assets\/[^"]+)"/.exec(page)?.[1] as string;
  expect(asset).toBeDefined();
});
afterAll(() => fake.close());

async function open(): Promise<void> {
  // Twenty megabytes take a while on a machine that is busy with something else.
  gate = await spawnGate({ UPSTREAM: fake.url, LOG_LEVEL: 'info', BODY_SECONDS: '300' }, [
    process.execPath,
    '--max-semi-space-size=8',
    '--max-old-space-size=256',
    ...serverWords,
  ]);
  port = Number(new URL(gate.url).port);
  pid = gate.process.pid as number;
  ({ secret } = await gate.member({ concurrentRequests: 1000 }));
}
async function end(): Promise<void> {
  gate.process.kill('SIGTERM');
  // It has survived all of this, and ends as it should.
  expect(await gate.ended).toBe(0);
}

const get = (target: string, lines = ''): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`;
const key = (): string => `x-api-key: ${secret}\r\n`;
const chat = (text: string, lines = ''): string =>
  `POST /api/chat HTTP/1.1\r\nHost: x\r\n${key()}${lines}Content-Length: ${text.length}\r\n\r\n${text}`;
const search = '{"type":"web_search"}';
const times = (count: number, text: string): string => Array.from({ length: count }, () => text).join(',');
const body = (field: string): string => `{"model":"gemma3:270m",${field}}`;
/** One chunk per byte. */
const chunked = (bytes: number): string =>
  `POST /api/chat HTTP/1.1\r\nHost: x\r\n${key()}Transfer-Encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(bytes)}`;

describe('processor time', () => {
  /** Microseconds for a request, each on a connection of its own and answered before the next. */
  const costOf = async (request: () => string, count: number): Promise<number> => {
    const before = cpuUs([pid]);
    for (let i = 0; i < count; i++) {
      const client = new RawClient(port);
      client.write(request());
      await client.until(/^HTTP\/1\.1 [2-5]\d\d /);
      client.socket.destroy();
    }
    return (cpuUs([pid]) - before) / count;
  };
  const stranger = (): string => get('/api/version', `x-api-key: ${generateKey().text.reveal()}\r\n`);
  let ordinaryUs: number;
  afterAll(end);
  beforeAll(async () => {
    await open();
    await costOf(stranger, 300);
    ordinaryUs = await costOf(stranger, 300);
  });

  test.each<[string, () => string]>([
    ['a key that is none', () => get('/api/version', `x-api-key: ${'x'.repeat(100)}\r\n`)],
    ['a key of fifteen kilobytes', () => get('/api/version', `x-api-key: ${'x'.repeat(15_000)}\r\n`)],
    ['a signature that is none', () => get('/api/tags?ts=1', `authorization: ${'A'.repeat(68)}:${'B'.repeat(88)}\r\n`)],
    ['ninety-nine header lines', () => get('/api/version', 'x: y\r\n'.repeat(97))],
    ['fifteen kilobytes of cookies', () => get('/management/v1/session', `cookie: ${'a=b; '.repeat(3_000)}\r\n`)],
    ['a thousand hops', () => get('/api/version', `x-forwarded-for: ${times(1_500, '10.0.0.1')}\r\n`)],
    ['an address of fifteen kilobytes', () => get(`/api/${'%41'.repeat(5_000)}`)],
    ['an address of dots', () => get(`/api${'/..'.repeat(1_300)}`)],
    ['the first page', () => get('/portal/', 'accept: text/html\r\n')],
    ['the description of the API', () => get('/management/v1/openapi.json')],
    ['a list of ranges', () => get(asset, `range: bytes=${times(2_000, '0-1')}\r\n`)],
    ['a list of tags', () => get(asset, `if-none-match: ${times(2_000, '"a"')}\r\n`)],
    ['fifteen kilobytes of encodings', () => get(asset, `accept-encoding: ${times(2_000, 'br;q=0')}\r\n`)],
    ['a body of empty parts', () => chat(body(`"messages":[${times(5_000, '{}')}]`))],
    ['a body of parts in parts', () => chat(body(`"messages":[{"content":[${times(5_000, '{"content":[{}]}')}]}]`))],
    ['a body of a thousand fields', () => chat(body(Array.from({ length: 900 }, (_, i) => `"${i}":1`).join(',')))],
    ['a body of numbers', () => chat(body(`"context":[${times(50_000, '1')}]`))],
    ['a body of offered searches', () => chat(body(`"tools":[${times(75_000, '1')},${times(9_000, search)}]`))],
    ['a body of escapes', () => chat(body(`"prompt":"${'\\u0061'.repeat(20_000)}"`))],
    ['a body of brackets', () => chat(body(`"x":${'['.repeat(60)}${']'.repeat(60)}`))],
    ['a body with a chunk a byte', () => chunked(5_000).concat('0\r\n\r\n')],
    ['a form of many parts', () => form(500)],
  ])('%s', async (_, request) => {
    await costOf(request, 5);
    const text = request();
    const honest = (): string => chat(body(`"prompt":"${'x'.repeat(text.length)}"`));
    const ordinary = text.startsWith('GET') ? ordinaryUs : await costOf(honest, 40);
    expect((await costOf(request, 40)) / ordinary).toBeLessThan(most);
  });

  const form = (parts: number): string => {
    const part = '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n';
    const text = `${part.repeat(parts)}--b--\r\n`;
    return `POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n${key()}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  };
});

describe('memory', () => {
  const figure = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
  /** While this is set, no chat gets an answer. */
  let stalls = false;
  const script: Script = async (request, answer, server) => {
    server.next(script);
    if (stalls && request.url === '/api/chat') await request.aborted;
    else await defaultAnswer(request, answer, server);
  };
  beforeAll(() => fake.next(script));
  // Memory that one case leaves in the heap would hide what the next one takes.
  beforeEach(open);
  afterEach(end);

  /** A connection itself may cost as much as two kilobytes that were sent. */
  const unsentBytes = 2_000;

  test.each<[string, number, () => string, 'held' | 'unread']>([
    ['a connection that says nothing', 300, () => '', 'held'],
    ['half a head of fifteen kilobytes', 300, () => `GET / HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(15_000)}`, 'held'],
    ['half a head of ninety lines', 300, () => `GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(90)}`, 'held'],
    [
      'a body that was announced and does not come',
      300,
      () => `POST /api/chat HTTP/1.1\r\nHost: x\r\n${key()}Content-Length: 60000000\r\n\r\n{`,
      'held',
    ],
    ['a body of two bytes, and no more', 300, () => chunked(2), 'held'],
    ['a body with a chunk a byte', 3, () => chunked(700_000), 'held'],
    ['an asset that nobody reads', 300, () => get(asset), 'unread'],
    ['a description that nobody reads', 300, () => get('/management/v1/openapi.json'), 'unread'],
    ['fifty pipelined questions', 300, () => get('/management/v1/openapi.json').repeat(50), 'unread'],
    ['a call of empty parts that runs', 40, () => chat(body(`"messages":[${times(9_000, '{}')}]`)), 'held'],
    ['a call of small parts that runs', 40, () => chat(body(`"messages":[${times(9_000, '{"a":1}')}]`)), 'held'],
    ['a call of many fields that runs', 40, () => chat(body(`"x":{},"messages":[${parts}]`)), 'held'],
  ])('%s', async (_, count, request, kind) => {
    const text = request();
    stalls = kind === 'held';
    const before = figure('VmRSS');
    const clients = Array.from({ length: count }, () => new RawClient(port));
    for (const client of clients) {
      if (kind === 'unread') client.socket.pause();
      client.write(text);
    }
    await Promise.all(clients.map(({ socket }) => eventually(() => expect(socket.writableLength).toBe(0))));
    // The gate answers these requests once it has read everything before them. What is left to collect is collected meanwhile.
    await eventually(async () => {
      for (let i = 0; i < 100; i++) await (await fetch(`${gate.url}/healthz`)).text();
      expect((figure('VmRSS') - before) / count).toBeLessThan(most * (unsentBytes + text.length));
    });
    for (const { socket } of clients) socket.destroy();
    await eventually(async () =>
      expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(200),
    );
  });

  const parts = times(900, `{${Array.from({ length: 100 }, (_, i) => `"${i}":1`).join(',')}}`);

  test('a body of twenty million parts is refused for every caller, and the process survives', async () => {
    for (const part of ['{}', '[]', '1', '{"content":[{}]}', '"a"']) {
      const text = body(`"messages":[${times(Math.floor(20_000_000 / part.length), part)}]`);
      const answer = await post(`${gate.url}/api/chat`, secret, text);
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'ambiguous_json' }]);
    }
  });

  test('a body of two million chunks takes no more memory than its bytes', async () => {
    const client = new RawClient(port);
    const before = figure('VmRSS');
    const start = `POST /api/chat HTTP/1.1\r\nHost: x\r\n${key()}Transfer-Encoding: chunked\r\n\r\n`;
    client.write(start);
    const some = Buffer.from('1\r\n{\r\n'.repeat(100_000));
    for (let i = 0; i < 20; i++) {
      client.write(some);
      await eventually(() => expect(client.socket.writableLength).toBe(0));
    }
    const grown = figure('VmRSS') - before;
    client.socket.destroy();
    expect(grown).toBeLessThan(100_000_000);
  });
});
