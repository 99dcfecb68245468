import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, spawnGate } from '../gate.ts';

test('pipelined bodies that were answered leave memory while their connection stays open', async () => {
  const fake = await startFakeOllama();
  const own = await spawnGate({ UPSTREAM: fake.url, BODY_MEMORY_BYTES: '8000000' });
  const { secret } = await own.member({});
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${own.process.pid}/status`, 'utf8'))![1]) / 1024;
  const client = new RawClient(Number(new URL(own.url).port));
  const text = JSON.stringify({ model: 'gemma3:270m', prompt: 'x', stream: false, pad: ' '.repeat(1_000_000) });
  const bytes = Buffer.from(
    `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  let before = 0;
  for (let round = 1; round <= 260; round++) {
    client.write(Buffer.concat([bytes, bytes]));
    await eventually(() => expect(client.text.match(/HTTP\/1\.1 200/g) ?? []).toHaveLength(2 * round));
    fake.requests.length = 0;
    if (round === 60) before = rss();
  }
  // What is left to collect is collected while it answers small requests.
  await eventually(async () => {
    for (let i = 0; i < 100; i++) await (await fetch(`${own.url}/healthz`)).text();
    expect(rss() - before).toBeLessThan(100);
  });
  client.socket.destroy();
  own.process.kill('SIGTERM');
  await own.ended;
  await fake.close();
});

test('a body sent a byte at a time takes no more memory than one sent at once', async () => {
  const fake = await startFakeOllama();
  const own = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await own.member({});
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${own.process.pid}/status`, 'utf8'))![1]) / 1024;
  const client = new RawClient(Number(new URL(own.url).port));
  const chunks = Array.from('{"model":"gemma3:270m","prompt":"x","stream":false', (byte) => `1\r\n${byte}\r\n`).join(
    '',
  );
  const before = rss();
  client.write(`POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  client.write(chunks);
  client.write('1\r\n \r\n'.repeat(2_000_000));
  client.write('1\r\n}\r\n0\r\n\r\n');
  await eventually(() => expect(client.text).toMatch(/^HTTP\/1\.1 200/));
  const grown = rss() - before;
  client.socket.destroy();
  own.process.kill('SIGTERM');
  await own.ended;
  await fake.close();
  expect(grown).toBeLessThan(250);
});

// The refusal repeated the name, escaped to six times its bytes, and stayed until it was read.
test('a name of sixty megabytes, sent by eight callers that read no answer, takes no memory beyond its bytes', async () => {
  const fake = await startFakeOllama();
  // One address may hold three quarters of the body memory.
  const own = await spawnGate({ UPSTREAM: fake.url, BODY_MEMORY_BYTES: '700000000' });
  const { secret } = await own.key();
  const peak = (): number =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${own.process.pid}/status`, 'utf8'))![1]) / 1024;
  const before = peak();
  const name = Buffer.alloc(60_000_000, '\x01');
  const head = '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n';
  const clients = Array.from({ length: 8 }, () => new RawClient(Number(new URL(own.url).port)));
  for (const client of clients) {
    client.socket.pause();
    client.write(
      `POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${head.length + name.length + 9}\r\n\r\n${head}`,
    );
    client.write(name);
    client.write('\r\n--b--\r\n');
  }
  const refused = { outcome: 'refused', code: 'invalid_request', model: null };
  expect(await own.ledger(8)).toMatchObject(Array.from({ length: 8 }, () => refused));
  const grown = peak() - before;
  for (const { socket } of clients) socket.destroy();
  own.process.kill('SIGTERM');
  await own.ended;
  await fake.close();
  // The bodies are 480 MB; some of them exist twice while their pieces are joined.
  expect(grown).toBeLessThan(1_100);
});

test('a refusal that its caller does not read is cut like any other answer', async () => {
  const gate = await openGate('http://127.0.0.1:9', { READER_STALL_SECONDS: '0.5' });
  const client = new RawClient(gate.port);
  client.socket.pause();
  const request = `GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Pad: ${'x'.repeat(900)}\r\n\r\n`.repeat(1_000);
  // More and more, until the gate reads none of it because its earlier answers have not been read.
  const pump = setInterval(() => client.socket.writableLength < 1_000_000 && client.write(request), 5);
  await client.closed;
  clearInterval(pump);
  await gate.stop();
});

// Each chunk is an object of its own: sixteen million of them took two gigabytes.
test('a model list sent a byte at a time takes no more memory than one sent at once', async () => {
  const blank = Buffer.from('1\r\n \r\n'.repeat(10_000));
  let hostile = false;
  const answer = async (socket: Socket, isList: boolean): Promise<void> => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n');
    if (isList)
      for (let left = 400; left > 0 && !socket.destroyed; left--)
        if (!socket.write(blank)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    socket.write('d\r\n{"models":[]}\r\n0\r\n\r\n');
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      // It may have been left in the middle.
      if (data.includes('\r\n\r\n')) answer(socket, hostile && data.includes('/api/tags')).catch(() => undefined);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = await spawnGate({
    UPSTREAM: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    PROBE_SECONDS: '3600',
  });
  const { secret } = await own.key({ models: ['gemma3:*'] });
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${own.process.pid}/status`, 'utf8'))![1]) / 1024;
  const before = rss();
  hostile = true;
  const list = await (await fetch(`${own.url}/api/tags`, { headers: { 'x-api-key': secret } })).json();
  const grown = rss() - before;
  own.process.kill('SIGTERM');
  await own.ended;
  server.close();
  expect(list).toEqual({ models: [] });
  expect(grown).toBeLessThan(250);
});

test('a body that waits for its turn is held once, either as it came or as the plan changed it', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const fake = await startFakeOllama();
  const gate = await openGate(fake.url, { SLOTS: '1' });
  const { secret } = await gate.member({ maxOutputTokens: 100 });
  fake.next(async (request) => await request.aborted);
  const text = (words: string): string => `{"model":"gemma3:270m","messages":[{"role":"user","content":"${words}"}]}`;
  const ask = (body: string | Buffer): RawClient => {
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    client.write(body);
    return client;
  };
  const arrived = fake.arrival();
  const clients = [ask(text('x'))];
  await arrived;
  const body = Buffer.from(text('x'.repeat(20_000_000)));
  collect();
  const before = process.memoryUsage().arrayBuffers;
  for (let waiting = 1; waiting <= 4; waiting++) {
    clients.push(ask(body));
    await eventually(() => expect(gate.waiting()).toBe(waiting));
  }
  // V8 gives back the memory of collected buffers in a thread of its own, some time after the collection.
  await eventually(() => {
    collect();
    expect((process.memoryUsage().arrayBuffers - before) / body.length).toBeLessThan(5);
  });
  for (const { socket } of clients) socket.destroy();
  await gate.stop();
  await fake.close();
});
