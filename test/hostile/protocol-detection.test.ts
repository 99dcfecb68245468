// The port of a gate that encrypts, and connections that stay there or send half a message.
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, RawClient, root, spawnGate } from '../gate.ts';

let fake: FakeOllama;
const gates: GateProcess[] = [];
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterEach(async () => {
  for (const gate of gates.splice(0)) {
    gate.process.kill('SIGKILL');
    await gate.ended;
  }
});
afterAll(() => fake.close());

/** A gate in its own process: what blocks it does not block the test. */
async function open(environment: Record<string, string>): Promise<{ gate: GateProcess; port: number }> {
  const gate = await spawnGate({ UPSTREAM: fake.url, ...environment });
  gates.push(gate);
  return { gate, port: Number(new URL(gate.url).port) };
}

/** The gate looks for an authority that does not exist; the port for plain HTTP is taken, so nobody gets it. */
const lookingForCertificate = (): Record<string, string> => ({
  ACME_DOMAINS: 'gate.example',
  ACME_DIRECTORY: 'https://127.0.0.1:9/directory',
  HTTP_PORT: new URL(fake.url).port,
});

const memoryOf = ({ process: { pid } }: GateProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Connections that send so many requests at once and read none of the answers. */
async function unread(port: number, path: string, connections: number, requests: number): Promise<Socket[]> {
  const sockets = Array.from({ length: connections }, () => connectPlain(port, '127.0.0.1'));
  await Promise.all(
    sockets.map(async (socket) => {
      socket.on('error', () => undefined).write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(requests));
      await once(socket, 'readable');
    }),
  );
  return sockets;
}

/** The status of an answer over TLS. */
async function askEncrypted(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'gate.example', rejectUnauthorized: false });
  let said = '';
  socket.on('data', (piece: Buffer) => (said += piece.toString('latin1')));
  socket.write('GET /healthz HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n\r\n');
  await once(socket, 'close');
  return said.split('\r\n', 1)[0] ?? '';
}

describe('a gate that obtains its certificate by itself', () => {
  test('is not blocked by handshakes that stop after their first bytes', async () => {
    const { port } = await open(lookingForCertificate());
    const begun = ['\x16', '\x16\x03\x01', '\x16\x03\x01\x40\x00', '\x16\x03\x01\x02\x00\x01'].map((text) => {
      const client = new RawClient(port);
      client.write(Buffer.from(text, 'latin1'));
      return client;
    });
    await Promise.all(begun.map(({ socket }) => once(socket, 'connect')));
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect(await askEncrypted(port)).toBe('HTTP/1.1 200 OK');
    // Nothing waited for their end.
    expect(begun.map(({ socket }) => socket.destroyed)).toEqual(begun.map(() => false));
    for (const { socket } of begun) socket.destroy();
  });

  test('understands a handshake that arrives a byte at a time', async () => {
    const { port } = await open(lookingForCertificate());
    const slicer = createServer((client) => {
      const gate = connectPlain(port, '127.0.0.1').setNoDelay(true);
      client.on('error', () => gate.destroy()).on('close', () => gate.destroy());
      gate.on('error', () => client.destroy()).pipe(client);
      client.on('data', (bytes: Buffer) => {
        for (const byte of bytes) gate.write(Uint8Array.of(byte));
      });
    }).listen(0, '127.0.0.1');
    await once(slicer, 'listening');
    expect(await askEncrypted((slicer.address() as AddressInfo).port)).toBe('HTTP/1.1 200 OK');
    slicer.close();
  });
});

describe('many requests in one packet', () => {
  test('are answered one after the other: a large answer is not made ninety times for a caller that does not read', async () => {
    const { gate, port } = await open({});
    await fetch(`${gate.url}/management/v1/`).then((answer) => answer.text());
    const before = memoryOf(gate);
    const sockets = await unread(port, '/management/v1/', 20, 90);
    await fetch(`${gate.url}/healthz`).then((answer) => answer.text());
    const grown = memoryOf(gate) - before;
    for (const socket of sockets) socket.destroy();
    expect(grown).toBeLessThan(200);
  });

  test('end the connection when there are more than any honest client sends', async () => {
    const { gate, port } = await open({});
    const client = new RawClient(port);
    client.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000));
    await client.closed;
    expect(client.text.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeLessThan(102);
    expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  });
});

/** Files of the pages that the process has open. */
const openPages = ({ process: { pid } }: GateProcess): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).includes('/portal/dist/');
    } catch {
      return false;
    }
  }).length;

test('no file stays open for callers that request a page and do not read it', async () => {
  const { gate, port } = await open({});
  const assets = readdirSync(join(root, 'portal/dist/assets'));
  const sizes = new Map(assets.map((name) => [name, statSync(join(root, 'portal/dist/assets', name)).size]));
  const [largest] = assets.toSorted((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0));
  const sockets = await unread(port, `/portal/assets/${largest}`, 20, 90);
  expect(openPages(gate)).toBe(0);
  for (const socket of sockets) socket.destroy();
});

/** A connection that does not end when its other side does. */
async function staying(port: number, text: string): Promise<Socket> {
  const socket = connectPlain({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

const tunnel = 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n';

test('resets after a CONNECT do no harm', async () => {
  const { gate, port } = await open({});
  for (let round = 0; round < 20; round++) {
    const socket = await staying(port, tunnel);
    await once(socket, 'end');
    socket.write('x'.repeat(round * 1_000));
    socket.resetAndDestroy();
  }
  expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  expect(gate.output()).not.toContain('internal error');
});

test.each([
  ['a tunnel', tunnel],
  ['nothing', ''],
  ['half a head', 'GET / HTTP/1.1\r\nHost:'],
  ['nonsense', 'x\r\n\r\n'],
])('a client that asks for %s and ignores the close is cut off, and frees its connection', async (_what, text) => {
  const { gate, port } = await open({ MAX_CONNECTIONS: '10', HEAD_SECONDS: '1' });
  const stayed = await Promise.all(Array.from({ length: 10 }, () => staying(port, text)));
  await Promise.all(stayed.map(async (socket) => socket.readableEnded || (await once(socket, 'end'))));
  await eventually(async () => expect((await fetch(`${gate.url}/healthz`)).status).toBe(200));
  for (const socket of stayed) socket.destroy();
});

test('a client that sends an ACME challenge request and stays is cut off and frees its connection', async () => {
  const { gate, port } = await open({ ...lookingForCertificate(), MAX_CONNECTIONS: '10' });
  await gate.manage((store) =>
    store.saveChallenge({ token: 'x'.repeat(20), domain: 'gate.example', answer: 'x', expiresAt: Date.now() + 60_000 }),
  );
  const stayed = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const socket = connectPlain({ port, host: '127.0.0.1', allowHalfOpen: true });
      const asking = connect({
        socket,
        servername: 'gate.example',
        ALPNProtocols: ['acme-tls/1'],
        rejectUnauthorized: false,
      });
      asking.on('error', () => undefined);
      await once(asking, 'secureConnect');
      expect(asking.alpnProtocol).toBe('acme-tls/1');
      return socket;
    }),
  );
  await eventually(async () => expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200));
  for (const socket of stayed) socket.destroy();
});
