// The official clients from npm, and curl, through the gate.
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, onePieceUntilLeft, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, run, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
let said: string;
const messages = [{ role: 'user' as const, content: 'なぜ空は青いのですか?' }];
const model = 'gemma3:270m';

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
  ({ secret } = await gate.key({ allowPath: true }));
  said = fake.pieces.join('');
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

describe('ollama', () => {
  const clients: [string, () => Ollama][] = [
    ['with a bearer header', () => new Ollama({ host: gate.url, headers: { Authorization: `Bearer ${secret}` } })],
    ['with the key in the URL', () => new Ollama({ host: `${gate.url}/k/${secret}` })],
  ];
  test.each(clients)('%s: chats, streamed and whole', async (_, open) => {
    const client = open();
    expect((await client.chat({ model, messages })).message.content).toBe(said);
    let text = '';
    for await (const part of await client.chat({ model, messages, stream: true })) text += part.message.content;
    expect(text).toBe(said);
    for await (const part of await client.generate({ model, prompt: 'x', stream: true })) text += part.response;
    expect(text).toBe(said + said);
  });
  test('lists, shows and embeds, and may not delete', async () => {
    const client = new Ollama({ host: gate.url, headers: { 'x-api-key': secret } });
    expect((await client.list()).models.map((entry) => entry.name)).toEqual(['gemma3:270m', 'llama3:latest']);
    expect((await client.show({ model })).details.family).toBe('gemma3');
    expect((await client.embed({ model, input: ['a', 'b'] })).embeddings).toHaveLength(2);
    expect((await client.ps()).models).toHaveLength(2);
    await expect(client.delete({ model })).rejects.toThrow(/scope "models:delete"/);
    await expect(client.chat({ model: 'missing', messages })).rejects.toThrow("model 'missing' not found");
    await expect(new Ollama({ host: gate.url }).list()).rejects.toThrow('Invalid API key');
    // `ollama run typo` does this after /api/show has said that there is no such model.
    await expect(client.pull({ model: 'typo' })).rejects.toThrow(
      /does not exist here.*ask the operator of this gateway/,
    );
  });
  test('abort() stops the model', async () => {
    fake.pace = onePieceUntilLeft;
    const arrival = fake.arrival();
    const client = new Ollama({ host: gate.url, headers: { 'x-api-key': secret } });
    const stream = await client.chat({ model, messages, stream: true });
    const reading = (async () => {
      for await (const _ of stream) stream.abort();
    })();
    await expect(reading).rejects.toThrow(/abort/i);
    await (await arrival).aborted;
    fake.pace = undefined;
  });
});

describe('openai', () => {
  const open = (apiKey = secret) => new OpenAI({ apiKey, baseURL: `${gate.url}/v1`, maxRetries: 0 });
  test('chats, streamed and whole', async () => {
    const whole = await open().chat.completions.create({ model, messages });
    expect(whole.choices[0]?.message.content).toBe(said);
    expect(whole.usage?.completion_tokens).toBe(12);
    let text = '';
    for await (const part of await open().chat.completions.create({ model, messages, stream: true })) {
      expect(part.choices).toHaveLength(1);
      text += part.choices[0]?.delta.content ?? '';
    }
    expect(text).toBe(said);
  });
  test('gets the usage of a stream when it asks for it', async () => {
    const parts = [];
    for await (const part of await open().chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    }))
      parts.push(part);
    expect(parts.at(-1)?.usage?.completion_tokens).toBe(12);
  });
  test('supports completions, responses, embeddings and models', async () => {
    expect((await open().completions.create({ model, prompt: 'Why' })).choices[0]?.text).toBe(said);
    expect((await open().responses.create({ model, input: 'Why' })).output_text).toBe(said);
    let text = '';
    for await (const event of await open().responses.create({ model, input: 'Why', stream: true }))
      if (event.type === 'response.output_text.delta') text += event.delta;
    expect(text).toBe(said);
    expect((await open().embeddings.create({ model, input: 'Why' })).data[0]?.embedding).toHaveLength(2);
    const list = await open().models.list();
    expect(list.data.map((entry) => entry.id)).toContain(model);
    expect((await open().models.retrieve(model)).id).toBe(model);
  });
  test('understands errors', async () => {
    await expect(open('wrong').models.list()).rejects.toMatchObject({
      status: 401,
      code: 'invalid_api_key',
      message: expect.stringContaining('Invalid API key'),
    });
    await expect(open().chat.completions.create({ model: 'missing', messages })).rejects.toMatchObject({
      status: 404,
      type: 'not_found_error',
    });
  });
  test("transcribes within the key's model limits", async () => {
    const file = new File([Buffer.from('RIFF')], 'a.wav');
    expect((await open().audio.transcriptions.create({ model, file })).text).toBe('hello');
    const { secret: narrow } = await gate.key({ models: ['llama3'] });
    await expect(open(narrow).audio.transcriptions.create({ model, file })).rejects.toMatchObject({ status: 404 });
  });
});

test('no client retries after a wrong key', async () => {
  const before = gate.log().split('invalid_api_key').length;
  const openai = new OpenAI({ apiKey: 'wrong', baseURL: `${gate.url}/v1`, maxRetries: 3 });
  await expect(openai.models.list()).rejects.toMatchObject({ status: 401 });
  const anthropic = new Anthropic({ baseURL: gate.url, maxRetries: 3, apiKey: 'wrong', authToken: null });
  await expect(anthropic.messages.create({ model, messages, max_tokens: 1 })).rejects.toMatchObject({ status: 401 });
  expect(gate.log().split('invalid_api_key').length - before).toBe(2);
});
test('a client that insists on a key of its own can send a placeholder, with the real key in a header', async () => {
  const headers = { 'api-key': secret };
  const openai = new OpenAI({ apiKey: 'sk-no-key', baseURL: `${gate.url}/v1`, defaultHeaders: headers });
  expect((await openai.models.list()).data.length).toBeGreaterThan(0);
  const anthropic = new Anthropic({ baseURL: gate.url, apiKey: 'EMPTY', defaultHeaders: headers });
  expect((await anthropic.messages.create({ model, messages, max_tokens: 64 })).role).toBe('assistant');
});

describe('anthropic', () => {
  test.each(['apiKey', 'authToken'])('messages with %s, streamed and whole', async (way) => {
    const client = new Anthropic({ baseURL: gate.url, maxRetries: 0, apiKey: null, authToken: null, [way]: secret });
    const whole = await client.messages.create({ model, messages, max_tokens: 64 });
    expect(whole.content).toMatchObject([{ type: 'text', text: said }]);
    const stream = client.messages.stream({ model, messages, max_tokens: 64 });
    expect(await stream.finalText()).toBe(said);
    expect((await stream.finalMessage()).usage.output_tokens).toBe(12);
  });
  test('understands errors', async () => {
    const client = new Anthropic({ baseURL: gate.url, maxRetries: 0, apiKey: 'wrong', authToken: null });
    await expect(client.messages.create({ model, messages, max_tokens: 1 })).rejects.toMatchObject({
      status: 401,
      error: { type: 'error', error: { type: 'authentication_error' } },
    });
  });
});

describe('base URLs and routes as clients write them', () => {
  test.each(['/', '//'])('a base URL may end with %j', async (end) => {
    const headers = { 'x-api-key': secret };
    const ollama = new Ollama({ host: gate.url + end, headers });
    expect((await ollama.list()).models.length).toBeGreaterThan(0);
    const openai = new OpenAI({ apiKey: secret, baseURL: `${gate.url}${end}v1${end}` });
    expect((await openai.models.list()).data.length).toBeGreaterThan(0);
    for (const path of [`${end}v1/models`, `/v1/models${end}`, `/api/tags${end}`, `/api${end}tags`])
      expect((await fetch(gate.url + path, { headers, redirect: 'error' })).status).toBe(200);
  });
  test('a model with a namespace is addressed by its whole name', async () => {
    const openai = new OpenAI({ apiKey: secret, baseURL: `${gate.url}/v1`, maxRetries: 0 });
    await expect(openai.models.retrieve('aaa/llava:13b')).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining("model 'aaa/llava:13b' not found"),
    });
    expect(fake.calls.at(-1)?.url).toBe('/v1/models/aaa%2Fllava:13b');
    const { secret: narrow } = await gate.key({ models: ['llama3'] });
    const before = fake.calls.length;
    const narrowed = new OpenAI({ apiKey: narrow, baseURL: `${gate.url}/v1`, maxRetries: 0 });
    await expect(narrowed.models.retrieve('aaa/llava:13b')).rejects.toMatchObject({ status: 404 });
    expect(fake.calls.slice(before).some(({ url }) => url.startsWith('/v1/models/'))).toBe(false);
  });
  test('a request to count tokens that the server cannot serve is refused at once in the words of the dialect', async () => {
    const anthropic = new Anthropic({ baseURL: gate.url, apiKey: secret, authToken: null, maxRetries: 3 });
    const before = fake.calls.length;
    await expect(anthropic.messages.countTokens({ model, messages })).rejects.toMatchObject({
      status: 501,
      error: { type: 'error', error: { type: 'api_error', code: 'upstream_lacks_route' } },
    });
    expect(fake.calls.slice(before).filter(({ url }) => url === '/v1/messages/count_tokens')).toHaveLength(1);
    const { secret: narrow } = await gate.key({ models: ['llama3'] });
    const narrowed = new Anthropic({ baseURL: gate.url, apiKey: narrow, authToken: null, maxRetries: 0 });
    await expect(narrowed.messages.countTokens({ model, messages })).rejects.toMatchObject({ status: 404 });
  });
  test('a WebSocket upgrade on /v1/responses is told at once to use POST, and the connection stays usable', async () => {
    const client = new RawClient(gate.port);
    client.write(
      `GET /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${secret}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const text = await client.until('no_web_socket');
    expect(text).toMatch(/^HTTP\/1\.1 426 /);
    expect(text).toMatch(/\r\nupgrade: HTTP\/1\.1\r\n/i);
    client.write(`GET /v1/models HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nConnection: close\r\n\r\n`);
    await client.until('HTTP/1.1 200 ');
    await client.closed;
  });
});

test('every kind of call is metered to the exact token', async () => {
  // The one answer that was cut off is estimated from the pieces that passed; everything else is the server's own count.
  await eventually(async () => {
    const all = await gate.ledger(0);
    // A transcription reports no usage, so the text counts by its length.
    const heard = all.filter((row) => row.operation === 'transcriptions' && row.outcome === 'completed');
    expect(heard).toMatchObject([{ source: 'estimated', promptTokens: expect.any(Number), completionTokens: 2 }]);
    expect(heard[0]?.promptTokens).toBeGreaterThan(0);
    const rows = all.filter((row) => row.operation !== 'transcriptions');
    const sum = (source: string) =>
      rows.filter((row) => row.source === source).reduce((total, row) => total + row.completionTokens, 0);
    const cut = rows.filter((row) => row.outcome === 'client_closed');
    expect(cut).toMatchObject([{ source: 'estimated', model, streamed: true }]);
    const generated = fake.totals.completionTokens;
    expect(sum('exact')).toBe(generated - (generated % fake.pieces.length));
    expect(Math.abs(sum('estimated') - (generated % fake.pieces.length))).toBeLessThanOrEqual(1);
  });
});

describe('curl, as the article shows it', () => {
  test('gets a whole answer', async () => {
    const body = JSON.stringify({ model, messages, stream: false });
    const { out } = await run('curl', [
      '-s',
      '-XPOST',
      `${gate.url}/api/chat`,
      '-H',
      `x-api-key: ${secret}`,
      '--json',
      body,
    ]);
    expect(JSON.parse(out)).toMatchObject({ message: { content: said }, done: true });
  });
  test('gets a stream when "stream" is left out', async () => {
    const { out } = await run('curl', [
      '-sN',
      '-XPOST',
      `${gate.url}/api/chat`,
      '-H',
      `x-api-key: ${secret}`,
      '--json',
      JSON.stringify({ model, messages }),
    ]);
    expect(out.trim().split('\n')).toHaveLength(13);
  });
  test("gets the article's error for a wrong key", async () => {
    const { out } = await run('curl', [
      '-s',
      '-w',
      '%{http_code}',
      `${gate.url}/api/tags`,
      '-H',
      'x-api-key: constructor',
    ]);
    expect(out).toMatch(/^\{"error":"Invalid API key",.*\}401$/);
  });
  test('takes the key as the password of a URL', async () => {
    const { out } = await run('curl', ['-s', '-u', `anyone:${secret}`, `${gate.url}/api/version`]);
    expect(out).toBe('{"version":"0.33.0"}');
  });
});
