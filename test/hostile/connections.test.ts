// Callers that are slow, many, silent or gone: each holds no more than a socket, and only until its timeout.
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, onePieceUntilLeft, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
const body = '{"model":"gemma3:270m","prompt":"x","stream":false}';

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, {
    HEAD_SECONDS: '1',
    BODY_SECONDS: '1',
    IDLE_SECONDS: '1',
    BODY_LIMIT_BYTES: '100000',
    MAX_CONNECTIONS: '400',
  });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const auth = (): string => `Host: x\r\nx-api-key: ${secret}\r\n`;
const works = async (): Promise<void> =>
  expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(200);

/** Writes one byte after the other until the connection is gone. */
function trickle(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] as string), 100);
  socket.once('close', () => clearInterval(timer));
}

describe('slow callers', () => {
  test('U1: two hundred heads sent a byte at a time each end with 408, and other callers are served meanwhile', async () => {
    const slow = Array.from({ length: 200 }, () => new RawClient(gate.port));
    for (const client of slow) {
      client.write('GET /api/version HTTP/1.1\r\nHost: x\r\nX: ');
      trickle(client.socket, 'y');
    }
    await works();
    await Promise.all(slow.map(({ closed }) => closed));
    for (const { text } of slow) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    await works();
  });

  test('U2: a hundred bodies sent a byte at a time each end with 408, and none is forwarded', async () => {
    const calls = fake.calls.length;
    const slow = Array.from({ length: 100 }, () => new RawClient(gate.port));
    for (const client of slow) {
      client.write(`POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: 5000\r\n\r\n{"model":"gemma3:270m",`);
      trickle(client.socket, ' ');
    }
    await works();
    await Promise.all(slow.map((client) => client.until(/^HTTP\/1\.1 408 /)));
    for (const { socket } of slow) socket.destroy();
    expect(fake.calls.length).toBe(calls + 1);
  });

  test('U4: connections that never send anything are closed', async () => {
    const silent = Array.from({ length: 50 }, () => new RawClient(gate.port));
    await works();
    await Promise.all(silent.map(({ closed }) => closed));
    for (const { text } of silent) expect(text).toMatch(/^(HTTP\/1\.1 408 .*)?/);
  });

  test('U5: idle connections are closed after their timeout, and new ones are served', async () => {
    const idle = Array.from({ length: 200 }, () => new RawClient(gate.port));
    for (const client of idle) client.write(`GET /api/version HTTP/1.1\r\n${auth()}\r\n`);
    await Promise.all(idle.map((client) => client.until(/200 OK/)));
    await works();
    await Promise.all(idle.map(({ closed }) => closed));
    await works();
  });
});

describe('callers who leave', () => {
  test.each([
    ['U7: that reset the connection in mid-stream', (socket: Socket) => socket.resetAndDestroy()],
    ['U8: that half-close the connection in mid-stream', (socket: Socket) => socket.end()],
  ])('%s stop the model and release their slot once', async (_, leave) => {
    const member = await gate.member({ concurrentRequests: 1 });
    fake.pace = onePieceUntilLeft;
    const arrival = fake.arrival();
    const client = new RawClient(gate.port);
    const text = '{"model":"gemma3:270m","prompt":"x"}';
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${member.secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    await client.until('"response"');
    const rows = (await gate.ledger(0)).length;
    leave(client.socket);
    await (await arrival).aborted;
    const { promise: refused, resolve: goOn } = Promise.withResolvers<void>();
    fake.pace = (index) => (index === 0 ? undefined : refused);
    const row = (await gate.ledger(rows + 1)).at(-1);
    expect(row).toMatchObject({ outcome: 'client_closed' });
    expect(row?.completionTokens).toBeGreaterThan(0);
    // The only slot is free again, and was released exactly once.
    const again = await Promise.all(
      [1, 2].map(async () => {
        const answer = await post(`${gate.url}/api/generate`, member.secret, JSON.parse(text));
        if (answer.status === 429) goOn();
        return answer;
      }),
    );
    expect(again.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 429]);
    for (const answer of again) await answer.text();
    fake.pace = undefined;
  });

  test('U10: that leave between head and first byte pay only for their prompt, and break nothing', async () => {
    const { promise: headed, resolve: hasHead } = Promise.withResolvers<FakeRequest>();
    fake.next((request, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      hasHead(request);
    });
    const rows = (await gate.ledger(0)).length;
    const client = new RawClient(gate.port);
    const text = '{"model":"gemma3:270m","prompt":"x"}';
    client.write(`POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: ${text.length}\r\n\r\n${text}`);
    const { aborted } = await headed;
    // The gate forwards nothing for a head alone. It has read what the model server sent after the head, and so the head
    // too.
    await works();
    client.socket.destroy();
    await aborted;
    const row = (await gate.ledger(rows + 2)).slice(rows).find(({ operation }) => operation === 'generate');
    expect(row).toMatchObject({ outcome: 'client_closed', completionTokens: 0 });
    expect(gate.log()).not.toContain('"internal"');
    await works();
  });
});

describe('lengths that are wrong', () => {
  test('U12: a body shorter than its length is waited for until the timeout, and not forwarded', async () => {
    const calls = fake.calls.length;
    const client = new RawClient(gate.port);
    client.write(`POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: ${body.length + 10}\r\n\r\n${body}`);
    await client.until(/^HTTP\/1\.1 408 /);
    client.socket.destroy();
    expect(fake.calls.length).toBe(calls);
  });

  test('U12: bytes after a body are a request of their own, and need a key of their own', async () => {
    const calls = fake.calls.length;
    const client = new RawClient(gate.port);
    const stolen = 'GET /api/ps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    client.write(`POST /api/generate HTTP/1.1\r\n${auth()}Content-Length: ${body.length}\r\n\r\n${body}${stolen}`);
    await client.closed;
    expect([...client.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code)).toEqual(['200', '401']);
    expect(fake.calls.length).toBe(calls + 1);
  });
});

test('U13: a hundred pipelined requests behind a slow one are answered in order, each with its own key and limits', async () => {
  const member = await gate.member({ requestsPerMinute: 30 });
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  fake.next(async (_, answer) => {
    await held;
    answer.whole(200, { 'Content-Type': 'application/json' }, '{"version":"slow"}');
  });
  const arrival = fake.arrival();
  const client = new RawClient(gate.port);
  const one = (key: string, more = ''): string =>
    `GET /api/version HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\n${more}\r\n`;
  client.write(
    one(member.secret) + Array.from({ length: 99 }, (_, at) => one(at % 2 === 0 ? member.secret : 'wrong')).join(''),
  );
  await arrival;
  expect(client.text).toBe('');
  release();
  await eventually(() => expect(client.text.match(/HTTP\/1\.1 \d+/g)).toHaveLength(100));
  client.socket.destroy();
  const codes = [...client.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code));
  expect(client.text.indexOf('slow')).toBeLessThan(client.text.indexOf('HTTP/1.1 401'));
  for (const [at, code] of codes.slice(1).entries()) {
    if (at % 2 === 1) expect(code, String(at)).toBe(401);
    else expect([200, 429], String(at)).toContain(code);
  }
});

describe('bodies that are not read', () => {
  test('U43: 100-continue from an unidentified caller is answered with 401, without asking for the gigabyte', async () => {
    const client = new RawClient(gate.port);
    client.write(
      'POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n',
    );
    await client.until(/^HTTP\/1\.1 401 /);
    expect(client.text).not.toContain('100 Continue');
    await client.closed;
  });

  test('U50: a megabyte of chunk extensions is not a body', async () => {
    const calls = fake.calls.length;
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/generate HTTP/1.1\r\n${auth()}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(1_000_000)}\r\n{`,
    );
    await client.closed;
    expect(client.text).toMatch(/^(HTTP\/1\.1 (413|400) .*)?/);
    expect(client.text).not.toContain('200 OK');
    expect(fake.calls.length).toBe(calls);
  });

  test('U50: fifty thousand chunks of one byte are one body, forwarded unchanged', async () => {
    const text = `{"model":"gemma3:270m","prompt":"${'x'.repeat(50_000)}","stream":false}`;
    const arrival = fake.arrival();
    const client = new RawClient(gate.port);
    client.write(`POST /api/generate HTTP/1.1\r\n${auth()}Transfer-Encoding: chunked\r\n\r\n`);
    client.write(`${Array.from(text, (byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`);
    expect((await (await arrival).body).toString()).toBe(text);
    await client.until('200 OK');
    client.socket.destroy();
  });
});

test('U46: a line without a version, an unknown version, and bytes of another protocol get an answer or a closed connection', async () => {
  for (const line of [
    'GET /api/version',
    'GET /api/version HTTP/3.0',
    'GET /api/version HTTP/1.7',
    '\u0005\u0001\u0000',
    'SSH-2.0-x',
    '*1\r\n$4\r\nPING',
  ]) {
    const socket = connect(gate.port, '127.0.0.1');
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
    socket.write(`${line}\r\n\r\n`);
    await once(socket, 'close');
    expect(text, line).toMatch(/^HTTP\/1\.1 (400|505) /);
  }
});

test('one address gets a bounded number of bytes a minute from public pages, and other addresses are not delayed', async () => {
  const read = async (path: string, localAddress: string): Promise<{ status: number; bytes: number; text: string }> => {
    const asked = httpRequest({ host: '127.0.0.1', port: gate.port, path, localAddress, agent: false });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece as Buffer);
    const all = Buffer.concat(pieces);
    return { status: response.statusCode as number, bytes: all.length, text: all.toString() };
  };
  const path = '/management/v1/openapi.json';
  const { bytes } = await read(path, '127.0.0.2');
  const most = Math.ceil((128 * 1024 * 1024) / bytes);
  let answered = 0;
  let refused: { status: number; text: string } | undefined;
  for (let sent = 0; sent < 2 * most && !refused; sent += 20) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => read(path, '127.0.0.2')));
    answered += answers.filter(({ status }) => status === 200).length;
    refused = answers.find(({ status }) => status !== 200);
  }
  expect(answered).toBeGreaterThan(most - 30);
  expect(answered).toBeLessThan(2 * most);
  expect(refused).toMatchObject({ status: 429 });
  expect(JSON.parse((refused as { text: string }).text)).toMatchObject({ code: 'too_many_requests' });
  expect(await read(path, '127.0.0.3')).toMatchObject({ status: 200, bytes });
});
