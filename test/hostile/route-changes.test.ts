// Services that are changed and removed while calls of theirs wait, run, or still arrive: none is lost, none outlives the drain, and
// none reaches with its old right what the route publishes now.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate, temporaryDirectory } from '../gate.ts';
import { type EchoService, echoAnswer, startEchoService } from '../services/echo-service.ts';
import { SocketClient } from '../services/socket-client.ts';
import { type RunningService, startService } from '../services/web-socket-server.ts';

let fake: FakeOllama;
let gate: TestGate;
let first: EchoService;
let second: EchoService;
let sockets: RunningService;
let operator: string;
let key: { id: string; secret: string };
let files: string;

/** `seconds`: how long what runs at a service has after its removal. */
async function open(seconds: number): Promise<void> {
  gate = await openGate(fake.url, { SERVER_FILES: files, SERVER_DRAIN_SECONDS: String(seconds) });
  ({ secret: operator } = await gate.key({ scopes: ['management:read', 'management:write'] }));
}

beforeAll(async () => {
  [fake, first, second] = await Promise.all([startFakeOllama(), startEchoService(), startEchoService()]);
  sockets = await startService({
    onUpgrade: (_, accept) => void accept(),
    onRequest: (_, response) => response.end('plain'),
  });
  files = join(temporaryDirectory(), 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'one'), 'x-box: number-one');
  writeFileSync(join(files, 'two'), 'x-box: number-two');
  await open(600);
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([first.stop(), second.stop(), sockets.close(), fake.close()]);
});
afterEach(() => {
  for (const each of [first, second]) {
    each.answer = echoAnswer;
    each.seen.length = 0;
  }
});

async function manage(method: string, path: string, body?: unknown): Promise<{ status: number; id: string }> {
  const answer = await fetch(`${gate.url}/management/v1${path}`, {
    method,
    headers: { 'x-api-key': operator, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, ...(text === '' ? {} : (JSON.parse(text) as object)) } as {
    status: number;
    id: string;
  };
}

/** Publishes it, with a key of its own, and returns its id once it answers. */
async function publish(name: string, options: object): Promise<string> {
  const { status, id } = await manage('POST', '/routes', {
    name,
    path: `/${name}`,
    upstreams: [first.url],
    ...options,
  });
  expect(status).toBe(201);
  key = await gate.key({ scopes: [`route:${name}`] });
  await eventually(async () => expect((await ask(`/${name}/probe`, { method: 'PUT' })).status).toBe(405));
  return id;
}

const ask = async (path: string, more: RequestInit = {}): Promise<{ status: number; text: string }> => {
  const answer = await fetch(gate.url + path, { ...more, headers: { 'x-api-key': key.secret } });
  return { status: answer.status, text: await answer.text() };
};

/** Holds the next answers of the first service; returns how to let one go. */
function hold(): (() => void)[] {
  const held: (() => void)[] = [];
  first.answer = (_, response) => {
    response.writeHead(200).write('begun ');
    held.push(() => response.end('and ended'));
  };
  return held;
}

/** A call that holds the only slot of the service, and one that waits for it. */
async function oneWaits(
  path: string,
): Promise<{ held: (() => void)[]; runs: ReturnType<typeof ask>; waits: ReturnType<typeof ask> }> {
  const held = hold();
  const runs = ask(`${path}/runs`);
  runs.catch(() => undefined);
  await eventually(() => expect(held).toHaveLength(1));
  const waits = ask(`${path}/waits`);
  await eventually(() => expect(gate.waiting()).toBe(1));
  return { held, runs, waits };
}

const rows = async (count: number) =>
  eventually(async () => {
    const own = (await gate.ledger(0)).filter(({ keyId, status }) => keyId === key.id && status !== 405);
    expect(own).toHaveLength(count);
    return own;
  });

test('a call that waits for a service is refused as soon as that is removed, and does not wait for a namesake', async () => {
  const id = await publish('gone', { slots: 1 });
  const { held, runs, waits } = await oneWaits('/gone');
  await manage('DELETE', `/routes/${id}`);
  expect((await waits).status).toBe(404);
  held[0]?.();
  expect(await runs).toEqual({ status: 200, text: 'begun and ended' });
  expect(new Set((await rows(2)).map(({ code }) => code ?? null))).toEqual(new Set([null, 'unknown_route']));
});

test('a call that waits while its service is changed is sent as the route is now', async () => {
  const id = await publish('moved', { slots: 1 });
  const { held, waits } = await oneWaits('/moved');
  await manage('PATCH', `/routes/${id}`, { upstreams: [second.url], strip: false, secretFile: 'two' });
  expect((await waits).status).toBe(200);
  expect(second.seen).toMatchObject([{ url: '/moved/waits', headers: { 'x-box': 'number-two' } }]);
  held[0]?.();
  await rows(2);
});

test('a call that waits is not sent where the route now asks for another right', async () => {
  const id = await publish('closed', { slots: 1 });
  const { held, waits } = await oneWaits('/closed');
  await manage('PATCH', `/routes/${id}`, { scope: 'route:others', upstreams: [second.url] });
  const { status, text } = await waits;
  expect([status, text]).toEqual([503, expect.stringContaining('was changed while this call waited')]);
  expect(second.seen).toEqual([]);
  held[0]?.();
  await rows(2);
});

test('an edit gives an account no more places than it had', async () => {
  const id = await publish('seats', { concurrent: 1 });
  const held = hold();
  const runs = ask('/seats/runs');
  await eventually(() => expect(held).toHaveLength(1));
  await manage('PATCH', `/routes/${id}`, { methods: ['GET', 'PATCH'] });
  await eventually(async () => expect((await ask('/seats/x', { method: 'POST' })).status).toBe(405));
  expect((await ask('/seats/more')).status).toBe(429);
  held[0]?.();
  expect((await runs).status).toBe(200);
  first.answer = echoAnswer;
  await eventually(async () => expect((await ask('/seats/again')).status).toBe(200));
});

test('a removed service ends what still runs after the drain: answers, uploads, WebSockets, each with one row', async () => {
  await gate.stop();
  await open(1);
  const id = await publish('drained', { methods: ['GET', 'POST'] });
  const own = key;
  hold();
  const runs = ask('/drained/runs').then(
    () => 'whole',
    () => 'cut',
  );
  const upload = new RawClient(gate.port);
  upload.write(`POST /drained/up HTTP/1.1\r\nHost: g\r\nx-api-key: ${own.secret}\r\nContent-Length: 9\r\n\r\nhalf`);
  const socketId = await publish('socket', { upstreams: [sockets.url], websocket: {} });
  const client = new SocketClient(`${gate.url}/socket/x`, { 'x-api-key': key.secret });
  await client.opened;
  await eventually(() => expect(first.heads).toBeGreaterThan(1));
  await Promise.all([manage('DELETE', `/routes/${id}`), manage('DELETE', `/routes/${socketId}`)]);
  const { code, reason } = await client.closed;
  expect([code, reason]).toEqual([1001, expect.stringContaining('draining')]);
  expect(await rows(1)).toMatchObject([{ outcome: 'ended', code: 'draining', status: 101 }]);
  expect(await runs).toBe('cut');
  expect(await upload.until('being taken out of service')).toMatch(/^HTTP\/1\.1 503 /);
  upload.socket.destroy();
  key = own;
  expect((await rows(2)).map((row) => row.code)).toEqual(['draining', 'draining']);
  await gate.stop();
  await open(600);
});

test('no call is lost while its service is edited again and again', async () => {
  const id = await publish('edited', { methods: ['POST'], secretFile: 'one' });
  const edits = { going: true };
  let calls = 0;
  const statuses = new Set<number>();
  const callers = Promise.all(
    Array.from({ length: 6 }, async () => {
      while (edits.going) {
        calls++;
        statuses.add((await ask('/edited/x', { method: 'POST', body: 'x'.repeat(2_000) })).status);
      }
    }),
  );
  for (let edit = 1; edit <= 6; edit++) {
    const seen = second.seen.length + first.seen.length;
    const upstreams = [edit % 2 === 0 ? first.url : second.url];
    await manage('PATCH', `/routes/${id}`, { upstreams, secretFile: edit % 2 === 0 ? 'one' : 'two' });
    if (edit % 3 === 0) gate.reload();
    await eventually(() => {
      expect(first.seen.length + second.seen.length).toBeGreaterThan(seen);
      expect((edit % 2 === 0 ? first : second).seen.at(-1)?.headers['x-box']).toBe(
        `number-${edit % 2 === 0 ? 'one' : 'two'}`,
      );
    });
  }
  edits.going = false;
  await callers;
  expect([...statuses]).toEqual([200]);
  await rows(calls);
});
