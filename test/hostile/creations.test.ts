// Creating models: a model cannot contain what a plan forbids in a call, and a known blob digest opens no model that the key
// does not.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { createKey, revokeKey } from '../../src/management/keys/keys.ts';
import { createPlan } from '../../src/management/plans/plans.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let calls: number;
let created = 0;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
beforeEach(() => {
  calls = fake.calls.length;
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

/** A key that may create models, of an account with these terms. */
const creator = (terms: Readonly<Record<string, unknown>>): Promise<string> =>
  gate.manage(async (store, by) => {
    const name = `creator-${++created}`;
    await createPlan(store, name, { scopes: ['models:create'], ...terms }, undefined, by);
    await createAccount(store, name, name, by);
    const { secret } = await createKey(store, { name, account: name, scopes: ['models:create'] }, by);
    return secret?.reveal() ?? '';
  });
const create = (secret: string, more: Record<string, unknown>): Promise<Response> =>
  post(`${gate.url}/api/create`, secret, { model: 'gemma3:mine', stream: false, ...more });
const blob = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const look = async (secret: string, digest: string): Promise<number> =>
  (await fetch(`${gate.url}/api/blobs/${digest}`, { method: 'HEAD', headers: { 'x-api-key': secret } })).status;
const upload = async (secret: string, digest: string, body: string): Promise<number> =>
  (await fetch(`${gate.url}/api/blobs/${digest}`, { method: 'POST', headers: { 'x-api-key': secret }, body })).status;
const codeOf = (answer: Response): string => `${answer.status} ${answer.headers.get('x-sekisho-error-code')}`;

test.each([
  { modelfile: 'FROM secret\nPARAMETER num_ctx 9999999' },
  { modelfile: 5 },
  { path: '/etc/passwd' },
  { Modelfile: 'FROM secret' },
])('a Modelfile text that old servers accept cannot bypass the checked fields: %j', async (more) => {
  const { secret: any } = await gate.key({ scopes: ['models:create'] });
  for (const secret of [any, await creator({ maxContextTokens: 4096 })]) {
    expect(codeOf(await create(secret, more))).toMatch(/^400 (invalid_request|ambiguous_json)$/);
    expect(fake.calls.length).toBe(calls);
  }
  // As if it were not there, for every kind of server.
  expect((await create(any, { from: 'gemma3:270m', modelfile: null })).status).toBe(200);
});

describe('parameters of a new model', () => {
  test('are checked against the plan like the options of a call', async () => {
    const secret = await creator({ maxContextTokens: 4096, maxOutputTokens: 100, reloadOptions: 'strip' });
    const parameters = {
      num_ctx: 1_000_000,
      num_gpu: 99,
      num_thread: 64,
      num_predict: -1,
      temperature: 0.5,
      stop: ['x'],
    };
    const seen = fake.arrival();
    const answer = await create(secret, { from: 'gemma3:270m', parameters });
    expect(JSON.parse((await (await seen).body).toString())).toMatchObject({
      parameters: { num_ctx: 4096, num_gpu: null, num_thread: null, num_predict: 100, temperature: 0.5, stop: ['x'] },
    });
    expect(answer.headers.get('x-sekisho-changed')).toContain('parameters.num_ctx=4096');
  });
  test.each(['"1000000"', '4096.5', '[4096]', '{}'])('of a wrong type are refused: num_ctx %s', async (text) => {
    const secret = await creator({ maxContextTokens: 4096 });
    const body = `{"model":"gemma3:mine","from":"gemma3:270m","parameters":{"num_ctx":${text}}}`;
    expect(codeOf(await post(`${gate.url}/api/create`, secret, body))).toBe('400 invalid_request');
    expect(fake.calls.length).toBe(calls);
  });
  test.each(['NUM_CTX', 'Num_Gpu'])('spelled %s are refused', async (name) => {
    const secret = await creator({ maxContextTokens: 4096 });
    expect(codeOf(await create(secret, { from: 'gemma3:270m', parameters: { [name]: 1 } }))).toBe('400 ambiguous_json');
  });
});

describe('blobs', () => {
  const weights = 'the weights of a hidden model';
  const hidden = blob(weights);
  beforeEach(() => {
    fake.blobs.clear();
    fake.blobs.set(hidden, weights.length);
  });

  test.each(['files', 'adapters', 'draft_files'])(
    'uploaded by another account are not found under %s, even with a known digest',
    async (field) => {
      const secret = await creator({ models: ['gemma3:*'] });
      for (const digest of [
        hidden,
        hidden.replace(':', '-'),
        hidden.toUpperCase().replace('SHA', 'sha'),
        blob('nothing'),
      ])
        expect(codeOf(await create(secret, { [field]: { 'a.gguf': digest } }))).toBe('404 blob_not_found');
      expect(await look(secret, hidden)).toBe(404);
      expect(fake.calls.length).toBe(calls);
    },
  );

  test('are available to an account that has sent their bytes, and to no other account', async () => {
    const secret = await creator({ models: ['gemma3:*'] });
    const other = await creator({ models: ['gemma3:*'] });
    // Ollama has it, and would accept the upload without reading it.
    expect(await upload(secret, hidden, 'something else')).toBe(400);
    expect(await look(secret, hidden)).toBe(404);
    expect(await upload(secret, hidden, weights)).toBe(200);
    expect(await look(secret, hidden)).toBe(200);
    expect((await create(secret, { files: { 'a.gguf': hidden } })).status).toBe(200);
    expect(codeOf(await create(other, { files: { 'a.gguf': hidden } }))).toBe('404 blob_not_found');
    // A blob that Ollama does not have is sent there, and hashed there.
    const own = blob('my own');
    expect(await upload(secret, own, 'my own')).toBe(201);
    expect((await create(secret, { from: 'gemma3:270m', adapters: { 'b.gguf': own } })).status).toBe(200);
    expect(await upload(other, blob('mine'), 'not mine')).toBe(400);
    expect(codeOf(await create(other, { files: { 'a.gguf': blob('mine') } }))).toBe('404 blob_not_found');
  });

  test('that are sent only in part do not count as sent', async () => {
    const secret = await creator({ models: ['gemma3:*'] });
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/blobs/${hidden} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${weights.length}\r\n\r\n${weights.slice(0, -1)}`,
    );
    await fake.arrival();
    client.socket.destroy();
    expect((await gate.ledger(1)).at(-1)).toBeDefined();
    expect(await look(secret, hidden)).toBe(404);
  });

  test('end at once when the caller hangs up while the model server is asked for them', async () => {
    const secret = await creator({ models: ['gemma3:*'] });
    const client = new RawClient(gate.port);
    const { length } = await gate.ledger(0);
    fake.next(
      async (_, answer) => {
        client.socket.destroy();
        await client.closed;
        answer.whole(200, {}, '');
      },
      ({ method, url }) => method === 'HEAD' && url.includes('/blobs/'),
    );
    client.write(
      `POST /api/blobs/${hidden} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${weights.length}\r\n\r\n${weights.slice(0, -1)}`,
    );
    expect((await gate.ledger(length + 1)).at(-1)).toMatchObject({
      operation: 'blob-upload',
      outcome: 'client_closed',
    });
  });

  test('go no further when their key is revoked while the model server is asked for them', async () => {
    const { id, secret } = await gate.key({ models: ['gemma3:*'], scopes: ['models:create'] });
    let answerIt = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      fake.next(
        async (_, answer) => {
          resolve();
          await new Promise<void>((goOn) => (answerIt = goOn));
          answer.whole(404, {}, '');
        },
        ({ method, url }) => method === 'HEAD' && url.includes('/blobs/'),
      );
    });
    const client = new RawClient(gate.port);
    const text = 'nobody has this one';
    client.write(
      `POST /api/blobs/${blob(text)} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n`,
    );
    await asked;
    await gate.manage((store, by) => revokeKey(store, id, by));
    await client.until('HTTP/1.1 401');
    answerIt();
    client.write(text);
    await client.closed;
    expect(fake.calls.filter(({ method, url }) => method === 'POST' && url.includes(blob(text)))).toEqual([]);
  });

  test('go to a reachable server when the first one is unreachable', async () => {
    let looked = (): void => undefined;
    const first = new Promise<void>((resolve) => (looked = resolve));
    const gone = createServer((_, answer) => {
      answer.setHeader('content-type', 'application/json').end('{"models":[]}', () => looked());
    }).listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const away = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
    const two = await openGate(`${away},${fake.url}`, { PROBE_SECONDS: '3600' });
    await first;
    gone.close();
    gone.closeAllConnections();
    const { secret } = await two.key({ models: ['gemma3:*'], scopes: ['models:create'] });
    const answer = await fetch(`${two.url}/api/blobs/${hidden}`, {
      method: 'POST',
      headers: { 'x-api-key': secret },
      body: weights,
    });
    expect(answer.status).toBe(200);
    await two.stop();
  });

  test('are free for a key that may use every model', async () => {
    const secret = await creator({});
    expect((await create(secret, { files: { 'a.gguf': hidden } })).status).toBe(200);
    expect(await look(secret, hidden)).toBe(200);
  });

  test.each(['../../etc/passwd', 'sha256:abc', `${hidden}/x`, '', 5, null])(
    'are named by digests, not by %j',
    async (digest) => {
      const secret = await creator({});
      expect(codeOf(await create(secret, { files: { 'a.gguf': digest } }))).toBe('400 invalid_request');
      expect(fake.calls.length).toBe(calls);
    },
  );

  test('can be requested only by digest', async () => {
    const secret = await creator({});
    expect(await look(secret, 'sha256:abc')).toBe(400);
    expect(fake.calls.length).toBe(calls);
  });
});
