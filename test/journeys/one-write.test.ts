import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createListener, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { joinWrites } from '../../src/one-write.ts';

let server: Server | undefined;
afterEach(() => server?.close());

async function sentBy(opened: Server): Promise<Buffer> {
  server = opened.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  return buffer(socket);
}

/** What a connection gets that is written to while it is corked, and how often the system was asked to send something. */
async function corked(pieces: (socket: Socket) => void): Promise<{ bytes: Buffer; lists: number; texts: number }> {
  const asked = { lists: 0, texts: 0 };
  const opened = createListener((socket) => {
    const { _handle: handle } = joinWrites(socket) as unknown as {
      _handle: Record<string, (...args: unknown[]) => unknown>;
    };
    for (const [name, kind] of [
      ['writev', 'lists'],
      ['writeLatin1String', 'texts'],
    ] as const) {
      const call = handle[name]!.bind(handle);
      handle[name] = (...args) => {
        asked[kind]++;
        return call(...args);
      };
    }
    socket.cork();
    pieces(socket);
    socket.uncork();
    socket.end();
  });
  return { bytes: await sentBy(opened), ...asked };
}

const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

test('a head and a body are one text for the system, with every byte as it was', async () => {
  const { bytes, lists, texts } = await corked((socket) => {
    socket.write('h\u00e9ad\r\n\r\n', 'latin1');
    socket.write(every);
  });
  expect(bytes).toEqual(Buffer.concat([Buffer.from('h\u00e9ad\r\n\r\n', 'latin1'), every]));
  expect({ lists, texts }).toEqual({ lists: 0, texts: 1 });
});

test('a large body and a text in UTF-8 stay pieces', async () => {
  const large = Buffer.alloc(100_000, every);
  const first = await corked((socket) => {
    socket.write('head', 'latin1');
    socket.write(large);
  });
  expect(first.bytes).toEqual(Buffer.concat([Buffer.from('head'), large]));
  expect(first).toMatchObject({ lists: 1, texts: 0 });
  const second = await corked((socket) => {
    socket.write('\u3042', 'utf8');
    socket.write(every);
  });
  expect(second.bytes).toEqual(Buffer.concat([Buffer.from('\u3042'), every]));
  expect(second).toMatchObject({ lists: 1, texts: 0 });
});

async function answer(response: ServerResponse): Promise<void> {
  response.sendDate = false;
  response.writeHead(200, ['content-type', 'text/plain']);
  for (const piece of [every, Buffer.alloc(20_000, 'x'), every]) {
    response.write(piece);
    await turn();
  }
  response.end('\u3042');
}

test('Node’s server sends the same bytes with and without it', async () => {
  const answers: Buffer[] = [];
  for (const join of [false, true]) {
    const opened = createServer((_, response) => void answer(response));
    if (join) opened.on('connection', (socket: Socket) => void joinWrites(socket));
    answers.push(await sentBy(opened));
  }
  expect(answers[1]).toEqual(answers[0]);
});
