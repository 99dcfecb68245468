// A gate with room for twenty connections, and more that want one: an address that fills it with silent connections locks
// out only itself.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectSecurely } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, root, type TestGate } from '../gate.ts';

/** All other clients call from 127.0.0.1. */
const attacker = '127.0.0.2';
const room = 20;

const asset = /\/portal\/assets\/index-[^"]+\.js/.exec(readFileSync(join(root, 'portal/dist/index.html'), 'utf8'))?.[0];

let fake: FakeOllama;
const opened: Socket[] = [];
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
  fake.pace = undefined;
});
afterAll(() => fake.close());

describe.each([
  ['plain', {}],
  ['encrypted', { TLS: 'self-signed' }],
])('U6: a full gate, %s,', (mode, environment) => {
  let gate: TestGate;
  let head: string;
  beforeAll(async () => {
    gate = await openGate(fake.url, { MAX_CONNECTIONS: String(room), ...environment });
    head = `Host: localhost\r\nx-api-key: ${(await gate.key()).secret}\r\n`;
  });
  afterAll(() => gate.stop());

  /** Resolves when the connection may send, or is closed. */
  const open = async (localAddress = '127.0.0.1', { silent = false } = {}): Promise<Socket> => {
    const address = { port: gate.port, host: '127.0.0.1', localAddress };
    const secure = mode === 'encrypted' && !silent;
    const socket = secure ? connectSecurely({ ...address, rejectUnauthorized: false }) : connect(address);
    opened.push(socket.on('error', () => undefined));
    await Promise.race([once(socket, secure ? 'secureConnect' : 'connect'), once(socket, 'close')]);
    return socket;
  };
  const ask = async (socket: Socket, request = 'GET /api/version'): Promise<string> => {
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.write(`${request} HTTP/1.1\r\n${head}\r\n`);
    return await eventually(() => {
      if (!socket.destroyed && !text.includes('\r\n\r\n')) throw new Error('no answer yet');
      return text.slice(0, 15);
    });
  };
  const alive = (sockets: readonly Socket[]): number => sockets.filter(({ destroyed }) => !destroyed).length;
  const fill = async (silent: boolean): Promise<Socket[]> =>
    await Promise.all(Array.from({ length: 3 * room }, () => open(attacker, { silent })));

  test.each([
    ['that send nothing', true],
    ['that finish their handshake and then send nothing', false],
  ])(
    'keeps connections that have made a call, and has room for others, among many connections %s',
    async (_, silent) => {
      const kept = await open();
      expect(await ask(kept)).toBe('HTTP/1.1 200 OK');
      const crowd = await fill(silent);
      await eventually(() => expect(alive(crowd)).toBeLessThan(room));
      expect(alive(crowd)).toBeGreaterThan(room - 5);
      for (let i = 0; i < 5; i++) expect(await ask(await open())).toBe('HTTP/1.1 200 OK');
      expect(await ask(kept)).toBe('HTTP/1.1 200 OK');
    },
  );

  test('has room for others, however many clients request pages and read nothing', async () => {
    const kept = await open();
    expect(await ask(kept)).toBe('HTTP/1.1 200 OK');
    const crowd = await Promise.all(Array.from({ length: room - 1 }, () => open(attacker)));
    // More than any system buffers for a reader that does not read.
    for (const socket of crowd) socket.pause().write(`GET ${asset} HTTP/1.1\r\n${head}\r\n`.repeat(90));
    for (let i = 0; i < 5; i++) expect(await ask(await open())).toBe('HTTP/1.1 200 OK');
    expect(await ask(kept)).toBe('HTTP/1.1 200 OK');
  });

  test('evicts the idle connection with the oldest call first, and still serves others', async () => {
    const members = await Promise.all(Array.from({ length: room }, () => open(attacker)));
    for (const member of members) expect(await ask(member)).toBe('HTTP/1.1 200 OK');
    const another = await open();
    expect(await ask(another)).toBe('HTTP/1.1 200 OK');
    await eventually(() => expect(alive(members)).toBe(room - 1));
  });

  test('evicts no connection that is being answered, and serves new ones when there is room', async () => {
    const { promise: refused, resolve: goOn } = Promise.withResolvers<void>();
    fake.pace = (index) => (index === 0 ? undefined : refused);
    const text = '{"model":"gemma3:270m","prompt":"x"}';
    const busy = await Promise.all(
      Array.from({ length: room }, async () => {
        const socket = await open();
        let heard = '';
        socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
        socket.write(`POST /api/generate HTTP/1.1\r\n${head}Content-Length: ${text.length}\r\n\r\n${text}`);
        await eventually(() => {
          if (!heard.includes('"response"')) throw new Error('not yet');
        });
        return { socket, heard: () => heard };
      }),
    );
    const crowd = await fill(true);
    await eventually(() => expect(alive(crowd)).toBe(0));
    goOn();
    for (const { heard } of busy) await eventually(() => expect(heard()).toContain('"done":true'));
    expect(await ask(await open())).toBe('HTTP/1.1 200 OK');
  });

  test('has all its room again when every client has gone', async () => {
    await fill(false);
    for (const socket of opened.splice(0)) socket.destroy();
    for (let i = 0; i < 2 * room; i++) {
      const socket = await open();
      expect(await ask(socket)).toBe('HTTP/1.1 200 OK');
      socket.destroy();
    }
    const all = await Promise.all(Array.from({ length: room }, () => open()));
    for (const socket of all) expect(await ask(socket)).toBe('HTTP/1.1 200 OK');
    expect(alive(all)).toBe(room);
  });
});
