// Bodies in a Content-Encoding are decoded within limits and forwarded plain, or refused.
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate } from '../gate.ts';

const limit = 3_000_000;
const memory = 50_000_000;

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
let calls: number;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { BODY_LIMIT_BYTES: String(limit), BODY_MEMORY_BYTES: String(memory) });
  ({ secret } = await gate.key({ models: ['gemma3:*'] }));
});
beforeEach(() => {
  calls = fake.calls.length;
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const body = '{"model":"gemma3:270m","prompt":"x","stream":false}';
const pack: Record<string, (text: string | Buffer) => Buffer> = {
  gzip: gzipSync,
  'x-gzip': gzipSync,
  GZIP: gzipSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
};
const codings = ['gzip', 'deflate', 'zstd'];
const send = (coding: string, content: Buffer, path = '/api/generate'): Promise<Response> =>
  fetch(gate.url + path, {
    method: 'POST',
    headers: { 'x-api-key': secret, 'content-encoding': coding },
    body: Uint8Array.from(content),
  });
const codeOf = async (answer: Response): Promise<string> =>
  `${answer.status} ${answer.headers.get('x-sekisho-error-code')}`;

test.each(Object.keys(pack))(
  'a body in %s is forwarded plain, with its own length and without the coding',
  async (coding) => {
    const seen = fake.arrival();
    const answer = await send(coding, pack[coding]!(body));
    expect([answer.status, ((await answer.json()) as { done: boolean }).done]).toEqual([200, true]);
    const { headers, body: arrived } = await seen;
    expect((await arrived).toString()).toBe(body);
    expect(headers['content-length']).toBe(String(body.length));
    expect(headers['content-encoding']).toBeUndefined();
  },
);

test.each(codings)('the policy holds for a body in %s as for a plain one', async (coding) => {
  const answer = await send(coding, pack[coding]!(body.replace('gemma3:270m', 'llama3')));
  expect(answer.status).toBe(404);
  expect(await codeOf(await send(coding, pack[coding]!('{"model":"gemma3:270m","Model":"llama3"}')))).toBe(
    '400 ambiguous_json',
  );
  expect(fake.calls.length).toBe(calls);
});

describe.each(codings)('a body in %s', (coding) => {
  const whole = pack[coding]!(body);
  test.each<[string, Buffer]>([
    ['that is cut', whole.subarray(0, -3)],
    ['that is nothing', Buffer.alloc(0)],
    ['that is in no such coding', Buffer.from(body)],
    ['with something after it', Buffer.concat([whole, Buffer.from(body)])],
    ['with zeros after it', Buffer.concat([whole, Buffer.alloc(8)])],
    ['that is followed by another', Buffer.concat([whole, pack[coding]!(body)])],
  ])('%s is refused', async (_, content) => {
    expect(await codeOf(await send(coding, content))).toMatch(/^400 (invalid_request|ambiguous_json)$/);
    expect(fake.calls.length).toBe(calls);
  });

  test('followed by another in a chunk of its own is refused', async () => {
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Encoding: ${coding}\r\nContent-Length: ${2 * whole.length}\r\n\r\n`,
    );
    for (let at = 0; at < 2; at++) {
      client.write(whole);
      // The gate has read the first part when it answers another caller.
      await (await fetch(`${gate.url}/healthz`)).text();
    }
    await client.until(/^HTTP\/1\.1 400 /);
    client.socket.destroy();
    expect(fake.calls.length).toBe(calls);
  });

  test('sent a byte at a time is read', async () => {
    const client = new RawClient(gate.port);
    client.socket.setNoDelay(true);
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Encoding: ${coding}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    for (const byte of whole) client.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]));
    client.write('0\r\n\r\n');
    await client.until(/^HTTP\/1\.1 200 [^]*"done":true/);
    client.socket.destroy();
  });

  test('that decodes beyond the limit, or to a hundred times its length, is refused while it is decoded', async () => {
    const beyond = pack[coding]!(Buffer.from(`${body.slice(0, -1)},"x":"${'abcdefgh'.repeat(500_000)}"}`));
    const blank = pack[coding]!(Buffer.concat([Buffer.from(body), Buffer.alloc(2_000_000, ' ')]));
    for (const content of [beyond, blank]) expect(await codeOf(await send(coding, content))).toBe('413 body_too_large');
    expect(fake.calls.length).toBe(calls);
  });

  test('that decodes to much but within both limits is forwarded', async () => {
    const content = Buffer.concat([Buffer.from(body), Buffer.alloc(900_000, ' ')]);
    const seen = fake.arrival();
    expect((await send(coding, pack[coding]!(content))).status).toBe(200);
    expect((await (await seen).body).equals(content)).toBe(true);
  });

  test('gives its memory back, whether it was read, refused or broken off', async () => {
    for (let round = 0; round < 10; round++) {
      const cut = new RawClient(gate.port);
      cut.write(
        `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Encoding: ${coding}\r\nContent-Length: 100\r\n\r\n`,
      );
      cut.write(whole.subarray(0, 10));
      const refused = await send(coding, whole.subarray(0, -3));
      expect(refused.status).toBe(400);
      cut.socket.destroy();
    }
    await eventually(async () => expect((await send(coding, whole)).status).toBe(200));
    const plain = JSON.stringify({ ...(JSON.parse(body) as object), pad: ' '.repeat(2_900_000) });
    const answers = await Promise.all(Array.from({ length: 12 }, () => send('identity', Buffer.from(plain))));
    expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
    await Promise.all(answers.map((answer) => answer.text()));
  });
});

test('zstd with a window beyond eight megabytes is refused, and so is deflate without its head', async () => {
  // A frame whose head asks for a window of two gigabytes (RFC 8878, section 3.1.1.1.2), and an empty last block.
  const wide = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00]);
  expect(await codeOf(await send('zstd', wide))).toBe('400 invalid_request');
  expect(await codeOf(await send('deflate', deflateRawSync(body)))).toBe('400 invalid_request');
});

test('a form in gzip is read and forwarded plain', async () => {
  const { secret: key } = await gate.key({ models: ['gemma3:*'], scopes: ['inference:audio'] });
  const form =
    '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngemma3:270m\r\n' +
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n';
  const seen = fake.arrival();
  const answer = await fetch(`${gate.url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-encoding': 'gzip', 'content-type': 'multipart/form-data; boundary=b' },
    body: Uint8Array.from(gzipSync(form)),
  });
  expect(answer.status).toBe(200);
  expect((await (await seen).body).toString()).toContain('RIFF');
});

test('a blob in a coding is refused, because its digest is that of its bytes', async () => {
  const { secret: key } = await gate.key({ scopes: ['models:create'] });
  const answer = await fetch(`${gate.url}/api/blobs/sha256:${'0'.repeat(64)}`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-encoding': 'gzip' },
    body: Uint8Array.from(gzipSync('x')),
  });
  expect([answer.status, answer.headers.get('accept-encoding')]).toEqual([415, 'identity']);
});

test.each<[string, readonly string[]]>([
  ['two accounts', ['192.0.2.1', '192.0.2.2']],
  ['all accounts of one address', Array.from({ length: 5 }, () => '192.0.2.1')],
])('endless bodies of %s leave room for others', async (_, addresses) => {
  const own = await openGate(fake.url, { BODY_MEMORY_BYTES: '90000000', TRUSTED_PROXIES: '127.0.0.1' });
  const slow = (key: string, address: string): RawClient => {
    const client = new RawClient(own.port);
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\nX-Forwarded-For: ${address}\r\nContent-Encoding: zstd\r\nContent-Length: 100\r\n\r\n`,
    );
    return client;
  };
  const clients: RawClient[] = [];
  const fill = async (address: string): Promise<void> => {
    const { secret: key } = await own.member({ concurrentRequests: null });
    const more = Array.from({ length: 12 }, () => slow(key, address));
    // Bodies beyond the share are told so; those within it wait for their data.
    await more.at(-1)?.until('bodies_too_many');
    clients.push(...more);
  };
  const works = async (address: string): Promise<number> => {
    const { secret: key } = await own.member({});
    const answer = await fetch(`${own.url}/api/generate`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-encoding': 'zstd', 'x-forwarded-for': address },
      body: Uint8Array.from(zstdCompressSync(body)),
    });
    return answer.status;
  };
  for (const address of addresses) await fill(address);
  expect(await works('192.0.2.3')).toBe(200);
  for (const { socket } of clients) socket.destroy();
  await eventually(async () => expect(await works('192.0.2.1')).toBe(200));
  await own.stop();
});
