// Identification: every place where a key may stand, every way in which it can be wrong, and that no cost is incurred before
// it is right.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, inTime, openGate, post, RawClient, sekisho, type TestGate, withinASecond } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
const staticKey = 'a-static-key-of-the-operator';
const article =
  /^\{"error":"Invalid API key","code":"invalid_api_key","request_id":"req_[0-9A-Za-z]{20}","status":"Invalid API key"\}$/;

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { API_KEYS: `${staticKey},sha256:${'ab'.repeat(32)}` });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const get = (headers: Record<string, string>, path = '/api/version') => fetch(gate.url + path, { headers });

describe('a valid key is accepted in every supported place', () => {
  test.each([
    ['x-api-key', () => ({ 'x-api-key': secret })],
    ['Bearer', () => ({ authorization: `Bearer ${secret}` })],
    ['bearer in lower case', () => ({ authorization: `bearer ${secret}` })],
    ['Basic', () => ({ authorization: `Basic ${btoa(`me:${secret}`)}` })],
    ['both headers, saying the same', () => ({ authorization: `Bearer ${secret}`, 'x-api-key': secret })],
    [
      'x-api-key beside the placeholder of `ollama launch`',
      () => ({ authorization: 'Bearer ollama', 'x-api-key': secret }),
    ],
    ['a static key', () => ({ 'x-api-key': staticKey })],
    ['api-key, as Azure’s clients send it', () => ({ 'api-key': secret })],
    ['Token', () => ({ authorization: `Token ${secret}` })],
    ['two spaces', () => ({ authorization: `Bearer  ${secret}` })],
    ['no scheme', () => ({ authorization: secret })],
    ['an empty x-api-key beside a Bearer', () => ({ authorization: `Bearer ${secret}`, 'x-api-key': '' })],
    ['an empty Bearer beside x-api-key', () => ({ authorization: 'Bearer ', 'x-api-key': secret })],
    [
      'a Basic without a password beside x-api-key',
      () => ({ authorization: `Basic ${btoa('me:')}`, 'x-api-key': secret }),
    ],
    ['a word beside x-api-key', () => ({ authorization: 'Bearer EMPTY', 'x-api-key': secret })],
    ['a word beside a Bearer', () => ({ authorization: `Bearer ${secret}`, 'x-api-key': 'sk-no-key' })],
    ['a word beside api-key', () => ({ 'api-key': secret, 'x-api-key': 'ollama', authorization: 'Bearer lm-studio' })],
    ['a word beside a static key', () => ({ 'x-api-key': staticKey, authorization: 'Bearer EMPTY' })],
  ] as [string, () => Record<string, string>][])('%s', async (_, headers) => {
    expect((await get(headers())).status).toBe(200);
  });
});

describe('U25, U26, U29, A1: a wrong key gets 401 in the words of the article, and the model server hears nothing', () => {
  const names = [
    ...Object.getOwnPropertyNames(Object.prototype),
    '',
    ' ',
    'x',
    'null',
    'undefined',
    "' OR '1'='1",
    'sekisho_',
    'ab'.repeat(32),
    `sha256:${'ab'.repeat(32)}`,
    'A'.repeat(10_000),
    'é',
  ];
  test.each(names)('%j', async (name) => {
    const calls = fake.calls.length;
    const value = Buffer.from(name).toString('latin1');
    for (const headers of [
      { 'x-api-key': value },
      { authorization: `Bearer ${value}` },
      { authorization: `Basic ${Buffer.from(`u:${name}`).toString('base64')}` },
      { authorization: value },
    ]) {
      const response = await get(headers);
      expect(response.status).toBe(401);
      expect(await response.text()).toMatch(article);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
    expect(fake.calls.length).toBe(calls);
  });
  test.each([
    ['none at all', {}],
    ['digest', { authorization: 'Digest username="x"' }],
    ['two spaces', { authorization: 'Bearer  x' }],
    ['two words that are no keys', { authorization: 'Bearer EMPTY', 'x-api-key': 'ollama' }],
    ['only empty places', { authorization: 'Bearer', 'x-api-key': '', 'api-key': ' ' }],
    ['a cookie', { cookie: 'session=x' }],
    ['only the placeholder', { authorization: 'Bearer ollama' }],
  ] as [string, Record<string, string>][])('%s', async (_, headers) => {
    const response = await get(headers);
    expect([response.status, response.headers.get('x-should-retry')]).toEqual([401, 'false']);
  });
  test('with one character changed, in another case, or with white space inside', async () => {
    const flipped = secret.slice(0, 30) + (secret[30] === 'a' ? 'b' : 'a') + secret.slice(31);
    for (const wrong of [
      flipped,
      secret.toUpperCase(),
      `${secret.slice(0, 20)} ${secret.slice(20)}`,
      secret + secret,
      secret.slice(0, -1),
    ]) {
      expect((await get({ 'x-api-key': wrong })).status).toBe(401);
    }
  });
  test('U43: the body of an unidentified caller is not read', async () => {
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: wrong\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n`,
    );
    const text = await client.until(/invalid_api_key/);
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expect(text).not.toContain('100 Continue');
    client.socket.destroy();
  });
  test('an identified caller that waits for 100 Continue gets it', async () => {
    const client = new RawClient(gate.port);
    const body = '{"model":"gemma3:270m","prompt":"x","stream":false}';
    client.write(
      `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await client.until('100 Continue');
    client.write(body);
    await client.until('"done":true');
    client.socket.destroy();
  });
});

describe('U27: contradicting credentials are refused', () => {
  test.each([
    ['two headers, two keys', (other: string) => `x-api-key: ${secret}\r\nAuthorization: Bearer ${other}\r\n`],
    ['api-key and x-api-key', (other: string) => `api-key: ${other}\r\nx-api-key: ${secret}\r\n`],
    [
      'a key with one character changed',
      () => `x-api-key: ${secret}\r\nAuthorization: Bearer ${secret.slice(0, -1)}\r\n`,
    ],
    ['api-key twice', () => `api-key: ${secret}\r\nApi-Key: ${secret}\r\n`],
    ['one header twice', () => `x-api-key: ${secret}\r\nX-API-Key: ${secret}\r\n`],
    ['Authorization twice', (other: string) => `Authorization: Bearer ${secret}\r\nAuthorization: Bearer ${other}\r\n`],
  ])('%s', async (_, lines) => {
    const client = new RawClient(gate.port);
    client.write(`GET /api/version HTTP/1.1\r\nHost: x\r\n${lines(staticKey)}Connection: close\r\n\r\n`);
    await client.closed;
    expect(client.text).toMatch(/^HTTP\/1\.1 400 [\s\S]*conflicting_credentials/);
  });
});

describe('U28: a key in a URL', () => {
  test('is accepted in the path only for keys made with that permission', async () => {
    expect((await get({}, `/k/${secret}/api/version`)).status).toBe(403);
    const { secret: pathKey } = await gate.key({ allowPath: true });
    expect((await get({}, `/k/${pathKey}/api/version`)).status).toBe(200);
    expect((await get({ authorization: 'Bearer ollama' }, `/k/${pathKey}/v1/models`)).status).toBe(200);
    expect((await get({ 'x-api-key': staticKey }, `/k/${pathKey}/api/version`)).status).toBe(400);
    expect((await get({}, `/k/wrong/api/version`)).status).toBe(401);
    expect((await fetch(`${gate.url}/k/${pathKey}/`, { method: 'HEAD' })).status).toBe(200);
    expect(gate.log()).not.toContain(pathKey);
  });
  test.each(['api_key', 'key', 'x-api-key', 'access_token', 'anything'])(
    'is refused in the query as %s, with a sentence that says where keys go',
    async (name) => {
      const response = await get({ 'x-api-key': secret }, `/api/version?${name}=${secret}`);
      expect(response.status).toBe(400);
      expect(await response.text()).toMatch(/x-api-key or Authorization/);
      expect(gate.log()).not.toContain(secret);
    },
  );
});

describe("the Ollama CLI's signature", () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const base64 = sshBase64(publicKey);
  const signed = (
    path: string,
    options: { key?: KeyObject; ts?: number; method?: string; body?: unknown; signedPath?: string } = {},
  ) => {
    const ts = options.ts ?? Math.floor(Date.now() / 1000);
    const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
    const signature = sign(
      null,
      Buffer.from(`${method},${options.signedPath ?? path}?ts=${ts}`),
      options.key ?? privateKey,
    ).toString('base64');
    return fetch(`${gate.url}${path}?ts=${ts}`, {
      method,
      headers: { authorization: `${base64}:${signature}` },
      body: options.body === undefined ? null : JSON.stringify(options.body),
    });
  };
  const prompt = (text: string) => ({ model: 'gemma3:270m', prompt: text, stream: false });

  beforeAll(async () => {
    await gate.key({ publicKey: `ssh-ed25519 ${base64} me@laptop` });
  });
  test('opens the gate, and its timestamp is not forwarded', async () => {
    const seen = fake.arrival();
    expect((await signed('/api/version')).status).toBe(200);
    expect((await seen).url).toBe('/api/version');
  });
  test.each([
    ['too old', { ts: Math.floor(Date.now() / 1000) - 600 }],
    ['from the future', { ts: Math.floor(Date.now() / 1000) + 600 }],
    ['for another path', { signedPath: '/api/tags' }],
    ['by another key', { key: generateKeyPairSync('ed25519').privateKey }],
  ])('is refused when it is %s', async (_, options) => {
    expect((await signed('/api/version', options)).status).toBe(401);
  });
  test('is refused from an unregistered key', async () => {
    const stranger = generateKeyPairSync('ed25519');
    const ts = Math.floor(Date.now() / 1000);
    const signature = sign(null, Buffer.from(`GET,/api/version?ts=${ts}`), stranger.privateKey).toString('base64');
    const response = await fetch(`${gate.url}/api/version?ts=${ts}`, {
      headers: { authorization: `${sshBase64(stranger.publicKey)}:${signature}` },
    });
    expect(response.status).toBe(401);
  });
  test('allows an inference once: a repeat is a replay', async () => {
    const ts = Math.floor(Date.now() / 1000) + 7;
    expect((await signed('/api/generate', { ts, body: prompt('a') })).status).toBe(200);
    expect((await signed('/api/generate', { ts, body: prompt('a') })).status).toBe(401);
  });
  test('may repeat within a second as the CLI really does: two look-ups, or a load and then a prompt', async () => {
    const ts = Math.floor(Date.now() / 1000) + 9;
    const show = { ts, body: { model: 'gemma3:270m' } };
    expect([(await signed('/api/show', show)).status, (await signed('/api/show', show)).status]).toEqual([200, 200]);
    expect((await signed('/api/generate', { ts, body: { model: 'gemma3:270m' } })).status).toBe(200);
    expect((await signed('/api/generate', { ts, body: prompt('b') })).status).toBe(200);
  });
});

describe('the command line and the running gate', () => {
  const environment = () => ({ DATA_DIR: gate.dataDir });
  test('a key made by the command works at once, and stops within a second of being rotated or revoked', async () => {
    const made = await sekisho(['key', 'create', '--name', 'laptop', '--json'], environment());
    const key = JSON.parse(made.out) as { id: string; secret: string };
    expect((await get({ 'x-api-key': key.secret })).status).toBe(200);

    const rotated = JSON.parse((await sekisho(['key', 'rotate', key.id, '--yes', '--json'], environment())).out) as {
      id: string;
      secret: string;
    };
    await withinASecond(async () =>
      expect(await (await get({ 'x-api-key': key.secret })).json()).toMatchObject({ code: 'key_expired' }),
    );
    expect((await get({ 'x-api-key': rotated.secret })).status).toBe(200);

    await sekisho(['key', 'revoke', rotated.id, '--yes'], environment());
    await withinASecond(async () =>
      expect(await (await get({ 'x-api-key': rotated.secret })).json()).toMatchObject({ code: 'key_revoked' }),
    );

    const list = JSON.parse((await sekisho(['key', 'list', '--json'], environment())).out) as {
      id: string;
      status: string;
    }[];
    expect(list.find((entry) => entry.id === rotated.id)?.status).toBe('revoked');
    expect(JSON.stringify(list)).not.toContain(key.secret);
  });
  test('a revocation ends a running answer with a last frame', async () => {
    const { id, secret: doomed } = await gate.key();
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"message":{"content":"a"},"done":false}\n');
    });
    const response = await post(`${gate.url}/api/chat`, doomed, {
      model: 'gemma3:270m',
      messages: [{ role: 'user', content: 'x' }],
    });
    const reader = response.body!.getReader();
    await reader.read();
    // Read before the revocation: `fetch` discards unread data when the connection ends.
    const last = reader.read();
    await sekisho(['key', 'revoke', id, '--yes'], environment());
    expect(JSON.parse(new TextDecoder().decode((await last).value))).toMatchObject({ code: 'key_revoked' });
    await expect(reader.read()).rejects.toThrow();
    await eventually(async () =>
      expect((await gate.ledger(1)).find((row) => row.keyId === id)).toMatchObject({
        outcome: 'ended',
        code: 'key_revoked',
      }),
    );
  });
});

test('a key that expires stops working at that instant', async () => {
  const brief = await inTime(700, async (lifeMs) => {
    const made = await gate.key({ expiresAt: Date.now() + lifeMs });
    expect((await get({ 'x-api-key': made.secret })).status).toBe(200);
    return made.secret;
  });
  await eventually(async () =>
    expect(await (await get({ 'x-api-key': brief })).json()).toMatchObject({ code: 'key_expired' }),
  );
});

/** The base64 part of an id_ed25519.pub line. */
function sshBase64(key: KeyObject): string {
  const point = Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url');
  return Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), point]).toString('base64');
}
