import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, RawClient, spawnGate } from '../gate.ts';

test('bodies that were pipelined and answered do not stay in memory while their connection lives', async () => {
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
  const grown = rss() - before;
  client.socket.destroy();
  own.process.kill('SIGTERM');
  await own.ended;
  await fake.close();
  expect(grown).toBeLessThan(100);
}, 60_000);

test('a body that comes a byte at a time takes no more room than one that comes at once', async () => {
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
  await eventually(() => expect(client.text).toMatch(/^HTTP\/1\.1 200/), 50_000);
  const grown = rss() - before;
  client.socket.destroy();
  own.process.kill('SIGTERM');
  await own.ended;
  await fake.close();
  expect(grown).toBeLessThan(250);
}, 60_000);
